"""Profiles: made and changed only by a user whose own profile has `manage_profiles` (R7, R8)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, update
from sqlmodel import col

from worker.crm.work import IS_USER, PERMISSIONS, Crm, Work, name_of_thing, permissions_in
from worker.domain.errors import Refused
from worker.domain.permissions import Permission, Profile, later_profile, require_profile_manager
from worker.domain.text import clean
from worker.retries import retry_on_conflict
from worker.store.bulk import insert_rows
from worker.store.ids import allocate
from worker.store.tables import ProfileRow, UserRow


@dataclass(frozen=True, slots=True)
class StoredProfile:
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
        insert_profiles(work.connection, work.account.id, [profile])
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
            .where(col(UserRow.account_id) == work.account.id, IS_USER)
            .group_by(col(UserRow.profile_id))
        )
        users = {row.profile_id: row.number for row in work.connection.execute(counts)}
        return [ProfileSummary(stored.profile, users.get(stored.id, 0)) for stored in _profiles_of(work)]


def find_profile(work: Work, name: str) -> StoredProfile:
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


def insert_profiles(connection: Connection, account_id: int, profiles: Sequence[Profile]) -> None:
    """Write new profiles of an account.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
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
    with crm.begin() as work:
        work.lock_account()
        _require_manager(work, acting)
        stored = find_profile(work, name)
        profile = change(stored.profile)
        work.connection.execute(
            update(ProfileRow)
            .where(col(ProfileRow.account_id) == work.account.id, col(ProfileRow.id) == stored.id)
            .values(_permission_columns(profile))
        )
        _require_managing_profile(work)
    return profile


def _profiles_of(work: Work) -> list[StoredProfile]:
    """Read the account's profiles by name."""
    columns = (col(ProfileRow.id), col(ProfileRow.name), *PERMISSIONS.values())
    query = select(*columns).where(col(ProfileRow.account_id) == work.account.id).order_by(col(ProfileRow.name_key))
    return [StoredProfile(row.id, Profile(row.name, permissions_in(row))) for row in work.connection.execute(query)]


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
