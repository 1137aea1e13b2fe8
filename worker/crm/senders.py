"""The up to five addresses that a user may send from."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete
from sqlmodel import col

from worker.crm.accounts import find_account
from worker.crm.conflict import again_on_conflict
from worker.crm.members import Member, address_of, find_member
from worker.crm.office import Office
from worker.crm.sender_rows import SLOTS, change_sender, insert_sender, sender_rows
from worker.domain.addresses import Address
from worker.domain.errors import Refused
from worker.store.tables import SenderRow


@dataclass(frozen=True, slots=True)
class RegisteredSender:
    """A sender address; it counts once it is proven to be the user's."""

    address: str
    proven_at: datetime | None


@again_on_conflict
def add_sender(office: Office, login: str, text: str, *, proven_at: datetime | None) -> list[RegisteredSender]:
    """Register an address in a free slot, or prove one that waits for its code.

    Raises:
        Refused: when it is none, is registered already, or would be the sixth.
    """
    address = address_of(text, "a sender")
    with office.database.begin() as connection:
        member = find_member(connection, find_account(connection, office.account), login)
        slot = register(connection, member, address, proven_at)
        change_sender(connection, member, slot, proven_at=proven_at)
        return registered(connection, member)


def register(connection: Connection, member: Member, address: Address, proven_at: datetime | None) -> int:
    """Take a free slot; or find the one in which the address waits to be proven. Gives the slot.

    Raises:
        Refused: when it is a sender already, or would be the sixth.
    """
    rows = sender_rows(connection, member)
    for slot, _, address_key, proven in rows:
        if address_key == address.key:
            if proven is not None:
                raise Refused(f"{address} is a sender of {member.login} already")
            return slot
    taken = {row.slot for row in rows}
    free = next((slot for slot in SLOTS if slot not in taken), None)
    if free is None:
        raise Refused(
            f"{member.login} has five sender addresses, the most there can be:"
            f" `sender remove {member.login} ADDRESS` makes room"
        )
    insert_sender(connection, member, free, address, proven_at)
    return free


def remove_sender(office: Office, login: str, text: str) -> list[RegisteredSender]:
    """Take an address off; also the login's own, as long as another one stays.

    Raises:
        Refused: when it is not registered, or is the last.
    """
    address = address_of(text, "a sender")
    with office.database.begin() as connection:
        member = find_member(connection, find_account(connection, office.account), login, lock=True)
        rows = sender_rows(connection, member)
        found = next((row for row in rows if row.address_key == address.key), None)
        if found is None:
            senders = ", ".join(row.address for row in rows)
            raise Refused(f"{address} is no sender of {member.login}: there are {senders}")
        if len(rows) == 1:
            raise Refused(
                f"{address} is the last sender of {member.login}: `sender add {member.login} ADDRESS` another one first"
            )
        connection.execute(
            delete(SenderRow).where(
                col(SenderRow.account_id) == member.account.id,
                col(SenderRow.user_id) == member.id,
                col(SenderRow.slot) == found.slot,
            )
        )
        return registered(connection, member)


def list_senders(office: Office, login: str) -> list[RegisteredSender]:
    """The user's senders in the order of their slots."""
    with office.database.read() as connection:
        return registered(connection, find_member(connection, find_account(connection, office.account), login))


def registered(connection: Connection, member: Member) -> list[RegisteredSender]:
    """The same within a transaction."""
    return [RegisteredSender(row.address, row.proven_at) for row in sender_rows(connection, member)]
