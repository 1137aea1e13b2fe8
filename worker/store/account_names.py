"""The account's name beside a login, shown when there are several accounts."""

from typing import Any

from sqlalchemy import Label, exists, select
from sqlalchemy.orm import aliased
from sqlmodel import col

from worker.store.tables import AccountRow


def name_among_several(account_id: Any) -> Label[Any]:
    """Return a column ``account``: the name of the account with this ID, or NULL when it is the only account."""
    other = aliased(AccountRow)
    is_one_of_several = exists().where(col(other.id) != col(AccountRow.id))
    named = select(col(AccountRow.name)).where(col(AccountRow.id) == account_id, is_one_of_several)
    return named.scalar_subquery().label("account")
