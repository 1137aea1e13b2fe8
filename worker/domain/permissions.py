"""What a user may do (R7 to R10), and which modules a search pattern searches and writes (R15)."""

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache

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


class Module(StrEnum):
    """A part of the CRM that holds records."""

    LEAD = "lead"
    CONTACT = "contact"

    @property
    def permission(self) -> Permission:
        """Permission that searching and writing this module needs (R10)."""
        return Permission.LEADS if self is Module.LEAD else Permission.CONTACTS


class SearchPattern(StrEnum):
    """The five patterns of R15, by the names that users type."""

    CONTACTS_OR_NEW_CONTACT = "contacts-or-new-contact"
    LEADS_OR_NEW_LEAD = "leads-or-new-lead"
    CONTACTS_THEN_LEADS_OR_NEW_LEAD = "contacts-then-leads-or-new-lead"
    CONTACTS_THEN_LEADS_OR_NEW_CONTACT = "contacts-then-leads-or-new-contact"
    CONTACTS_THEN_LEADS_ONLY = "contacts-then-leads-only"


DEFAULT_PATTERN = SearchPattern.CONTACTS_THEN_LEADS_OR_NEW_CONTACT


@dataclass(frozen=True, slots=True)
class Search:
    """The modules that a pattern searches, in order, and the module in which it makes a new record."""

    modules: tuple[Module, ...]
    makes: Module | None

    def allowed_by(self, permissions: frozenset[Permission]) -> "Search":
        """Return the search without the modules that the owner has no permission for (R10)."""
        return Search(
            tuple(module for module in self.modules if module.permission in permissions),
            self.makes if self.makes and self.makes.permission in permissions else None,
        )

    @property
    def is_empty(self) -> bool:
        """True when there is nothing to search and nothing to make."""
        return not self.modules and self.makes is None


_BOTH = (Module.CONTACT, Module.LEAD)
_SEARCHES = {
    SearchPattern.CONTACTS_OR_NEW_CONTACT: Search((Module.CONTACT,), Module.CONTACT),
    SearchPattern.LEADS_OR_NEW_LEAD: Search((Module.LEAD,), Module.LEAD),
    SearchPattern.CONTACTS_THEN_LEADS_OR_NEW_LEAD: Search(_BOTH, Module.LEAD),
    SearchPattern.CONTACTS_THEN_LEADS_OR_NEW_CONTACT: Search(_BOTH, Module.CONTACT),
    SearchPattern.CONTACTS_THEN_LEADS_ONLY: Search(_BOTH, None),
}


@cache
def search_of(pattern: SearchPattern, permissions: frozenset[Permission]) -> Search:
    """Return what the pattern searches and makes for an owner with these permissions (R10, R15)."""
    return _SEARCHES[pattern].allowed_by(permissions)
