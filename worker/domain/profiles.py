"""Profiles and their four permissions (R7 to R10)."""

from dataclasses import dataclass, replace
from enum import StrEnum

from worker.domain.errors import Refused


class Permission(StrEnum):
    """A permission that a profile can grant (R7)."""

    BCC_DROPBOX = "bcc_dropbox"
    LEADS = "leads"
    CONTACTS = "contacts"
    MANAGE_PROFILES = "manage_profiles"


@dataclass(frozen=True, slots=True)
class Profile:
    """A named set of permissions within an account."""

    name: str
    permissions: frozenset[Permission]

    def granting(self, permission: Permission) -> "Profile":
        """Return the profile with the permission."""
        return replace(self, permissions=self.permissions | {permission})

    def revoking(self, permission: Permission) -> "Profile":
        """Return the profile without the permission."""
        return replace(self, permissions=self.permissions - {permission})


ADMINISTRATOR = Profile("Administrator", frozenset(Permission))
STANDARD = Profile("Standard", frozenset(Permission) - {Permission.MANAGE_PROFILES})


def later_profile(name: str) -> Profile:
    """Return a profile as it is made after the account: with ``leads`` and ``contacts`` (R7)."""
    return Profile(name, frozenset({Permission.LEADS, Permission.CONTACTS}))


def require_profile_manager(login: str, permissions: frozenset[Permission]) -> None:
    """Refuse a user who may not change profiles (R8).

    Raises:
        Refused: when the acting user's profile has no ``manage_profiles``.
    """
    if Permission.MANAGE_PROFILES not in permissions:
        raise Refused(f"{login} may not manage profiles: that needs a profile with manage_profiles")


def require_dropbox(login: str, permissions: frozenset[Permission]) -> None:
    """Refuse a user whose profile allows no dropbox (R9).

    Raises:
        Refused: when the user's profile has no ``bcc_dropbox``.
    """
    if Permission.BCC_DROPBOX not in permissions:
        raise Refused(f"{login} has no dropbox: the profile lacks bcc_dropbox", "no_dropbox")


def require_pattern_change(login: str, permissions: frozenset[Permission]) -> None:
    """Refuse a user without `leads` or without `contacts` (R10).

    Raises:
        Refused: without ``leads`` or without ``contacts`` the search pattern cannot be changed.
    """
    missing = [p.value for p in (Permission.LEADS, Permission.CONTACTS) if p not in permissions]
    if missing:
        raise Refused(f"{login} cannot change the search pattern: the profile lacks {' and '.join(missing)}")
