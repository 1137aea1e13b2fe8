"""Marks, strikes and suspects: how to distinguish a message that crashes the process from an outage."""

from collections.abc import Callable

import pytest

from tests.harness.crm import NOW, QUEUE, Mail, Rows, file
from worker.domain.outcomes import Folder
from worker.domain.ports import Known, Queue
from worker.store.database import Database
from worker.store.poll_store import PollStore
from worker.store.tables import AttemptRow


@pytest.fixture
def start(url: str, open_database: Callable[[str], Database]) -> Callable[[], PollStore]:
    """Start another worker process, as far as the store can tell."""
    return lambda: PollStore(open_database(url))


Start = Callable[[], PollStore]


def test_a_message_never_seen_has_no_standing(start: Start) -> None:
    assert start().known(QUEUE, [1, 2, 3]) == start().known(QUEUE, []) == Known()


def test_what_was_in_hand_in_a_batch_when_the_worker_died_is_suspect_without_a_strike(start: Start) -> None:
    start().mark(QUEUE, [1, 2], alone=False)
    store = start()
    assert store.known(QUEUE, [1, 2, 3]) == Known({}, {1: 0, 2: 0}, {})
    assert store.known(QUEUE, [1, 2, 3]) == Known({}, {1: 0, 2: 0}, {})


def test_a_message_on_which_worker_after_worker_dies_alone_gathers_strikes(start: Start) -> None:
    for strikes in range(1, 4):
        start().mark(QUEUE, [1], alone=True)
        assert start().known(QUEUE, [1]) == Known({}, {1: strikes}, {})
    assert start().known(QUEUE, [1]) == Known({}, {1: 3}, {})


def test_an_outage_is_no_strike_and_no_suspicion(start: Start, crm: Rows) -> None:
    store = start()
    store.mark(QUEUE, [1, 2], alone=False)
    store.release(QUEUE, [1])
    assert store.known(QUEUE, [1, 2]) == Known()
    assert crm.rows(AttemptRow) == []


def test_own_marks_left_by_an_outage_are_taken_off_at_the_next_look(start: Start) -> None:
    store = start()
    store.mark(QUEUE, [1], alone=True)
    assert store.known(QUEUE, [1]) == Known()
    assert start().known(QUEUE, [1]) == Known()


def test_a_suspect_stays_one_through_an_outage(start: Start) -> None:
    store = start()
    assert store.strike(QUEUE, 1, "KeyError: 'x'") == 1
    store.mark(QUEUE, [1], alone=True)
    store.release(QUEUE, [1])
    assert start().known(QUEUE, [1]) == Known({}, {1: 1}, {1: "KeyError: 'x'"})


def test_a_failure_of_the_code_counts_and_takes_the_mark_off(start: Start) -> None:
    store = start()
    store.mark(QUEUE, [1], alone=True)
    assert [store.strike(QUEUE, 1, f"failure {number}") for number in (1, 2, 3)] == [1, 2, 3]
    assert start().known(QUEUE, [1]) == Known({}, {1: 3}, {1: "failure 3"})


def test_a_decided_message_is_only_to_be_moved(start: Start, crm: Rows) -> None:
    user = crm.user(crm.account(), "joe@acme.example")
    store = start()
    store.mark(QUEUE, [1], alone=False)
    file(store, Mail(1, user.token, user.login), Mail(2, user.token, "mallory@other.example"))
    assert start().known(QUEUE, [1, 2, 3]) == Known({1: Folder.ASSOCIATED, 2: Folder.REJECTED})


def test_marks_are_of_one_mailbox_under_one_uidvalidity(start: Start) -> None:
    others = [Queue("other@mx.example/INBOX", QUEUE.uidvalidity, 0), Queue(QUEUE.name, QUEUE.uidvalidity + 1, 0)]
    store = start()
    store.strike(QUEUE, 1, "failure")
    for queue in others:
        assert store.known(queue, [1]) == Known()
        assert store.strike(queue, 1, "failure") == 1
    assert store.strike(QUEUE, 1, "failure") == 2


def test_many_thousand_messages_are_looked_up_at_once(start: Start) -> None:
    start().mark(QUEUE, range(1, 40_001), alone=False)
    assert len(start().known(QUEUE, range(1, 40_001)).suspects) == 40_000


def test_a_mailbox_that_two_workers_meet_first_is_one(start: Start, crm: Rows) -> None:
    assert [start().strike(QUEUE, 1, str(NOW)) for _ in range(2)] == [1, 2]
