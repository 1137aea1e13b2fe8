"""One worker per mailbox."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers.postgres import Postgres
from worker.domain.errors import Refused, Unavailable
from worker.store.database import Database
from worker.store.locks import MailboxLock

HOLD = (
    "import sys; from worker.store.locks import *; lock = MailboxLock(Database.open(sys.argv[1]), 'drop');"
    " print(lock.acquire(), flush=True); sys.stdin.read()"
)


@pytest.fixture
def on_server(
    postgres: Postgres, migrated_template: str, open_database: Callable[[str], Database]
) -> Iterator[Database]:
    name = postgres.create_database(template=migrated_template)
    yield open_database(postgres.url(name))
    postgres.drop_database(name)


@pytest.fixture
def in_file(tmp_path: Path, open_database: Callable[[str], Database]) -> Database:
    return open_database(f"sqlite:///{tmp_path}/dropbox.db")


def test_the_lock_is_free_again_when_it_is_released(database: Database) -> None:
    first, second = MailboxLock(database, "drop"), MailboxLock(database, "drop")
    assert (first.held(), first.acquire(), first.acquire(), first.held()) == (False, True, True, True)
    first.release()
    first.release()
    assert (first.held(), second.acquire()) == (False, True)
    second.release()


def test_the_lock_ends_with_the_process_that_is_killed(url: str, open_database: Callable[[str], Database]) -> None:
    lock = MailboxLock(open_database(url), "drop")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == "True\n"
        if url.startswith("sqlite"):
            with pytest.raises(Refused, match=rf"already uses this SQLite database: process {other.pid} on .*drop"):
                lock.acquire()
        else:
            assert not lock.acquire()
        other.kill()
        other.wait()
    assert any(lock.acquire() for _ in range(100))
    lock.release()


def test_a_second_worker_stands_by_while_another_mailbox_is_free(on_server: Database) -> None:
    first, second, other = (MailboxLock(on_server, name) for name in ("drop", "drop", "drop-2"))
    assert (first.acquire(), second.acquire(), other.acquire()) == (True, False, True)
    for lock in (first, second, other):
        lock.release()


def test_a_killed_connection_is_a_lost_lock_that_can_be_taken_again(on_server: Database, postgres: Postgres) -> None:
    lock = MailboxLock(on_server, "drop")
    assert lock.acquire()
    postgres.kill_connections(on_server.engine.url.database)
    with pytest.raises(Unavailable, match="the lock on the mailbox is lost"):
        lock.held()
    assert not lock.held()
    assert lock.acquire()
    lock.release()


def test_a_server_that_is_down_is_an_outage(open_database: Callable[[str], Database]) -> None:
    lock = MailboxLock(open_database("postgresql+psycopg://nobody@127.0.0.1:1/none"), "drop")
    with pytest.raises(Unavailable, match="database: connection failed"):
        lock.acquire()
