"""Accounts: each is made with two profiles, which only managers change (R7, R8), and has a never-log list (R14)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, func, select, update
from sqlmodel import col

from worker.crm.work import (
    DEFAULT_NAME,
    IS_USER,
    PERMISSIONS,
    Account,
    Crm,
    Work,
    account_named,
    name_of_thing,
    permissions_in,
)
from worker.domain.addresses import Address, NotAnAddress, domain_in_idna
from worker.domain.errors import Refused
from worker.domain.permissions import (
    ADMINISTRATOR,
    STANDARD,
    Permission,
    Profile,
    later_profile,
    require_profile_manager,
)
from worker.domain.records import RecordNames
from worker.domain.text import clean
from worker.retries import retry_on_conflict
from worker.store.inserts import allocate, insert_rows
from worker.store.tables import AccountRow, NeverLogRow, ProfileRow, UserRow


@dataclass(frozen=True, slots=True)
class _StoredProfile:
    """A profile and its number within the account."""

    id: int
    profile: Profile


@dataclass(frozen=True, slots=True)
class ProfileSummary:
    """A profile as a list shows it."""

    profile: Profile
    users: int


@retry_on_conflict
def add_profile(crm: Crm, name: str, *, acting: str) -> Profile:
    """Make a profile; it begins with `leads` and `contacts`.

    Raises:
        Refused: when the acting user may not (R8), or there is one of that name.
    """
    profile = later_profile(name_of_thing(name, "profile"))
    with crm.begin() as work:
        _require_manager(work, acting)
        names = [stored.profile.name for stored in _profiles_of(work)]
        if profile.name.casefold() in map(str.casefold, names):
            raise Refused(
                f"account {work.account.name} has a profile {profile.name} already: choose another name",
                "profile_exists",
            )
        _insert_profiles(work.connection, work.account.id, [profile])
    return profile


def grant(crm: Crm, name: str, permission: Permission, *, acting: str) -> Profile:
    """Give a profile a permission (R8).

    Raises:
        Refused: when the acting user may not, or there is no such profile.
    """
    return _change(crm, name, lambda profile: profile.granting(permission), acting)


def revoke(crm: Crm, name: str, permission: Permission, *, acting: str) -> Profile:
    """Take a permission from a profile (R8).

    Raises:
        Refused: when the acting user may not, there is no such profile, or no profile could manage profiles any more.
    """
    return _change(crm, name, lambda profile: profile.revoking(permission), acting)


def list_profiles(crm: Crm) -> list[ProfileSummary]:
    """List the account's profiles by name.

    Raises:
        Refused: there is no such account, or there are several and none is named.
        Unavailable: the database is down.
    """
    with crm.read() as work:
        counts = (
            select(col(UserRow.profile_id), func.count().label("number"))
            .where(work.owns(UserRow), IS_USER)
            .group_by(col(UserRow.profile_id))
        )
        users = {row.profile_id: row.number for row in work.connection.execute(counts)}
        return [ProfileSummary(stored.profile, users.get(stored.id, 0)) for stored in _profiles_of(work)]


def find_profile(work: Work, name: str) -> _StoredProfile:
    """Find a profile by name, without regard to case.

    Raises:
        Refused: when there is no such profile.
    """
    found = {stored.profile.name.casefold(): stored for stored in _profiles_of(work)}
    profile = found.get(clean(name, 200).casefold())
    if profile is None:
        names = ", ".join(stored.profile.name for stored in found.values())
        raise Refused(
            f"no profile {clean(name, 80)!r} in account {work.account.name}: there are {names}", "profile_unknown"
        )
    return profile


def _insert_profiles(connection: Connection, account_id: int, profiles: Sequence[Profile]) -> None:
    """Write new profiles of an account."""
    ids = allocate(connection, ProfileRow, len(profiles))
    rows = [
        {
            "account_id": account_id,
            "id": profile_id,
            "name": profile.name,
            "name_key": profile.name.casefold(),
            **_permission_columns(profile),
        }
        for profile_id, profile in zip(ids, profiles, strict=True)
    ]
    insert_rows(connection, ProfileRow, rows)


def _change(crm: Crm, name: str, change: Callable[[Profile], Profile], acting: str) -> Profile:
    """Change a profile for a user who manages profiles."""
    with crm.begin() as work:
        work.lock_account()
        _require_manager(work, acting)
        stored = find_profile(work, name)
        profile = change(stored.profile)
        work.connection.execute(
            update(ProfileRow)
            .where(work.owns(ProfileRow), col(ProfileRow.id) == stored.id)
            .values(_permission_columns(profile))
        )
        _require_managing_profile(work)
    return profile


def _profiles_of(work: Work) -> list[_StoredProfile]:
    """Read the account's profiles by name."""
    columns = (col(ProfileRow.id), col(ProfileRow.name), *PERMISSIONS.values())
    query = select(*columns).where(work.owns(ProfileRow)).order_by(col(ProfileRow.name_key))
    return [_StoredProfile(row.id, Profile(row.name, permissions_in(row))) for row in work.connection.execute(query)]


