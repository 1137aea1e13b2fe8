"""Search patterns: the modules that are searched for a recipient, and the module of a new record (R15)."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from worker.domain.profiles import Permission


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
