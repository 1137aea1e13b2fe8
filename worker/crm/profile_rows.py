"""Profiles between their four columns and the domain's set of permissions (R7)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, select
from sqlmodel import col

from worker.domain.profiles import Permission, Profile
from worker.store.bulk import insert_rows
from worker.store.ids import allocate
from worker.store.tables import ProfileRow

PERMISSIONS = {permission: col(getattr(ProfileRow, permission.value)) for permission in Permission}
"""The column that says whether a profile has the permission."""


@dataclass(frozen=True, slots=True)
class StoredProfile:
    """A profile and its number within the account."""

    id: int
    profile: Profile


def insert_profiles(connection: Connection, account_id: int, profiles: Sequence[Profile]) -> None:
    """Write new profiles of an account."""
    ids = allocate(connection, ProfileRow, len(profiles))
    rows = [
        {
            "account_id": account_id,
            "id": profile_id,
            "name": profile.name,
            "name_key": profile.name.casefold(),
            **permission_columns(profile),
        }
        for profile_id, profile in zip(ids, profiles, strict=True)
    ]
    insert_rows(connection, ProfileRow, rows)


def permission_columns(profile: Profile) -> dict[str, bool]:
    """The four columns."""
    return {permission.value: permission in profile.permissions for permission in Permission}


def permissions_in(row: Row[*tuple[Any, ...]]) -> frozenset[Permission]:
    """The permissions in a row that has the four columns."""
    return frozenset(permission for permission in Permission if getattr(row, permission.value))


def profiles_of(account_id: int) -> Select[*tuple[Any, ...]]:
    """The account's profiles by name."""
    columns = (col(ProfileRow.id), col(ProfileRow.name), *PERMISSIONS.values())
    return select(*columns).where(col(ProfileRow.account_id) == account_id).order_by(col(ProfileRow.name_key))


def stored_profile(row: Row[*tuple[Any, ...]]) -> StoredProfile:
    """A row of `profiles_of`."""
    return StoredProfile(row.id, Profile(row.name, permissions_in(row)))
