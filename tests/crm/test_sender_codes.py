"""An address outside the login's own domain counts once it is shown to be the user's: by code, by mail, by trust."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from tests.crm.conftest import JANE
from tests.harness.crm import NOW, Mail, decide
from tests.notices.test_certainty import VOUCHED
from worker.crm.sender_addresses import add_sender, await_code, list_senders, verify_code, void_code
from worker.crm.users import show_dropbox
from worker.crm.work import Crm
from worker.domain.errors import Refused
from worker.domain.outcomes import Outcome, Reason
from worker.domain.senders import MOST_TRIES
from worker.store.poll_store import PollStore

HOME = "jane@home.example"
HOUR = timedelta(hours=1)


def proven(crm: Crm) -> dict[str, datetime | None]:
    return {sender.address: sender.proven_at for sender in list_senders(crm, JANE)}


@pytest.fixture
def code(crm: Crm, jane: str) -> str:
    """Register the address; gives the code that is mailed to it."""
    return await_code(crm, jane, HOME, now=NOW).code


def test_the_code_proves_the_address_and_works_once(crm: Crm, code: str) -> None:
    assert proven(crm) == {JANE: NOW, HOME: None}
    verify_code(crm, JANE, code, now=NOW + timedelta(minutes=59))
    assert proven(crm)[HOME] == NOW + timedelta(minutes=59)
    with pytest.raises(Refused, match="waits for a code"):
        verify_code(crm, JANE, code, now=NOW)


def spelt(code: str) -> str:
    return code.replace("0", "O").replace("1", "l")


def spaced(code: str) -> str:
    return f" {code.replace('-', ' ')} "


@pytest.mark.parametrize("way", [str.upper, spaced, spelt])
def test_a_code_may_be_typed_in_any_way(crm: Crm, code: str, way: Callable[[str], str]) -> None:
    verify_code(crm, JANE, way(code), now=NOW)
    assert proven(crm)[HOME] == NOW


def test_after_an_hour_the_code_is_void(crm: Crm, code: str) -> None:
    with pytest.raises(Refused, match="the code is void, an hour is over"):
        verify_code(crm, JANE, code, now=NOW + HOUR)
    assert proven(crm)[HOME] is None


def test_after_five_wrong_tries_the_right_code_is_void_too(crm: Crm, code: str) -> None:
    for left in ("4 tries are", "3 tries are", "2 tries are", "1 try is", "no tries are"):
        with pytest.raises(Refused, match=f"wrong code: {left} left"):
            verify_code(crm, JANE, "00000-00000", now=NOW)
    with pytest.raises(Refused, match="five tries were wrong"):
        verify_code(crm, JANE, code, now=NOW)
    assert proven(crm)[HOME] is None


def test_a_new_code_takes_the_old_ones_place_with_tries_of_its_own(crm: Crm, code: str) -> None:
    for _ in range(MOST_TRIES):
        with pytest.raises(Refused):
            verify_code(crm, JANE, "00000-00000", now=NOW)
    newer = await_code(crm, JANE, HOME, now=NOW + HOUR).code
    with pytest.raises(Refused, match="4 tries"):
        verify_code(crm, JANE, code, now=NOW + HOUR)
    verify_code(crm, JANE, newer, now=NOW + HOUR)
    assert proven(crm)[HOME] is not None


def test_a_code_that_was_not_sent_is_no_code_and_leaves_others_alone(crm: Crm, code: str) -> None:
    unsent = await_code(crm, JANE, "jane@work.example", now=NOW)
    void_code(crm, JANE, unsent)
    with pytest.raises(Refused, match="wrong code"):
        verify_code(crm, JANE, unsent.code, now=NOW)
    newer = await_code(crm, JANE, "jane@work.example", now=NOW)
    void_code(crm, JANE, unsent)
    verify_code(crm, JANE, newer.code, now=NOW)
    verify_code(crm, JANE, code, now=NOW)
    assert proven(crm) == {JANE: NOW, HOME: NOW, "jane@work.example": NOW}


def test_each_code_proves_its_own_address_only(crm: Crm, code: str) -> None:
    other = await_code(crm, JANE, "jane@work.example", now=NOW).code
    verify_code(crm, JANE, other, now=NOW)
    assert proven(crm) == {JANE: NOW, HOME: None, "jane@work.example": NOW}
    verify_code(crm, JANE, code, now=NOW)
    assert proven(crm)[HOME] == NOW


def test_a_proven_address_gets_no_code(crm: Crm, code: str) -> None:
    verify_code(crm, JANE, code, now=NOW)
    with pytest.raises(Refused, match="already"):
        await_code(crm, JANE, HOME, now=NOW)


def test_trust_proves_an_address_that_waits(crm: Crm, code: str) -> None:
    add_sender(crm, JANE, HOME, proven_at=NOW)
    assert proven(crm)[HOME] == NOW
    with pytest.raises(Refused, match="waits for a code"):
        verify_code(crm, JANE, code, now=NOW)


def test_addresses_that_wait_take_one_of_the_five_places(crm: Crm, code: str) -> None:
    for number in range(3):
        await_code(crm, JANE, f"jane{number}@home.example", now=NOW)
    with pytest.raises(Refused, match="five sender addresses"):
        await_code(crm, JANE, "sixth@home.example", now=NOW)


def test_until_it_is_proven_the_address_counts_only_with_authenticated_mail(
    crm: Crm,
    code: str,
) -> None:
    store = PollStore(crm.database)
    mail = Mail(1, show_dropbox(crm, JANE).token or "", HOME)
    assert decide(store, mail)[0].deciding.reason is Reason.SENDER_NOT_REGISTERED
    (filing,) = decide(store, mail, rules=VOUCHED)
    assert (filing.deciding.outcome, filing.deciding.proven_sender) == (Outcome.ASSOCIATED, HOME)
    verify_code(crm, JANE, code, now=NOW)
    assert decide(store, mail)[0].deciding.outcome is Outcome.ASSOCIATED
