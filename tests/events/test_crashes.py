"""A process that is killed at any step of delivering: each event comes at least once, and under the same id."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from queue import Queue
from threading import Lock
from time import sleep

import pytest

from tests.events.receiver import Got, Handler, Receiver, answers
from tests.events.test_courier import happen, hurry, states
from tests.harness.crm import Rows, User
from tests.robustness.steps import Steps
from worker.outgoing.courier import Courier
from worker.store.database import Database
from worker.store.event_queue import EventOutbox

EVENTS = (1, 1, 2, 3, 3, 3)


_answering = Lock()


def one_by_one(handler: Handler, got: Got) -> None:
    """Answer well, one request after the other: answers that come together are noted in fewer steps."""
    with _answering:
        sleep(0.02)
        answers(204)(handler, got)


def deliver(url: str, record: Path, dies_at: str | None) -> int:
    """Deliver in a process of its own, which kills itself at this step; returns how it ended."""
    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    code = 1
    try:
        signal.alarm(30)
        steps = Steps(record, dies_at)
        steps.watch_statements()
        database = Database.open(url)
        Courier(EventOutbox(database)).deliver_due()
        code = 0
    finally:
        sys.stderr.flush()
        os._exit(code)


@pytest.mark.timeout(300)
def test_a_crash_at_any_step_of_delivering_loses_nothing(
    crm: Rows,
    joe: User,
    receiver: Receiver,
    connect: Callable[..., None],
    url: str,
    tmp_path: Path,
) -> None:
    receiver.behaviour = one_by_one
    connect(joe.account_id, receiver.url)
    happen(crm, joe.account_id, *EVENTS)
    crm.database.close()
    assert deliver(url, tmp_path / "rehearsal", None) == 0
    steps = (tmp_path / "rehearsal").read_text().splitlines()
    assert any("UPDATE event" in step for step in steps)
    assert any("before the commit" in step for step in steps)
    died_at: list[str] = []
    for number, step in enumerate(steps):
        receiver.got.clear()
        happen(crm, joe.account_id, *EVENTS)
        crm.database.close()
        ended = deliver(url, tmp_path / str(number), step)
        if ended == 0:  # on a busy machine several answers come together, and one statement less records them
            continue
        assert ended == -signal.SIGKILL, step
        died_at.append(step)
        first = [(got.id, got.data["record_id"]) for got in receiver.got]
        hurry(crm)
        Courier(EventOutbox(crm.database)).deliver_due()
        assert set(states(crm)) == {"delivered"}, step
        ids = [got.id for got in receiver.got]
        assert len(set(ids)) == len(EVENTS), step
        for record in set(EVENTS):
            came = [got.id for got in receiver.got if got.data["record_id"] == record]
            fresh = list(dict.fromkeys(came))
            assert fresh == sorted(fresh, key=lambda each: int(each.rpartition("_")[2])), (step, first)
    assert {step.partition(" #")[0] for step in died_at} == {step.partition(" #")[0] for step in steps}


def test_an_answer_that_is_lost_with_the_process_is_asked_for_again_under_the_same_id(
    crm: Rows, joe: User, receiver: Receiver, connect: Callable[..., None], url: str
) -> None:
    """The receiver takes the event, and the process that sent it dies before it hears so."""
    connect(joe.account_id, receiver.url)
    happen(crm, joe.account_id, 1, 1)
    crm.database.close()
    sender: Queue[int] = Queue()

    def kill(handler: Handler, got: Got) -> None:
        os.kill(sender.get(timeout=10), signal.SIGKILL)
        answers(204)(handler, got)

    receiver.behaviour = kill
    process = os.fork()
    if not process:
        try:
            Courier(EventOutbox(Database.open(url))).deliver_due()
        finally:
            os._exit(0)
    sender.put(process)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL
    receiver.behaviour = answers(204)
    hurry(crm)
    Courier(EventOutbox(crm.database)).deliver_due()
    first, again, second = receiver.ids
    assert first == again
    assert second != first
