"""Profiles and who may change them (R7, R8)."""

from functools import partial

import pytest

from tests.harness.crm import NOW
from worker.crm import accounts, users
from worker.crm.work import Crm
from worker.domain.errors import Refused
from worker.domain.permissions import ADMINISTRATOR, STANDARD, Permission


def test_an_account_starts_with_two_profiles(crm: Crm, jane: str) -> None:
    assert [(s.profile, s.users) for s in accounts.list_profiles(crm)] == [(ADMINISTRATOR, 1), (STANDARD, 0)]


def test_a_profile_made_later_has_leads_and_contacts(crm: Crm, jane: str) -> None:
    profile = accounts.add_profile(crm, "Sales", acting=jane)
    assert profile.permissions == {Permission.LEADS, Permission.CONTACTS}
    assert profile in [summary.profile for summary in accounts.list_profiles(crm)]


def test_without_manage_profiles_nothing_is_changed(crm: Crm, ben: str) -> None:
    before = accounts.list_profiles(crm)
    attempts = (
        partial(accounts.add_profile, crm, "Sales", acting=ben),
        partial(accounts.grant, crm, "Standard", Permission.MANAGE_PROFILES, acting=ben),
        partial(accounts.revoke, crm, "Administrator", Permission.LEADS, acting=ben),
    )
    for attempt in attempts:
        with pytest.raises(Refused, match="manage_profiles"):
            attempt()
    assert accounts.list_profiles(crm) == before


def test_a_granted_permission_is_there_and_a_revoked_one_is_gone(crm: Crm, ben: str, jane: str) -> None:
    assert (
        Permission.MANAGE_PROFILES
        in accounts.grant(crm, "STANDARD", Permission.MANAGE_PROFILES, acting=jane).permissions
    )
    accounts.revoke(crm, "Administrator", Permission.MANAGE_PROFILES, acting=ben)
    with pytest.raises(Refused, match="manage_profiles"):
        accounts.add_profile(crm, "Sales", acting=jane)


def test_the_last_profile_that_manages_profiles_keeps_it(crm: Crm, jane: str) -> None:
    with pytest.raises(Refused, match="grant it to another one first"):
        accounts.revoke(crm, "Administrator", Permission.MANAGE_PROFILES, acting=jane)
    accounts.add_profile(crm, "Sales", acting=jane)


def test_a_profile_is_made_once_in_any_case(crm: Crm, jane: str) -> None:
    with pytest.raises(Refused, match="choose another name"):
        accounts.add_profile(crm, "administrator", acting=jane)


def test_a_disabled_manager_may_not(crm: Crm, jane: str) -> None:
    users.disable_user(crm, jane)
    with pytest.raises(Refused, match="disabled"):
        accounts.add_profile(crm, "Sales", acting=jane)


def test_a_manager_of_one_account_is_nobody_in_another(crm: Crm, jane: str) -> None:
    accounts.add_account(crm, "Other", now=NOW)
    with pytest.raises(Refused, match="no user"):
        accounts.add_profile(Crm(crm.database, "Other"), "Sales", acting=jane)
