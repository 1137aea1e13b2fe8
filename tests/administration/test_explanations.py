"""Decisions found again by UID, Message-ID and people."""

from datetime import timedelta

from tests.administration.conftest import BEN, CARL, JANE, Arrive
from tests.store.crm import NOW, QUEUE
from worker.domain.outcomes import Outcome, Reason
from worker.store.administration import accounts, explanations
from worker.store.administration.explanations import MessageFilter
from worker.store.administration.office import Office
from worker.store.administration.users import add_user
from worker.store.intake import IntakeStore

LONG_AGO = NOW - timedelta(days=1)


def test_a_message_is_found_by_uid_and_by_message_id(office: Office, jane: str, arrive: Arrive) -> None:
    uid = arrive(jane, message_id="<why@acme.example>").uid
    [by_uid] = explanations.explain_uid(office, uid, limit=None)
    assert (by_uid.uid, by_uid.mailbox, by_uid.uidvalidity) == (uid, QUEUE.name, QUEUE.uidvalidity)
    assert (by_uid.outcome, by_uid.deciding.owner, by_uid.sender) == (Outcome.ASSOCIATED, JANE, JANE)
    assert by_uid.deciding.email_id is not None
    for typed in ("<why@acme.example>", "why@acme.example", " <why@acme.example> "):
        assert explanations.explain_message_id(office, typed, limit=None) == [by_uid]
    assert explanations.explain_message_id(office, "<other@acme.example>", limit=None) == []


def test_the_trace_names_the_record_that_was_made(office: Office, jane: str, arrive: Arrive) -> None:
    arrive(jane)
    [found] = explanations.explain_uid(office, 1, limit=None)
    [recipient] = found.deciding.trace["recipients"]
    assert (recipient["address"], recipient["result"], recipient["module"]) == (CARL, "created", "contact")
    assert isinstance(recipient["record"], int)


def test_a_rejection_tells_its_reason_and_owner(office: Office, jane: str, arrive: Arrive) -> None:
    arrive(jane, sender="stranger@elsewhere.example")
    [found] = explanations.explain_uid(office, 1, limit=None)
    assert (found.deciding.reason, found.deciding.owner) == (Reason.SENDER_NOT_REGISTERED, JANE)
    assert found.deciding.trace["sender"]["address"] == "stranger@elsewhere.example"


def test_messages_are_found_by_their_people(office: Office, ben: str, arrive: Arrive) -> None:
    arrive(JANE, to=[CARL, "dora@other.example"])
    arrive(BEN)

    def uids(recipient: str | None = None, sender: str | None = None, limit: int | None = None) -> list[int]:
        wanted = MessageFilter(LONG_AGO, recipient, sender)
        return [found.uid for found in explanations.explain_matching(office, wanted, limit=limit)]

    assert uids() == [2, 1]
    assert uids(limit=1) == [2]
    assert uids(recipient="CARL@Client.Example") == [2, 1]
    assert uids(recipient="other.example") == [1]
    assert uids(recipient="@other.example") == [1]
    assert uids(recipient=CARL, sender=BEN) == [2]
    assert uids(sender="nobody@acme.example") == []


def test_what_was_decided_before_the_time_asked_for_is_left_out(office: Office, jane: str, arrive: Arrive) -> None:
    arrive(jane)
    assert explanations.explain_matching(office, MessageFilter(NOW + timedelta(seconds=1)), limit=None) == []


def test_an_account_sees_only_its_own_verdicts(office: Office, jane: str, arrive: Arrive) -> None:
    arrive(jane)
    accounts.add_account(office.database, "Other", now=NOW)
    assert explanations.explain_uid(Office(office.database, "Other"), 1, limit=None) == []
    assert len(explanations.explain_uid(Office(office.database, "Default"), 1, limit=None)) == 1


def test_the_mail_of_other_accounts_takes_no_place_in_the_list_of_one(
    office: Office, jane: str, arrive: Arrive
) -> None:
    arrive(jane, message_id="<same@acme.example>")
    accounts.add_account(office.database, "Other", now=NOW)
    other = Office(office.database, "Other")
    add_user(other, BEN, profile=None, now=NOW)
    for _ in range(3):
        arrive(BEN, at=other, message_id="<same@acme.example>")
    default = Office(office.database, "Default")
    assert [e.uid for e in explanations.explain_matching(default, MessageFilter(LONG_AGO), limit=2)] == [1]
    assert [e.uid for e in explanations.explain_message_id(default, "<same@acme.example>", limit=2)] == [1]


def test_a_message_that_failed_is_told_with_its_error(office: Office) -> None:
    store = IntakeStore(office.database)
    store.strike(QUEUE, 7, "ValueError: odd")
    [attempt] = explanations.attempts_on(office, 7)
    assert (attempt.mailbox, attempt.strikes, attempt.error) == (QUEUE.name, 1, "ValueError: odd")
    assert explanations.attempts_on(office, 8) == []
