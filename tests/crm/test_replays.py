"""Which decisions a replay repeats; `tests/robustness/test_replay.py` checks the moves."""

from datetime import timedelta

import pytest

from tests.harness.crm import NOW, QUEUE, Arrive, commit
from worker.crm import decisions
from worker.crm.work import Crm
from worker.domain.messages import Arrival, Field, Head
from worker.domain.outcomes import Outcome, Reason
from worker.domain.ports import Queue
from worker.domain.verdicts import Filing
from worker.filing import quarantined
from worker.store.database import Database
from worker.store.poll_store import PollStore

ELSEWHERE = Queue("other@mx.example/INBOX", QUEUE.uidvalidity, 0)
LATER = NOW + timedelta(hours=1)
STRANGER = "stranger@elsewhere.example"


@pytest.fixture
def store(crm: Crm) -> PollStore:
    return PollStore(crm.database)


def failed(uid: int, message_id: str = "<odd@acme.example>", *, size: int = 1) -> Filing:
    head = Head((Field("message-id", message_id),)) if message_id else Head(())
    return quarantined(Arrival(uid, NOW, size, b""), head, "ValueError: odd")


def quarantine(database: Database) -> list[int]:
    return [found.uid for found in decisions.decided_as(database, QUEUE.name, Outcome.QUARANTINED)]


def test_mail_that_was_rejected_for_the_reason_is_found(crm: Crm, jane: str, arrive: Arrive) -> None:
    arrive(jane)
    uid = arrive(jane, sender=STRANGER).uid
    found = decisions.decided_as(crm.database, QUEUE.name, Outcome.REJECTED, Reason.SENDER_NOT_REGISTERED)
    assert [(each.uid, each.reasons, each.is_filed_for_all) for each in found] == [
        (uid, (Reason.SENDER_NOT_REGISTERED,), False)
    ]
    assert decisions.decided_as(crm.database, QUEUE.name, Outcome.REJECTED, Reason.UNKNOWN_TOKEN) == []
    assert decisions.decided_as(crm.database, ELSEWHERE.name, Outcome.REJECTED, Reason.SENDER_NOT_REGISTERED) == []


def test_only_the_last_decision_on_a_message_counts(crm: Crm, store: PollStore) -> None:
    commit(store, QUEUE, [failed(1), failed(2, "<other@acme.example>"), failed(3, size=2)], NOW)
    commit(store, QUEUE, [failed(4)], LATER)
    assert quarantine(crm.database) == [2, 3, 4]


def test_the_same_message_in_another_mailbox_is_another_one(crm: Crm, store: PollStore) -> None:
    commit(store, QUEUE, [failed(1)], NOW)
    commit(store, ELSEWHERE, [failed(1)], LATER)
    assert quarantine(crm.database) == [1]


def test_a_message_whose_head_could_be_read_later_is_known_by_size_and_arrival(
    crm: Crm, store: PollStore, jane: str, arrive: Arrive
) -> None:
    commit(store, QUEUE, [failed(8, "", size=4), failed(9, "", size=5)], NOW)
    assert quarantine(crm.database) == [8, 9]
    arrive(jane, body=b"four")
    assert quarantine(crm.database) == [9]


def test_a_uid_means_the_last_message_that_had_it(crm: Crm, store: PollStore) -> None:
    commit(store, QUEUE, [failed(1, "<first@acme.example>")], NOW)
    commit(store, Queue(QUEUE.name, QUEUE.uidvalidity + 1, 0), [failed(1, "<second@acme.example>")], LATER)
    commit(store, ELSEWHERE, [failed(1, "<third@acme.example>"), failed(2)], LATER)
    found = decisions.decided_under(crm.database, QUEUE.name, [1, 2])
    assert [(each.uid, each.message_id) for each in found] == [(1, "<second@acme.example>")]


def test_a_failure_is_forgiven_in_the_present_queue_only(crm: Crm, store: PollStore) -> None:
    store.strike(QUEUE, 7, "ValueError: odd")
    store.strike(ELSEWHERE, 7, "ValueError: odd")
    assert decisions.forgive(crm.database, QUEUE.name, [7, 8]) == [7]
    assert store.known(ELSEWHERE, [7]).suspects == {7: 1}
    store.strike(Queue(QUEUE.name, QUEUE.uidvalidity + 1, 0), 8, "ValueError: odd")
    assert decisions.forgive(crm.database, QUEUE.name, [7, 8]) == [8]
