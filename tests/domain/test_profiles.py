"""R7 to R10."""

import pytest

from worker.domain.errors import Refused
from worker.domain.permissions import (
    ADMINISTRATOR,
    STANDARD,
    Permission,
    later_profile,
    require_dropbox,
    require_pattern_change,
    require_profile_manager,
)

DROPBOX, LEADS, CONTACTS, MANAGE = Permission


def test_each_account_starts_with_administrator_and_standard() -> None:
    # R7
    assert ADMINISTRATOR.permissions == {DROPBOX, LEADS, CONTACTS, MANAGE}
    assert STANDARD.permissions == {DROPBOX, LEADS, CONTACTS}


def test_a_profile_made_later_has_leads_and_contacts() -> None:
    # R7
    assert later_profile("Assistants").permissions == {LEADS, CONTACTS}


def test_permissions_are_granted_and_revoked_one_at_a_time() -> None:
    granted = later_profile("Assistants").granting(DROPBOX)
    assert granted.permissions == STANDARD.permissions
    assert granted.revoking(DROPBOX).permissions == {LEADS, CONTACTS}


def test_only_a_manager_of_profiles_may_change_one() -> None:
    # R8
    require_profile_manager("ann@sales.example", ADMINISTRATOR.permissions)
    with pytest.raises(Refused, match=r"ann@sales\.example may not manage profiles.*manage_profiles"):
        require_profile_manager("ann@sales.example", STANDARD.permissions)


def test_without_bcc_dropbox_there_is_no_dropbox() -> None:
    # R9
    require_dropbox("jane@sales.example", STANDARD.permissions)
    with pytest.raises(Refused, match="the profile lacks bcc_dropbox"):
        require_dropbox("jane@sales.example", frozenset(Permission) - {DROPBOX})


@pytest.mark.parametrize(
    ("missing", "named"), [({LEADS}, "leads"), ({CONTACTS}, "contacts"), ({LEADS, CONTACTS}, "leads and contacts")]
)
def test_without_leads_or_contacts_the_pattern_cannot_be_changed(missing: set[Permission], named: str) -> None:
    # R10
    require_pattern_change("jane@sales.example", STANDARD.permissions)
    with pytest.raises(Refused, match=f"lacks {named}$"):
        require_pattern_change("jane@sales.example", STANDARD.permissions - missing)
