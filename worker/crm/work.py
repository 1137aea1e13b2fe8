"""One unit of work on the CRM: a transaction, the account that it is about, and the users of that account."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, select
from sqlmodel import col

from worker.domain.addresses import Address, NotAnAddress
from worker.domain.errors import Refused
from worker.domain.permissions import Permission, SearchPattern
from worker.domain.text import clean
from worker.store.database import Database
from worker.store.tables import AccountRow, ProfileRow, UserRow

DEFAULT_NAME = "Default"
"""The name of the account that is made with the first user or record."""

MOST_NAMED = 10
"""How many of the possible answers an error names."""

PERMISSIONS = {permission: col(getattr(ProfileRow, permission.value)) for permission in Permission}
"""The column that says whether a profile has the permission."""

IS_USER = col(UserRow.login_key).contains("@")
"""False for the row that a removed user leaves, whose login is no address."""


@dataclass(frozen=True, slots=True)
class Account:
    """One customer of the CRM."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class User:
    """A user of an account, and what the user's profile allows."""

    account: Account
    id: int
    login: str
    enabled: bool
    pattern: SearchPattern
    profile: str
    permissions: frozenset[Permission]

    @property
    def may_have_dropbox(self) -> bool:
        """The profile has the permission `bcc_dropbox` (R9)."""
        return Permission.BCC_DROPBOX in self.permissions


@dataclass(frozen=True, slots=True)
class By:
    """The person who makes a change, and the time; without a login it is the operator."""

    login: str | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Crm:
    """The CRM on a database. ``account`` is the name of the account to work on, None where there is only one."""

    database: Database
    account: str | None = None

    @contextmanager
    def begin(self) -> Iterator["Work"]:
        """Begin one unit of work that may write; commits at the end, rolls back on any exception.

        Raises:
            Conflict: when somebody else wrote the same thing first (see `retry_on_conflict`).
            Unavailable: when the database is down.
        """
        with self.database.begin() as connection:
            yield Work(connection, self.account)

    @contextmanager
    def read(self) -> Iterator["Work"]:
        """Begin one unit of work that only reads, all of it as of one moment.

        Raises:
            Unavailable: when the database is down.
        """
        with self.database.read() as connection:
            yield Work(connection, self.account)


class Work:
    """One transaction on the CRM."""

    def __init__(self, connection: Connection, account_name: str | None = None) -> None:
        self.connection = connection
        self.account_name = account_name

    @cached_property
    def account(self) -> Account:
        """The account that was named, else the only one. In an empty database it has no rows.

        Raises:
            Refused: when no account has that name, or there are several and no name was given.
        """
        if self.account_name is not None:
            account = account_named(self.connection, self.account_name)
            if account is None:
                named = clean(self.account_name, 80)
                known = _account_names(self.connection)
                verb = "are" if ", " in known else "is"
                raise Refused(f"no account {named!r}: there {verb} {known}", "account_unknown")
            return account
        accounts = [Account(*row) for row in self.connection.execute(_ACCOUNTS.limit(2))]
        if len(accounts) > 1:
            raise Refused(f"there are several accounts: {_account_names(self.connection)}", "account_unnamed")
        return accounts[0] if accounts else _NO_ACCOUNT

    @property
    def has_account(self) -> bool:
        """An account was named, or there is one.

        Raises:
            Unavailable: the database is down.
        """
        return self.account_name is not None or self.connection.execute(_ACCOUNTS.limit(1)).first() is not None

    def owns(self, row: Any) -> ColumnElement[bool]:
        """Return the condition that a row of this table is the account's.

        Raises:
            Refused: as `account` does.
        """
        return col(row.account_id) == self.account.id

    def user(self, login: str, *, lock: bool = False) -> User:
        """Find a user by login, without regard to case.

        ``lock`` makes others who ask so wait until this transaction ends (PostgreSQL; SQLite has one writer anyway).

        Raises:
            Refused: when there is no such user.
        """
        query = users_of(self.account).where(col(UserRow.login_key) == address_of(login, "the user").key)
        row = self.connection.execute(query.with_for_update(of=UserRow) if lock else query).first()
        if row is None:
            raise self._no_user(login)
        return user_in(row, self.account)

    def lock_account(self) -> None:
        """Let changes that must agree with each other pass one by one.

        Raises:
            Conflict, Unavailable: others wrote the same rows first, or the database is down.
        """
        locked = select(col(AccountRow.id)).where(col(AccountRow.id) == self.account.id).with_for_update()
        self.connection.execute(locked)

    def _no_user(self, login: str) -> Refused:
        logins = [row.login for row in self.connection.execute(users_of(self.account).limit(MOST_NAMED + 1))]
        text = f"no user {clean(login, 80)} in account {self.account.name}"
        if not logins:
            return Refused(f"{text}: it has none yet", "no_users")
        more = ", …" if len(logins) > MOST_NAMED else ""
        return Refused(f"{text}: there are {', '.join(logins[:MOST_NAMED])}{more}", "user_unknown")


