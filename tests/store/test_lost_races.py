"""Marks that lose a race for their rows are written again: that is no fault of the messages, and no outage."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.harness.crm import QUEUE
from tests.harness.running import await_true
from worker.domain.ports import Known
from worker.store.database import Database
from worker.store.poll_store import PollStore

UIDS = [1, 2]
LOCK = "SELECT 1 FROM attempt WHERE uid = %s FOR UPDATE"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

Write = Callable[[PollStore], object]
WRITES: dict[str, Write] = {
    "take in hand": lambda store: store.mark(QUEUE, UIDS, alone=False),
    "look up": lambda store: store.known(QUEUE, UIDS),
    "release": lambda store: store.release(QUEUE, UIDS),
    "forget": lambda store: store.forget(QUEUE, UIDS),
}


def lock_crosswise(url: str, write: Callable[[], object]) -> object:
    """Have the write wait for the second row while this waits for the first; of the two the write is ended."""
    address = url.replace("+psycopg", "")
    with (
        ThreadPoolExecutor(1) as beside,
        psycopg.connect(address) as other,
        psycopg.connect(address, autocommit=True) as onlooker,
    ):
        other.execute("SET deadlock_timeout = '1min'")  # the session that checks first finds the deadlock and aborts
        other.execute(LOCK, [UIDS[1]])
        writing = beside.submit(write)
        await_true(lambda: onlooker.execute(WAITING).fetchone() != (0,))
        other.execute(LOCK, [UIDS[0]])
        other.rollback()
        return writing.result()


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
@pytest.mark.parametrize("name", WRITES)
def test_marks_that_lose_a_race_for_their_rows_are_written_again(
    url: str, open_database: Callable[[str], Database], name: str
) -> None:
    """PostgreSQL alone: SQLite has one writer at a time."""
    first, second = (PollStore(open_database(url)) for _ in range(2))
    first.mark(QUEUE, UIDS, alone=False)
    lock_crosswise(url, lambda: WRITES[name](second))
    second.release(QUEUE, UIDS)
    suspects = dict.fromkeys(UIDS, 0) if name == "look up" else {}
    assert second.known(QUEUE, UIDS) == Known({}, suspects, {})
