"""Sender addresses that wait for their code: it was mailed to them, and counts for an hour and five tries."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hmac import compare_digest
from typing import Any

from sqlalchemy import Connection, Row, select
from sqlmodel import col

from worker.crm.senders import RegisteredSender, change_sender, register, senders_of
from worker.crm.work import Crm, User, address_of
from worker.domain.addresses import Address
from worker.domain.errors import Refused
from worker.domain.senders import LIFETIME, MOST_TRIES, digest_of, new_code
from worker.retries import retry_on_conflict
from worker.store.tables import SenderRow


@dataclass(frozen=True, slots=True)
class AwaitedCode:
    """The code that is to be mailed to the address; only its digest is stored."""

    login: str
    address: Address
    code: str = field(repr=False)


@retry_on_conflict
def await_code(crm: Crm, login: str, text: str, *, now: datetime) -> AwaitedCode:
    """Register an address that does not count yet, and make the code that proves it. A new code replaces the old one.

    Raises:
        Refused: as `add_sender` does.
    """
    address = address_of(text, "a sender")
    with crm.begin() as work:
        user = work.user(login, lock=True)
        slot = register(work.connection, user, address, None)
        code = new_code()
        change_sender(
            work.connection,
            user,
            slot,
            code_digest=digest_of(code, user.account.id, user.id, address.key),
            code_expires_at=now + LIFETIME,
            code_tries=0,
        )
        return AwaitedCode(user.login, address, code)


def void_code(crm: Crm, login: str, awaited: AwaitedCode) -> None:
    """Forget a code that could not be sent. A newer one is left alone.

    Raises:
        Refused: there is no such user or account.
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    with crm.begin() as work:
        user = work.user(login, lock=True)
        sent = digest_of(awaited.code, user.account.id, user.id, awaited.address.key)
        for row in _unproven(work.connection, user):
            if row.code_digest == sent:
                change_sender(work.connection, user, row.slot, code_digest=None, code_expires_at=None)


def verify_code(crm: Crm, login: str, typed: str, *, now: datetime) -> list[RegisteredSender]:
    """Prove the address that the code was mailed to. A wrong code is a try of every address that waits.

    Raises:
        Refused: when it is no address's code, and says how many tries are left.
    """
    with crm.begin() as work:
        user = work.user(login, lock=True)
        refusal = _try(work.connection, user, typed, now)
        senders = senders_of(work, user)
    if refusal:
        raise refusal  # only now: the try is counted whatever comes of it
    return senders


def _try(connection: Connection, user: User, typed: str, now: datetime) -> Refused | None:
    unproven = _unproven(connection, user)
    waiting = [row for row in unproven if row.code_digest is not None]
    if unproven and not waiting:
        address = unproven[0].address
        return Refused(f"no code could be sent to {address}", "code_not_sent", login=user.login, address=address)
    if not waiting:
        return Refused(f"no address of {user.login} waits for a code", "no_code_awaited", login=user.login)
    alive = [row for row in waiting if row.code_expires_at > now and row.code_tries < MOST_TRIES]
    if not alive:
        row = waiting[0]
        why = "an hour is over" if row.code_tries < MOST_TRIES else "five tries were wrong"
        return Refused(f"the code is void, {why}", "code_void", login=user.login, address=row.address)
    for row in alive:
        if compare_digest(digest_of(typed, user.account.id, user.id, row.address_key), row.code_digest):
            change_sender(connection, user, row.slot, proven_at=now, code_digest=None, code_expires_at=None)
            return None
    for row in alive:
        change_sender(connection, user, row.slot, code_tries=row.code_tries + 1)
    left = MOST_TRIES - 1 - min(row.code_tries for row in alive)
    return Refused(f"wrong code: {left or 'no'} {'try is' if left == 1 else 'tries are'} left", "code_wrong", left=left)


def _unproven(connection: Connection, user: User) -> Sequence[Row[*tuple[Any, ...]]]:
    columns = (
        *(col(SenderRow.slot), col(SenderRow.address), col(SenderRow.address_key)),
        *(col(SenderRow.code_digest), col(SenderRow.code_expires_at), col(SenderRow.code_tries)),
    )
    waits = (
        col(SenderRow.account_id) == user.account.id,
        col(SenderRow.user_id) == user.id,
        col(SenderRow.proven_at).is_(None),
    )
    return connection.execute(select(*columns).where(*waits).order_by(col(SenderRow.slot))).all()