def account_named(connection: Connection, name: str) -> Account | None:
    """Find an account by name, without regard to case.

    Raises:
        Unavailable: the database is down.
    """
    row = connection.execute(_ACCOUNTS.where(col(AccountRow.name_key) == clean(name, 200).casefold())).first()
    return Account(*row) if row else None


def users_of(account: Account) -> Select[*tuple[Any, ...]]:
    """Select the account's users by login."""
    columns = (col(UserRow.id), col(UserRow.login), col(UserRow.enabled), col(UserRow.pattern))
    return (
        select(*columns, col(ProfileRow.name).label("profile"), *PERMISSIONS.values())
        .join_from(UserRow, ProfileRow)
        .where(col(UserRow.account_id) == account.id, IS_USER)
        .order_by(col(UserRow.login_key))
    )


def of_user(row: Any, user: User) -> ColumnElement[bool]:
    """Return the condition that a row of this table belongs to the user, or is the user's own."""
    number = row.id if row is UserRow else row.user_id
    return and_(col(row.account_id) == user.account.id, col(number) == user.id)


def user_in(row: Row[*tuple[Any, ...]], account: Account) -> User:
    """Read a row of `users_of`."""
    return User(account, row.id, row.login, row.enabled, SearchPattern(row.pattern), row.profile, permissions_in(row))


def permissions_in(row: Row[*tuple[Any, ...]]) -> frozenset[Permission]:
    """Read the permissions of a row that has the four columns."""
    return frozenset(permission for permission in Permission if getattr(row, permission.value))


def address_of(text: str, what: str) -> Address:
    """Read an address that somebody typed.

    Raises:
        Refused: when the text is no address.
    """
    try:
        return Address.parse(text)
    except NotAnAddress as error:
        raise Refused(
            f"{what} must be an e-mail address like jane@example.com, not {clean(text, 80)!r}", "not_an_address"
        ) from error


def sending_address_of(text: str, what: str) -> Address:
    """Read an address that somebody typed and is going to send from (R12).

    Raises:
        Refused: when it is no address, or a From with it could prove nobody.
    """
    address = address_of(text, what)
    if address.has_odd_dots:
        raise Refused(
            f"{what} cannot be {clean(address.text, 80)!r}: with a dot first, last or after another it proves nobody"
            " in From (RFC 5322)",
            "not_an_address",
        )
    return address


def name_of_thing(name: str, thing: str) -> str:
    """Read a name that an administrator typed.

    Raises:
        Refused: when nothing of it can be shown.
    """
    shown = clean(name, 200)
    if not shown:
        raise Refused(f"the {thing} needs a name of letters that can be shown", "name_empty")
    return shown


_NO_ACCOUNT = Account(0, DEFAULT_NAME)
"""Placeholder for an empty database; ID 0 matches no row."""

_ACCOUNTS = select(col(AccountRow.id), col(AccountRow.name)).order_by(col(AccountRow.name_key))


def _account_names(connection: Connection) -> str:
    names = [row.name for row in connection.execute(_ACCOUNTS.limit(MOST_NAMED + 1))]
    shown = ", ".join(names[:MOST_NAMED]) or "none yet"
    return shown + (", …" if len(names) > MOST_NAMED else "")
