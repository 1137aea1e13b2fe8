"""Accounts, the customers of the CRM: each is made with the profiles Administrator and Standard (R7)."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select
from sqlmodel import col

from worker.crm.profiles import insert_profiles
from worker.crm.work import DEFAULT_NAME, Account, Crm, Work, account_named, name_of_thing, retry_on_conflict
from worker.domain.errors import Refused
from worker.domain.profiles import ADMINISTRATOR, STANDARD
from worker.store.bulk import insert_rows
from worker.store.ids import allocate
from worker.store.tables import AccountRow, UserRow


@dataclass(frozen=True, slots=True)
class AccountSummary:
    """An account as a list shows it."""

    id: int
    name: str
    users: int
    created_at: datetime


@retry_on_conflict
def add_account(crm: Crm, name: str, *, now: datetime) -> Account:
    """Make an account with the profiles Administrator and Standard.

    Raises:
        Refused: when there is one of that name.
    """
    shown = name_of_thing(name, "account")
    with crm.begin() as work:
        if account_named(work.connection, shown) is not None:
            raise Refused(f"there is an account {shown} already: choose another name", "account_exists")
        return _insert(work.connection, shown, now)


def list_accounts(crm: Crm) -> list[AccountSummary]:
    """List every account by name."""
    users = (
        select(func.count())
        .where(col(UserRow.account_id) == col(AccountRow.id))
        .correlate(AccountRow)
        .scalar_subquery()
    )
    query = select(col(AccountRow.id), col(AccountRow.name), users, col(AccountRow.created_at)).order_by(
        col(AccountRow.name_key)
    )
    with crm.read() as work:
        return [AccountSummary(*row) for row in work.connection.execute(query)]


def make_first_account(work: Work, now: datetime) -> None:
    """Make the default account where there is none at all and none was named."""
    if not work.has_account:
        work.account = _insert(work.connection, DEFAULT_NAME, now)


def _insert(connection: Connection, name: str, now: datetime) -> Account:
    (account_id,) = allocate(connection, AccountRow, 1)
    row = {"id": account_id, "name": name, "name_key": name.casefold(), "created_at": now}
    insert_rows(connection, AccountRow, [row])
    insert_profiles(connection, account_id, [ADMINISTRATOR, STANDARD])
    return Account(account_id, name)
