"""Profiles: made and changed only by a user whose own profile has `manage_profiles` (R7, R8)."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, update
from sqlmodel import col

from worker.crm.accounts import Account, find_account, name_of_thing
from worker.crm.conflict import again_on_conflict
from worker.crm.members import find_member
from worker.crm.office import Office
from worker.crm.profile_rows import (
    StoredProfile,
    insert_profiles,
    permission_columns,
    profiles_of,
    stored_profile,
)
from worker.domain.errors import Refused
from worker.domain.profiles import Permission, Profile, later_profile, require_profile_manager
from worker.domain.text import clean
from worker.store.tables import AccountRow, ProfileRow, UserRow


@dataclass(frozen=True, slots=True)
class ProfileSummary:
    """A profile as a list shows it."""

    profile: Profile
    users: int


@again_on_conflict
def add_profile(office: Office, name: str, *, acting: str) -> Profile:
    """Make a profile; it begins with `leads` and `contacts`.

    Raises:
        Refused: when the acting user may not (R8), or there is one of that name.
    """
    profile = later_profile(name_of_thing(name, "profile"))
    with office.database.begin() as connection:
        account = find_account(connection, office.account)
        _require_manager(connection, account, acting)
        names = [stored_profile(row).profile.name for row in connection.execute(profiles_of(account.id))]
        if profile.name.casefold() in map(str.casefold, names):
            raise Refused(f"account {account.name} has a profile {profile.name} already: choose another name")
        insert_profiles(connection, account.id, [profile])
    return profile


def grant(office: Office, name: str, permission: Permission, *, acting: str) -> Profile:
    """Give a profile a permission (R8)."""
    return _change(office, name, lambda profile: profile.granting(permission), acting)


def revoke(office: Office, name: str, permission: Permission, *, acting: str) -> Profile:
    """Take a permission from a profile (R8); the last way to manage profiles cannot be taken."""
    return _change(office, name, lambda profile: profile.revoking(permission), acting)


def list_profiles(office: Office) -> list[ProfileSummary]:
    """The account's profiles, by name."""
    with office.database.read() as connection:
        account = find_account(connection, office.account)
        counts = (
            select(col(UserRow.profile_id), func.count().label("number"))
            .where(col(UserRow.account_id) == account.id)
            .group_by(col(UserRow.profile_id))
        )
        users = {row.profile_id: row.number for row in connection.execute(counts)}
        found = [stored_profile(row) for row in connection.execute(profiles_of(account.id))]
    return [ProfileSummary(stored.profile, users.get(stored.id, 0)) for stored in found]


def find_profile(connection: Connection, account: Account, name: str) -> StoredProfile:
    """The profile of that name, in whatever case it is typed.

    Raises:
        Refused: when there is none.
    """
    found = {
        stored.profile.name.casefold(): stored
        for stored in map(stored_profile, connection.execute(profiles_of(account.id)))
    }
    profile = found.get(clean(name, 200).casefold())
    if profile is None:
        names = ", ".join(stored.profile.name for stored in found.values())
        raise Refused(f"no profile {clean(name, 80)!r} in account {account.name}: there are {names}")
    return profile


def lock_account(connection: Connection, account: Account) -> None:
    """Let changes that must agree with each other pass one by one."""
    connection.execute(select(col(AccountRow.id)).where(col(AccountRow.id) == account.id).with_for_update())


def _change(office: Office, name: str, change: Callable[[Profile], Profile], acting: str) -> Profile:
    with office.database.begin() as connection:
        account = find_account(connection, office.account)
        lock_account(connection, account)
        _require_manager(connection, account, acting)
        stored = find_profile(connection, account, name)
        profile = change(stored.profile)
        connection.execute(
            update(ProfileRow)
            .where(col(ProfileRow.account_id) == account.id, col(ProfileRow.id) == stored.id)
            .values(permission_columns(profile))
        )
        _require_managing_profile(connection, account)
    return profile


def _require_managing_profile(connection: Connection, account: Account) -> None:
    """Once no profile may manage profiles, nobody could ever give that permission back."""
    profiles = [stored_profile(row).profile for row in connection.execute(profiles_of(account.id))]
    if not any(Permission.MANAGE_PROFILES in profile.permissions for profile in profiles):
        raise Refused(
            f"no profile of account {account.name} would have manage_profiles any more: grant it to another one first"
        )


def _require_manager(connection: Connection, account: Account, acting: str) -> None:
    member = find_member(connection, account, acting)
    if not member.enabled:
        raise Refused(f"{member.login} is disabled: name an enabled user with manage_profiles")
    require_profile_manager(member.login, member.permissions)
