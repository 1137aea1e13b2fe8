"""The rows of a user's registered sender addresses, in the order of their slots (R11)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update
from sqlmodel import col

from worker.crm.members import Member
from worker.domain.addresses import Address
from worker.domain.owners import MOST_SENDERS
from worker.store.bulk import insert_rows
from worker.store.tables import SenderRow

SLOTS = range(1, MOST_SENDERS + 1)


def sender_rows(connection: Connection, member: Member) -> Sequence[Row[int, str, str, datetime | None]]:
    """Slot, address, address_key and proven_at of each."""
    columns = (col(SenderRow.slot), col(SenderRow.address), col(SenderRow.address_key), col(SenderRow.proven_at))
    of_member = (col(SenderRow.account_id) == member.account.id, col(SenderRow.user_id) == member.id)
    return connection.execute(select(*columns).where(*of_member).order_by(col(SenderRow.slot))).all()


def insert_sender(
    connection: Connection, member: Member, slot: int, address: Address, proven_at: datetime | None
) -> None:
    """Take a slot; the primary key refuses it to the second of two who race."""
    row = {
        "account_id": member.account.id,
        "user_id": member.id,
        "slot": slot,
        "address": address.text,
        "address_key": address.key,
        "proven_at": proven_at,
        "code_tries": 0,
    }
    insert_rows(connection, SenderRow, [row])


def change_sender(connection: Connection, member: Member, slot: int, **values: Any) -> None:
    """Write these columns of the row in the slot."""
    in_slot = (
        col(SenderRow.account_id) == member.account.id,
        col(SenderRow.user_id) == member.id,
        col(SenderRow.slot) == slot,
    )
    connection.execute(update(SenderRow).where(*in_slot).values(values))
