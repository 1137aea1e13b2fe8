"""Accounts, the customers of the CRM: made with their two profiles, found by name (R7)."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select
from sqlmodel import col

from worker.crm.conflict import again_on_conflict
from worker.crm.profile_rows import insert_profiles
from worker.domain.errors import Refused
from worker.domain.profiles import ADMINISTRATOR, STANDARD
from worker.domain.text import clean
from worker.store.bulk import insert_rows
from worker.store.database import Database
from worker.store.ids import allocate
from worker.store.tables import AccountRow, UserRow

DEFAULT_NAME = "Default"
"""The account that the first user is put into where nobody has made one."""

MOST_NAMED = 10
"""How many of the possible answers a refusal names."""


@dataclass(frozen=True, slots=True)
class Account:
    """One customer of the CRM."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class AccountSummary:
    """An account as a list shows it."""

    id: int
    name: str
    users: int
    created_at: datetime


@again_on_conflict
def add_account(database: Database, name: str, *, now: datetime) -> Account:
    """Make an account with the profiles Administrator and Standard.

    Raises:
        Refused: when there is one of that name.
    """
    shown = name_of_thing(name, "account")
    with database.begin() as connection:
        if _find(connection, shown) is not None:
            raise Refused(f"there is an account {shown} already: choose another name")
        return _insert(connection, shown, now)


def list_accounts(database: Database) -> list[AccountSummary]:
    """Every account, by name."""
    users = (
        select(func.count())
        .where(col(UserRow.account_id) == col(AccountRow.id))
        .correlate(AccountRow)
        .scalar_subquery()
    )
    query = select(col(AccountRow.id), col(AccountRow.name), users, col(AccountRow.created_at)).order_by(
        col(AccountRow.name_key)
    )
    with database.read() as connection:
        return [AccountSummary(*row) for row in connection.execute(query)]


def find_account(connection: Connection, name: str | None) -> Account:
    """The account of that name; without a name the only one, or the empty one that stands for the first to come.

    Raises:
        Refused: when there is none of that name, or more than one to choose from.
    """
    if name is not None:
        account = _find(connection, name)
        if account is None:
            raise Refused(f"no account {clean(name, 80)!r}: {_choices(connection)}")
        return account
    accounts = [Account(*row) for row in connection.execute(_ACCOUNTS.limit(2))]
    if len(accounts) > 1:
        raise Refused(f"there are several accounts, name one with --account: {_choices(connection)}")
    return accounts[0] if accounts else _STILL_TO_COME


def find_or_make_account(connection: Connection, name: str | None, now: datetime) -> Account:
    """The same, but where there is no account at all the default one is made."""
    if name is None and connection.execute(_ACCOUNTS.limit(1)).first() is None:
        return _insert(connection, DEFAULT_NAME, now)
    return find_account(connection, name)


def name_of_thing(name: str, thing: str) -> str:
    """A name that an administrator typed, fit to be shown.

    Raises:
        Refused: when nothing of it can be shown.
    """
    shown = clean(name, 200)
    if not shown:
        raise Refused(f"the {thing} needs a name of letters that can be shown")
    return shown


_STILL_TO_COME = Account(0, DEFAULT_NAME)
"""No row has this number: whatever is looked for in it, nothing is found."""

_ACCOUNTS = select(col(AccountRow.id), col(AccountRow.name)).order_by(col(AccountRow.name_key))


def _find(connection: Connection, name: str) -> Account | None:
    row = connection.execute(_ACCOUNTS.where(col(AccountRow.name_key) == clean(name, 200).casefold())).first()
    return Account(*row) if row else None


def _insert(connection: Connection, name: str, now: datetime) -> Account:
    (account_id,) = allocate(connection, AccountRow, 1)
    row = {"id": account_id, "name": name, "name_key": name.casefold(), "created_at": now}
    insert_rows(connection, AccountRow, [row])
    insert_profiles(connection, account_id, [ADMINISTRATOR, STANDARD])
    return Account(account_id, name)


def _choices(connection: Connection) -> str:
    names = [row.name for row in connection.execute(_ACCOUNTS.limit(MOST_NAMED + 1))]
    shown = ", ".join(names[:MOST_NAMED]) or "there is none yet"
    return shown + (", …" if len(names) > MOST_NAMED else "")
