"""Mail that was kept for a recipient whom nobody knew (R15): it goes to the first record made for the address, once."""

from collections.abc import Mapping

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, select
from sqlmodel import col

from worker.domain.patterns import Module
from worker.store.administration.profile_rows import PERMISSIONS
from worker.store.bulk import insert_rows
from worker.store.keys import among_texts
from worker.store.tables import AssociationRow, EmailOwnerRow, ProfileRow, UnmatchedRow, UserRow


def attach_waiting(connection: Connection, account_id: int, module: Module, records: Mapping[str, int]) -> int:
    """Put waiting emails on these records (ids by address key); gives how many.

    The deletion comes first and says what it took: of two records made at once only one gets the email.
    """
    if not connection.scalar(select(exists().where(col(UnmatchedRow.account_id) == account_id))):
        return 0
    taken = connection.execute(
        delete(UnmatchedRow)
        .where(
            col(UnmatchedRow.account_id) == account_id,
            among_texts(connection, col(UnmatchedRow.address_key), records),
            _is_of_somebody_with(module),
        )
        .returning(col(UnmatchedRow.email_id), col(UnmatchedRow.address_key))
    )
    pairs = sorted({(row.email_id, records[row.address_key]) for row in taken})
    rows = [
        {"account_id": account_id, "email_id": email_id, "record_id": record_id, "created": False}
        for email_id, record_id in pairs
    ]
    insert_rows(connection, AssociationRow, rows)
    return len(rows)


def _is_of_somebody_with(module: Module) -> ColumnElement[bool]:
    """R10 holds for late mail as well: an owner of the email must have the permission for the module."""
    return exists().where(
        and_(
            col(EmailOwnerRow.account_id) == col(UnmatchedRow.account_id),
            col(EmailOwnerRow.email_id) == col(UnmatchedRow.email_id),
            col(UserRow.account_id) == col(EmailOwnerRow.account_id),
            col(UserRow.id) == col(EmailOwnerRow.user_id),
            col(ProfileRow.account_id) == col(UserRow.account_id),
            col(ProfileRow.id) == col(UserRow.profile_id),
            PERMISSIONS[module.permission],
        )
    )
