"""Decisions found again by UID, Message-ID and people."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlmodel import col

from tests.crm.conftest import BEN, CARL, JANE
from tests.harness.crm import NOW, QUEUE, Arrive, Mail, commit, file
from worker.crm import accounts, decisions
from worker.crm.decision_search import MessageFilter
from worker.crm.users import add_user, show_dropbox
from worker.crm.work import Crm
from worker.domain.messages import Arrival, Head
from worker.domain.outcomes import Outcome, Reason
from worker.domain.permissions import Module
from worker.domain.ports import Queue
from worker.domain.verdicts import NamedRecord, RecipientResult
from worker.filing import quarantined
from worker.store.poll_store import PollStore
from worker.store.tables import VerdictRow
from worker.store.traces import recent_traces

LONG_AGO = NOW - timedelta(days=1)


def test_a_message_is_found_by_uid_and_by_message_id(crm: Crm, jane: str, arrive: Arrive) -> None:
    uid = arrive(jane, message_id="<why@acme.example>").uid
    [by_uid] = decisions.explain_uid(crm, uid, limit=None)
    assert (by_uid.uid, by_uid.mailbox, by_uid.uidvalidity) == (uid, QUEUE.name, QUEUE.uidvalidity)
    assert (by_uid.outcome, by_uid.deciding.owner, by_uid.sender) == (Outcome.ASSOCIATED, JANE, JANE)
    assert by_uid.deciding.email_id is not None
    for typed in ("<why@acme.example>", "why@acme.example", " <why@acme.example> "):
        assert decisions.explain_message_id(crm, typed, limit=None) == [by_uid]
    assert decisions.explain_message_id(crm, "<other@acme.example>", limit=None) == []


def test_the_trace_names_the_record_that_was_made(crm: Crm, jane: str, arrive: Arrive) -> None:
    arrive(jane)
    [found] = decisions.explain_uid(crm, 1, limit=None)
    [recipient] = found.deciding.trace.recipients
    assert (recipient.address, recipient.result) == (CARL, RecipientResult.CREATED)
    assert isinstance(recipient.record, NamedRecord)
    assert recipient.record.module is Module.CONTACT


def test_a_trace_of_the_release_before_is_read_alike(crm: Crm, jane: str, arrive: Arrive) -> None:
    arrive(jane)
    now = decisions.explain_uid(crm, 1, limit=None)
    with crm.begin() as work:
        packed = work.connection.execute(select(col(VerdictRow.packed))).scalar_one()
        work.connection.execute(update(VerdictRow).values(trace=json.loads(packed or ""), packed=None))
    assert decisions.explain_uid(crm, 1, limit=None) == now
    assert recent_traces(crm.database, QUEUE.name) == [now[0].deciding.trace]


def test_a_rejection_tells_its_reason_and_owner(crm: Crm, jane: str, arrive: Arrive) -> None:
    arrive(jane, sender="stranger@elsewhere.example")
    [found] = decisions.explain_uid(crm, 1, limit=None)
    assert (found.deciding.reason, found.deciding.owner) == (Reason.SENDER_NOT_REGISTERED, JANE)
    assert found.deciding.trace.sender == "stranger@elsewhere.example"


def test_messages_are_found_by_their_people(crm: Crm, ben: str, arrive: Arrive) -> None:
    arrive(JANE, to=[CARL, "dora@other.example"])
    arrive(BEN)

    def uids(recipient: str | None = None, sender: str | None = None, limit: int | None = None) -> list[int]:
        wanted = MessageFilter(LONG_AGO, recipient, sender)
        return [found.uid for found in decisions.explain_matching(crm, wanted, limit=limit)]

    assert uids() == [2, 1]
    assert uids(limit=1) == [2]
    assert uids(recipient="CARL@Client.Example") == [2, 1]
    assert uids(recipient="other.example") == [1]
    assert uids(recipient="@other.example") == [1]
    assert uids(recipient=CARL, sender=BEN) == [2]
    assert uids(sender="nobody@acme.example") == []


def test_what_was_decided_before_the_time_asked_for_is_left_out(crm: Crm, jane: str, arrive: Arrive) -> None:
    arrive(jane)
    assert decisions.explain_matching(crm, MessageFilter(NOW + timedelta(seconds=1)), limit=None) == []


def test_an_account_sees_only_its_own_verdicts(crm: Crm, jane: str, arrive: Arrive) -> None:
    arrive(jane)
    accounts.add_account(crm, "Other", now=NOW)
    assert decisions.explain_uid(Crm(crm.database, "Other"), 1, limit=None) == []
    assert len(decisions.explain_uid(Crm(crm.database, "Default"), 1, limit=None)) == 1


def test_the_mail_of_other_accounts_takes_no_place_in_the_list_of_one(crm: Crm, jane: str, arrive: Arrive) -> None:
    arrive(jane, message_id="<same@acme.example>")
    accounts.add_account(crm, "Other", now=NOW)
    other = Crm(crm.database, "Other")
    add_user(other, BEN, profile=None, now=NOW)
    for _ in range(3):
        arrive(BEN, at=other, message_id="<same@acme.example>")
    default = Crm(crm.database, "Default")
    assert [e.uid for e in decisions.explain_matching(default, MessageFilter(LONG_AGO), limit=2)] == [1]
    assert [e.uid for e in decisions.explain_message_id(default, "<same@acme.example>", limit=2)] == [1]


def test_a_message_that_failed_is_told_with_its_error(crm: Crm) -> None:
    store = PollStore(crm.database)
    store.strike(QUEUE, 7, "ValueError: odd")
    [attempt] = decisions.attempts_on(crm, 7)
    assert (attempt.mailbox, attempt.strikes, attempt.error) == (QUEUE.name, 1, "ValueError: odd")
    assert decisions.attempts_on(crm, 8) == []


def test_a_uid_is_looked_for_in_every_mailbox_and_under_every_uidvalidity(crm: Crm, jane: str, arrive: Arrive) -> None:
    filing = arrive(jane)
    store = PollStore(crm.database)
    for queue in (Queue(QUEUE.name, QUEUE.uidvalidity + 5, 0), Queue("other@mx.example/INBOX", 1, 0)):
        commit(store, queue, [quarantined(Arrival(filing.uid, NOW, 1, b""), Head(()), "ValueError: odd")], NOW)
    commit(store, QUEUE, [quarantined(Arrival(filing.uid + 1, NOW, 1, b""), Head(()), "ValueError: odd")], NOW)
    found = decisions.explain_uid(crm, filing.uid, limit=None)
    assert sorted((each.mailbox, each.uidvalidity) for each in found) == [
        (QUEUE.name, QUEUE.uidvalidity),
        (QUEUE.name, QUEUE.uidvalidity + 5),
        ("other@mx.example/INBOX", 1),
    ]


def test_an_account_is_told_how_it_ended_for_its_own_whatever_another_had_of_it(crm: Crm, jane: str) -> None:
    accounts.add_account(crm, "Other", now=NOW)
    default, other = Crm(crm.database, "Default"), Crm(crm.database, "Other")
    add_user(other, BEN, profile=None, now=NOW)
    tokens = [show_dropbox(at, login).token for at, login in ((default, jane), (other, BEN))]
    file(PollStore(crm.database), Mail(1, f"{tokens[0]}@drop.example, drop+{tokens[1]}", jane))
    ends = {at.account: decisions.explain_uid(at, 1, limit=None)[0].outcome for at in (crm, default, other)}
    assert ends == {None: Outcome.ASSOCIATED, "Default": Outcome.ASSOCIATED, "Other": Outcome.REJECTED}


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("CARL@Client.Example", "carl@client.example"),
        ('"carl"@client.example', "carl@client.example"),
        ("100%_sure@client.example", "100%_SURE@client.example"),
        ("carl@müller.example", "carl@xn--mller-kva.example"),
        ("carl@müller.example", "xn--mller-kva.example"),
        ("ÄNNE@client.example", "änne@client.example"),
    ],
)
def test_an_address_is_found_however_it_was_written(
    crm: Crm, jane: str, arrive: Arrive, written: str, asked: str
) -> None:
    arrive(jane, to=[written])
    arrive(jane, to=["other@elsewhere.example"])
    found = decisions.explain_matching(crm, MessageFilter(LONG_AGO, asked), limit=None)
    assert [each.uid for each in found] == [1]


def test_the_messages_of_several_mailboxes_come_in_one_order(crm: Crm) -> None:
    store = PollStore(crm.database)
    for number in range(4):
        queue = Queue(f"{number % 2}@mx.example/INBOX", 1, 0)
        filing = quarantined(Arrival(number, NOW, 1, b""), Head(()), "ValueError: odd")
        commit(store, queue, [filing], NOW + timedelta(minutes=number))
    assert [e.uid for e in decisions.explain_matching(crm, MessageFilter(NOW), limit=3)] == [3, 2, 1]


def test_a_failure_under_an_earlier_uidvalidity_is_that_of_another_message(crm: Crm) -> None:
    store = PollStore(crm.database)
    store.strike(QUEUE, 7, "ValueError: odd")
    store.strike(Queue(QUEUE.name, QUEUE.uidvalidity + 1, 0), 8, "ValueError: odd")
    assert [bool(decisions.attempts_on(crm, uid)) for uid in (7, 8)] == [False, True]


def test_whose_the_message_is_that_failed_is_not_known_so_that_no_account_is_told(crm: Crm, jane: str) -> None:
    PollStore(crm.database).strike(QUEUE, 7, "ValueError: odd")
    assert decisions.attempts_on(Crm(crm.database, "Default"), 7) == []