def _permission_columns(profile: Profile) -> dict[str, bool]:
    return {permission.value: permission in profile.permissions for permission in Permission}


def _require_managing_profile(work: Work) -> None:
    """Refuse to take the last `manage_profiles`: nobody could ever give that permission back."""
    if not any(Permission.MANAGE_PROFILES in stored.profile.permissions for stored in _profiles_of(work)):
        raise Refused(
            f"no profile of account {work.account.name} would have manage_profiles any more:"
            " grant it to another one first",
            "last_profile_manager",
        )


def _require_manager(work: Work, acting: str) -> None:
    user = work.user(acting)
    if not user.enabled:
        raise Refused(f"{user.login} is disabled: name an enabled user with manage_profiles", "acting_user_disabled")
    require_profile_manager(user.login, user.permissions)


@dataclass(frozen=True, slots=True)
class AccountSummary:
    """An account as a list shows it, by the names of the JSON fields."""

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
    _insert_profiles(connection, account_id, [ADMINISTRATOR, STANDARD])
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


@retry_on_conflict
def never_log(crm: Crm, text: str, *, now: datetime) -> str:
    """Put an address or a domain on the list; returns the entry as it is compared.

    Raises:
        Refused: when it is neither, or is there already.
    """
    entry = _entry_of(text)
    with crm.begin() as work:
        make_first_account(work, now)
        found = select(col(NeverLogRow.entry)).where(work.owns(NeverLogRow), col(NeverLogRow.entry) == entry)
        if work.connection.scalar(found) is not None:
            raise Refused(
                f"{entry} is on the never-log list of account {work.account.name} already", "never_log_entry_exists"
            )
        insert_rows(work.connection, NeverLogRow, [{"account_id": work.account.id, "entry": entry}])
    return entry


def log_again(crm: Crm, text: str) -> str:
    """Take an entry off the list; returns the entry.

    Raises:
        Refused: when it is not there.
    """
    entry = _entry_of(text)
    with crm.begin() as work:
        removed = work.connection.execute(
            delete(NeverLogRow).where(work.owns(NeverLogRow), col(NeverLogRow.entry) == entry)
        )
        if not removed.rowcount:
            raise Refused(
                f"{entry} is not on the never-log list of account {work.account.name}", "never_log_entry_unknown"
            )
    return entry


def list_never_log(crm: Crm, *, limit: int | None) -> list[str]:
    """List the entries in alphabetical order.

    Raises:
        Refused: there is no such account, or there are several and none is named.
        Unavailable: the database is down.
    """
    with crm.read() as work:
        query = select(col(NeverLogRow.entry)).where(work.owns(NeverLogRow))
        return list(work.connection.scalars(query.order_by(col(NeverLogRow.entry)).limit(limit)))


def _entry_of(text: str) -> str:
    """Read a never-log entry: return the key of an address, or a domain."""
    trimmed = text.strip()
    try:
        if trimmed.lstrip("@").count("@"):
            return Address.parse(trimmed).key
        return _domain(trimmed.removeprefix("@"))
    except NotAnAddress as error:
        raise Refused(
            f"neither an address (boss@example.com) nor a domain (example.com): {clean(text, 80)!r}"
        ) from error


def _domain(text: str) -> str:
    domain = domain_in_idna(text)
    if "." not in domain:
        raise NotAnAddress(f"not a whole domain: {text[:80]!r}")
    return domain
