"""Users, accounts and dropboxes (R1, R2, R7, R9 to R11)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest

from tests.crm.conftest import BEN, JANE
from tests.harness.crm import NOW, Arrive, Rows
from worker.crm import accounts, users
from worker.crm.work import Crm
from worker.domain.errors import Refused
from worker.domain.outcomes import Outcome, Reason
from worker.domain.permissions import Permission, SearchPattern
from worker.domain.tokens import new_token
from worker.store.tables import TokenRow


def add(crm: Crm, login: str, profile: str | None = None) -> users.Dropbox:
    return users.add_user(crm, login, profile=profile, now=NOW)


def test_the_first_user_makes_the_default_account_and_administrates_it(crm: Crm) -> None:
    first = add(crm, JANE)
    second = add(crm, BEN)
    assert [account.name for account in accounts.list_accounts(crm)] == ["Default"]
    assert first.user.profile == "Administrator"
    assert second.user.profile == "Standard"
    assert first.senders == (JANE,)
    assert first.token is not None
    assert first.token != second.token


def test_the_login_is_the_first_sender_and_is_proven(crm: Crm, jane: str, arrive: Arrive) -> None:
    assert arrive(jane).deciding.outcome is Outcome.ASSOCIATED


def test_a_login_is_known_in_any_case(crm: Crm, jane: str) -> None:
    assert users.show_dropbox(crm, "JANE@Acme.Example").user.login == jane
    with pytest.raises(Refused, match="already"):
        add(crm, "Jane@ACME.example")


@pytest.mark.parametrize("login", ["jane", "", "jane@", "a@b@c", "jane@acme.example, ben@acme.example", "j\x1b@a.b"])
def test_a_login_must_be_an_address(crm: Crm, login: str) -> None:
    with pytest.raises(Refused, match="must be an e-mail address"):
        add(crm, login)
    assert accounts.list_accounts(crm) == []


def test_an_unknown_profile_is_refused_with_those_there_are(crm: Crm) -> None:
    with pytest.raises(Refused, match="there are Administrator, Standard"):
        add(crm, JANE, "Boss")
    assert users.list_users(crm, limit=None) == []


def test_an_unknown_user_is_refused_with_those_there_are(crm: Crm, jane: str) -> None:
    with pytest.raises(Refused, match=f"no user nobody@acme.example in account Default: there are {JANE}"):
        users.show_dropbox(crm, "nobody@acme.example")


def test_several_accounts_keep_the_same_login_apart(crm: Crm) -> None:
    accounts.add_account(crm, "One", now=NOW)
    accounts.add_account(crm, "Two", now=NOW)
    with pytest.raises(Refused, match="there are several accounts: One, Two"):
        add(crm, JANE)
    one = add(Crm(crm.database, "one"), JANE)
    two = add(Crm(crm.database, "TWO"), JANE)
    assert one.token != two.token
    assert (one.user.account.name, two.user.account.name) == ("One", "Two")


def test_an_account_is_made_once_and_must_exist_to_be_named(crm: Crm) -> None:
    accounts.add_account(crm, "Acme", now=NOW)
    with pytest.raises(Refused, match="choose another name"):
        accounts.add_account(crm, "ACME", now=NOW)
    with pytest.raises(Refused, match="no account 'Amce': there is Acme"):
        add(Crm(crm.database, "Amce"), JANE)
    with pytest.raises(Refused, match="needs a name"):
        accounts.add_account(crm, "\x00 \u202e", now=NOW)


def test_users_who_are_added_at_once_share_one_default_account(crm: Crm) -> None:
    logins = [f"user{number}@acme.example" for number in range(6)]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda login: add(crm, login), logins))
    [account] = accounts.list_accounts(crm)
    assert account.users == len(logins)


def test_one_login_added_at_once_is_added_once(crm: Crm) -> None:
    def attempt(_number: int) -> bool:
        try:
            add(crm, JANE)
        except Refused:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(attempt, range(4))) == [False, False, False, True]


def test_a_token_that_was_issued_before_is_drawn_again(crm: Crm, jane: str, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = users.show_dropbox(crm, jane).token
    draws = [taken, taken, new_token()]
    monkeypatch.setattr(users, "new_token", lambda: draws.pop(0))
    assert add(crm, BEN).token not in {None, taken}


def test_a_user_without_the_permission_has_no_visible_dropbox(crm: Crm, jane: str) -> None:
    accounts.add_profile(crm, "Reader", acting=jane)
    assert add(crm, BEN, "reader").token is None
    refusals = (
        partial(users.show_dropbox, crm, BEN),
        partial(users.regenerate, crm, BEN, grace=timedelta(), now=NOW),
        partial(users.set_pattern, crm, BEN, SearchPattern.LEADS_OR_NEW_LEAD),
    )
    for refused in refusals:
        with pytest.raises(Refused, match="lacks bcc_dropbox"):
            refused()
    accounts.grant(crm, "Reader", Permission.BCC_DROPBOX, acting=jane)
    assert users.show_dropbox(crm, BEN).token is not None


def test_a_disabled_users_mail_is_rejected_until_enabled_again(crm: Crm, ben: str, arrive: Arrive) -> None:
    assert not users.disable_user(crm, ben).enabled
    assert arrive(ben).deciding.reason is Reason.USER_DISABLED
    assert users.enable_user(crm, ben, profile="administrator").profile == "Administrator"
    assert arrive(ben).deciding.outcome is Outcome.ASSOCIATED


def test_users_are_listed_by_login_up_to_the_limit(crm: Crm, ben: str) -> None:
    assert [member.login for member in users.list_users(crm, limit=None)] == [BEN, JANE]
    assert [member.login for member in users.list_users(crm, limit=1)] == [BEN]


def test_regenerating_ends_the_old_token_at_once(crm: Crm, jane: str) -> None:
    old = users.show_dropbox(crm, jane).token
    new = users.regenerate(crm, jane, grace=timedelta(), now=NOW).token
    ends = {row["token"]: row["valid_until"] for row in Rows(crm.database).rows(TokenRow)}
    assert ends == {old: NOW, new: None}


def test_a_grace_period_keeps_the_old_token_for_so_long_but_never_longer(crm: Crm, jane: str) -> None:
    first = users.show_dropbox(crm, jane).token
    second = users.regenerate(crm, jane, grace=timedelta(days=7), now=NOW).token
    users.regenerate(crm, jane, grace=timedelta(days=30), now=NOW)
    ends = {row["token"]: row["valid_until"] for row in Rows(crm.database).rows(TokenRow)}
    assert (ends[first], ends[second]) == (NOW + timedelta(days=7), NOW + timedelta(days=30))
    users.regenerate(crm, jane, grace=timedelta(), now=NOW)
    ends = {row["token"]: row["valid_until"] for row in Rows(crm.database).rows(TokenRow)}
    assert (ends[first], ends[second]) == (NOW, NOW)


def test_regenerating_at_once_leaves_one_present_token(crm: Crm, jane: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: users.regenerate(crm, jane, grace=timedelta(), now=NOW), range(4)))
    ends = [row["valid_until"] for row in Rows(crm.database).rows(TokenRow)]
    assert (len(ends), ends.count(None)) == (5, 1)


def test_the_pattern_changes_only_to_one_that_there_is(crm: Crm, jane: str) -> None:
    changed = users.set_pattern(crm, jane, " Leads-Or-New-Lead ")
    assert changed.user.pattern is SearchPattern.LEADS_OR_NEW_LEAD
    with pytest.raises(Refused, match="there are contacts-or-new-contact, leads-or-new-lead, "):
        users.set_pattern(crm, jane, "everywhere")
    assert users.show_dropbox(crm, jane).user.pattern is SearchPattern.LEADS_OR_NEW_LEAD


@pytest.mark.parametrize("missing", [Permission.LEADS, Permission.CONTACTS])
def test_the_pattern_needs_both_modules(crm: Crm, ben: str, missing: Permission) -> None:
    accounts.revoke(crm, "Standard", missing, acting=JANE)
    with pytest.raises(Refused, match=f"lacks {missing}"):
        users.set_pattern(crm, ben, "leads-or-new-lead")
