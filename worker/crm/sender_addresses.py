"""The up to five addresses that a user may send from (R11); a new one may have to be proven by a code."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hmac import compare_digest
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update
from sqlmodel import col

from worker.crm.work import Crm, User, Work, address_of, of_user, sending_address_of
from worker.domain.addresses import Address
from worker.domain.errors import Refused
from worker.domain.senders import LIFETIME, MOST_TRIES, digest_of, new_code
from worker.domain.tokens import MOST_SENDERS
from worker.retries import retry_on_conflict
from worker.store.inserts import insert_rows
from worker.store.tables import SenderRow

_SLOTS = range(1, MOST_SENDERS + 1)


@dataclass(frozen=True, slots=True)
class RegisteredSender:
    """A sender address; it counts once it is proven to be the user's."""

    address: str
    proven_at: datetime | None


@retry_on_conflict
def add_sender(crm: Crm, login: str, text: str, *, proven_at: datetime | None) -> list[RegisteredSender]:
    """Register an address in a free slot, or prove one that waits for its code.

    Raises:
        Refused: when it is no address, is registered already, or would be the sixth.
    """
    address = sending_address_of(text, "a sender")
    with crm.begin() as work:
        user = work.user(login)
        slot = register(work.connection, user, address, proven_at)
        _change_sender(work.connection, user, slot, proven_at=proven_at)
        return senders_of(work, user)


def register(connection: Connection, user: User, address: Address, proven_at: datetime | None) -> int:
    """Take a free slot, or find the one in which the address waits to be proven. Returns the slot.

    Raises:
        Refused: when it is a sender already, or would be the sixth.
    """
    rows = sender_rows(connection, user)
    if found := next((row for row in rows if row.address_key == address.key), None):
        if found.proven_at is not None:
            raise Refused(f"{address} is a sender of {user.login} already", "sender_exists")
        return int(found.slot)
    taken = {row.slot for row in rows}
    free = next((slot for slot in _SLOTS if slot not in taken), None)
    if free is None:
        raise Refused(
            f"{user.login} has five sender addresses, the most there can be", "senders_full", login=user.login
        )
    insert_sender(connection, user, free, address, proven_at)
    return free


def remove_sender(crm: Crm, login: str, text: str) -> list[RegisteredSender]:
    """Take an address off; also the login's own, as long as another one stays.

    Raises:
        Refused: when it is not registered, or is the last.
    """
    address = address_of(text, "a sender")
    with crm.begin() as work:
        user = work.user(login, lock=True)
        rows = sender_rows(work.connection, user)
        found = next((row for row in rows if row.address_key == address.key), None)
        if found is None:
            senders = ", ".join(row.address for row in rows)
            raise Refused(f"{address} is no sender of {user.login}: there are {senders}", "sender_unknown")
        if len(rows) == 1:
            raise Refused(f"{address} is the last sender of {user.login}", "last_sender", login=user.login)
        work.connection.execute(delete(SenderRow).where(of_user(SenderRow, user), col(SenderRow.slot) == found.slot))
        return senders_of(work, user)


def list_senders(crm: Crm, login: str) -> list[RegisteredSender]:
    """List the user's senders in the order of their slots.

    Raises:
        Refused: there is no such user or account.
        Unavailable: the database is down.
    """
    with crm.read() as work:
        return senders_of(work, work.user(login))


def senders_of(work: Work, user: User) -> list[RegisteredSender]:
    """Read the user's senders in the order of their slots.

    Raises:
        Unavailable: the database is down.
    """
    return [RegisteredSender(row.address, row.proven_at) for row in sender_rows(work.connection, user)]


def insert_sender(connection: Connection, user: User, slot: int, address: Address, proven_at: datetime | None) -> None:
    """Take a slot; the primary key refuses it to the second of two who race.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    row = {
        "account_id": user.account.id,
        "user_id": user.id,
        "slot": slot,
        "address": address.text,
        "address_key": address.key,
        "proven_at": proven_at,
        "code_tries": 0,
    }
    insert_rows(connection, SenderRow, [row])


def _change_sender(connection: Connection, user: User, slot: int, **values: Any) -> None:
    """Write these columns of the row in the slot."""
    in_slot = update(SenderRow).where(of_user(SenderRow, user), col(SenderRow.slot) == slot)
    connection.execute(in_slot.values(values))


def sender_rows(connection: Connection, user: User) -> Sequence[Row[*tuple[Any, ...]]]:
    """Read the rows of the user's senders, in the order of the slots.

    Raises:
        Unavailable: the database is down.
    """
    query = select(SenderRow.__table__).where(of_user(SenderRow, user))  # type: ignore[attr-defined]
    return connection.execute(query.order_by(col(SenderRow.slot))).all()


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
        _change_sender(
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
                _change_sender(work.connection, user, row.slot, code_digest=None, code_expires_at=None)


def verify_code(crm: Crm, login: str, typed: str, *, now: datetime) -> list[RegisteredSender]:
    """Prove the address that the code was mailed to. A wrong code is a try of every address that waits.

    Raises:
        Refused: when it is no address's code, and says how many tries are left.
    """
    with crm.begin() as work:
        user = work.user(login, lock=True)
        refusal = _try_code(work.connection, user, typed, now)
        senders = senders_of(work, user)
    if refusal:
        raise refusal  # only now: the try is counted whatever comes of it
    return senders


def _try_code(connection: Connection, user: User, typed: str, now: datetime) -> Refused | None:
    """Prove the address whose code was typed; return the refusal if no code fits."""
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
            _change_sender(connection, user, row.slot, proven_at=now, code_digest=None, code_expires_at=None)
            return None
    for row in alive:
        _change_sender(connection, user, row.slot, code_tries=row.code_tries + 1)
    left = MOST_TRIES - 1 - min(row.code_tries for row in alive)
    return Refused(f"wrong code: {left or 'no'} {'try is' if left == 1 else 'tries are'} left", "code_wrong", left=left)


def _unproven(connection: Connection, user: User) -> Sequence[Row[*tuple[Any, ...]]]:
    return [row for row in sender_rows(connection, user) if row.proven_at is None]
