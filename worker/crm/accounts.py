"""Accounts, the customers of the CRM: each is made with the profiles Administrator and Standard (R7)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select, update
from sqlmodel import col

from worker.crm.profiles import insert_profiles
from worker.crm.work import DEFAULT_NAME, IS_USER, Account, Crm, Work, account_named, name_of_thing
from worker.domain.errors import Refused
from worker.domain.permissions import ADMINISTRATOR, STANDARD
from worker.domain.records import RecordNames
from worker.retries import retry_on_conflict
from worker.store.bulk import insert_rows
from worker.store.ids import allocate
from worker.store.tables import AccountRow, UserRow


@dataclass(frozen=True, slots=True)
class AccountSummary:
    """An account as a list shows it."""

    id: int
    name: str
    users: int
    record_names: str
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


def set_record_names(crm: Crm, name: str, names: RecordNames) -> AccountSummary:
    """Choose what names the records that mail makes from now on (R17).

    Raises:
        Refused: when there is no account of that name.
    """
    with Crm(crm.database, name).begin() as work:
        work.connection.execute(
            update(AccountRow).where(col(AccountRow.id) == work.account.id).values(record_names=names.value)
        )
        return AccountSummary(*work.connection.execute(_summaries(col(AccountRow.id) == work.account.id)).one())


def list_accounts(crm: Crm) -> list[AccountSummary]:
    """List every account by name.

    Raises:
        Unavailable: the database is down.
    """
    with crm.read() as work:
        return [AccountSummary(*row) for row in work.connection.execute(_summaries())]


def make_first_account(work: Work, now: datetime) -> None:
    """Make the default account in a database without accounts, if no account was named.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    if not work.has_account:
        work.account = _insert(work.connection, DEFAULT_NAME, now)


def _insert(connection: Connection, name: str, now: datetime) -> Account:
    (account_id,) = allocate(connection, AccountRow, 1)
    row = {"id": account_id, "name": name, "name_key": name.casefold(), "created_at": now}
    insert_rows(connection, AccountRow, [row])
    insert_profiles(connection, account_id, [ADMINISTRATOR, STANDARD])
    return Account(account_id, name)


def _summaries(*conditions: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    users = (
        select(func.count())
        .where(col(UserRow.account_id) == col(AccountRow.id), IS_USER)
        .correlate(AccountRow)
        .scalar_subquery()
    )
    columns = (
        col(AccountRow.id),
        col(AccountRow.name),
        users,
        col(AccountRow.record_names),
        col(AccountRow.created_at),
    )
    return select(*columns).where(*conditions).order_by(col(AccountRow.name_key))
