"""Sender addresses that wait for their code: it was mailed to them, and counts for an hour and five tries."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hmac import compare_digest
from typing import Any

from sqlalchemy import Connection, Row, select
from sqlmodel import col

from worker.crm.accounts import find_account
from worker.crm.conflict import again_on_conflict
from worker.crm.members import Member, address_of, find_member
from worker.crm.office import Office
from worker.crm.sender_rows import change_sender
from worker.crm.senders import RegisteredSender, register, registered
from worker.domain.addresses import Address
from worker.domain.errors import Refused
from worker.domain.sender_codes import LIFETIME, MOST_TRIES, digest_of, new_code
from worker.store.tables import SenderRow


@dataclass(frozen=True, slots=True)
class AwaitedCode:
    """The code that is to be mailed to the address; only its digest is stored."""

    login: str
    address: Address
    code: str = field(repr=False)


@again_on_conflict
def await_code(office: Office, login: str, text: str, *, now: datetime) -> AwaitedCode:
    """Register an address that does not count yet; for one that waits already, a new code takes the old one's place.

    Raises:
        Refused: as `add_sender` does.
    """
    address = address_of(text, "a sender")
    with office.database.begin() as connection:
        member = find_member(connection, find_account(connection, office.account), login, lock=True)
        slot = register(connection, member, address, None)
        code = new_code()
        change_sender(
            connection,
            member,
            slot,
            code_digest=digest_of(code, member.account.id, member.id, address.key),
            code_expires_at=now + LIFETIME,
            code_tries=0,
        )
        return AwaitedCode(member.login, address, code)


def void_code(office: Office, login: str, awaited: AwaitedCode) -> None:
    """Nobody has the code: it could not be sent. A newer one is left alone."""
    with office.database.begin() as connection:
        member = find_member(connection, find_account(connection, office.account), login, lock=True)
        sent = digest_of(awaited.code, member.account.id, member.id, awaited.address.key)
        for row in _unproven(connection, member):
            if row.code_digest == sent:
                change_sender(connection, member, row.slot, code_digest=None, code_expires_at=None)


def verify_code(office: Office, login: str, typed: str, *, now: datetime) -> list[RegisteredSender]:
    """Prove the address that the code was mailed to. A wrong code is a try of every address that waits.

    Raises:
        Refused: when it is no address's code, and says how many tries are left.
    """
    with office.database.begin() as connection:
        member = find_member(connection, find_account(connection, office.account), login, lock=True)
        refusal = _try(connection, member, typed, now)
        senders = registered(connection, member)
    if refusal:
        raise refusal  # only now: the try is counted whatever comes of it
    return senders


def _try(connection: Connection, member: Member, typed: str, now: datetime) -> Refused | None:
    unproven = _unproven(connection, member)
    waiting = [row for row in unproven if row.code_digest is not None]
    if unproven and not waiting:
        address = unproven[0].address
        return Refused(f"no code could be sent to {address}: `sender add {member.login} {address}` sends one")
    if not waiting:
        return Refused(f"no address of {member.login} waits for a code: `sender add {member.login} ADDRESS` sends one")
    alive = [row for row in waiting if row.code_expires_at > now and row.code_tries < MOST_TRIES]
    if not alive:
        row = waiting[0]
        why = "an hour is over" if row.code_tries < MOST_TRIES else "five tries were wrong"
        return Refused(f"the code is void, {why}: `sender add {member.login} {row.address}` sends a new one")
    for row in alive:
        if compare_digest(digest_of(typed, member.account.id, member.id, row.address_key), row.code_digest):
            change_sender(connection, member, row.slot, proven_at=now, code_digest=None, code_expires_at=None)
            return None
    for row in alive:
        change_sender(connection, member, row.slot, code_tries=row.code_tries + 1)
    left = MOST_TRIES - 1 - min(row.code_tries for row in alive)
    return Refused(f"wrong code: {left or 'no'} {'try is' if left == 1 else 'tries are'} left")


def _unproven(connection: Connection, member: Member) -> Sequence[Row[*tuple[Any, ...]]]:
    columns = (
        *(col(SenderRow.slot), col(SenderRow.address), col(SenderRow.address_key)),
        *(col(SenderRow.code_digest), col(SenderRow.code_expires_at), col(SenderRow.code_tries)),
    )
    waits = (
        col(SenderRow.account_id) == member.account.id,
        col(SenderRow.user_id) == member.id,
        col(SenderRow.proven_at).is_(None),
    )
    return connection.execute(select(*columns).where(*waits).order_by(col(SenderRow.slot))).all()
