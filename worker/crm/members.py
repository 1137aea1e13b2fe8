"""A user of an account as the commands need to know it: the login, and what the profile allows."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, select
from sqlmodel import col

from worker.crm.accounts import MOST_NAMED, Account
from worker.crm.profile_rows import PERMISSIONS, permissions_in
from worker.domain.addresses import Address, NotAnAddress
from worker.domain.errors import Refused
from worker.domain.patterns import SearchPattern
from worker.domain.profiles import Permission
from worker.domain.text import clean
from worker.store.tables import ProfileRow, UserRow


@dataclass(frozen=True, slots=True)
class Member:
    """A user with what the rules ask about."""

    account: Account
    id: int
    login: str
    enabled: bool
    pattern: SearchPattern
    profile: str
    permissions: frozenset[Permission]

    @property
    def may_have_dropbox(self) -> bool:
        """R9."""
        return Permission.BCC_DROPBOX in self.permissions


def find_member(connection: Connection, account: Account, login: str, *, lock: bool = False) -> Member:
    """The user of that login, in whatever case it is typed.

    ``lock`` makes others who ask so wait until this transaction ends (PostgreSQL; SQLite has one writer anyway).

    Raises:
        Refused: when there is none.
    """
    query = members_of(account).where(col(UserRow.login_key) == _key_of(login))
    row = connection.execute(query.with_for_update(of=UserRow) if lock else query).first()
    if row is None:
        raise Refused(f"no user {clean(login, 80)} in account {account.name}: {_choices(connection, account)}")
    return member_in(row, account)


def members_of(account: Account) -> Select[*tuple[Any, ...]]:
    """The account's users by login."""
    return (
        select(
            col(UserRow.id),
            col(UserRow.login),
            col(UserRow.enabled),
            col(UserRow.pattern),
            col(ProfileRow.name).label("profile"),
            *PERMISSIONS.values(),
        )
        .join(
            ProfileRow,
            and_(
                col(ProfileRow.account_id) == col(UserRow.account_id),
                col(ProfileRow.id) == col(UserRow.profile_id),
            ),
        )
        .where(col(UserRow.account_id) == account.id)
        .order_by(col(UserRow.login_key))
    )


def member_in(row: Row[*tuple[Any, ...]], account: Account) -> Member:
    """A row of `members_of`."""
    pattern = SearchPattern(row.pattern)
    return Member(account, row.id, row.login, row.enabled, pattern, row.profile, permissions_in(row))


def address_of(text: str, what: str) -> Address:
    """An address that somebody typed.

    Raises:
        Refused: when it is none.
    """
    try:
        return Address.parse(text)
    except NotAnAddress as error:
        raise Refused(f"{what} must be an e-mail address like jane@example.com, not {clean(text, 80)!r}") from error


def _key_of(login: str) -> str:
    return address_of(login, "the user").key


def _choices(connection: Connection, account: Account) -> str:
    logins = [row.login for row in connection.execute(members_of(account).limit(MOST_NAMED + 1))]
    if not logins:
        return "it has none yet, `user add LOGIN` makes one"
    return "there are " + ", ".join(logins[:MOST_NAMED]) + (", …" if len(logins) > MOST_NAMED else "")
