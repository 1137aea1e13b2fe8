"""One worker per mailbox."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.harness.running import await_true
from tests.servers.postgres import Postgres
from worker.domain.errors import DatabaseUnavailable, Refused, Unavailable
from worker.store.database import Database
from worker.store.health import MailboxKey, standing_by, this_process
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
    await_true(lock.acquire)
    lock.release()


def test_a_full_disk_is_an_outage_and_leaves_no_lock_behind(
    small_disk: Path, open_database: Callable[[str], Database]
) -> None:
    lock = MailboxLock(open_database(f"sqlite:///{small_disk / 'dropbox.db'}"), "drop")
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as stream, suppress(OSError):
        while stream.write(b"\0" * 4096):
            pass
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable, match=r"dropbox\.db\.lock cannot be locked: No space left on device"):
            lock.acquire()
    ballast.unlink()
    assert lock.acquire()
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


def test_a_worker_that_stands_by_is_known_by_its_name_until_it_has_the_lock(on_server: Database) -> None:
    first, second, other = (MailboxLock(on_server, name) for name in ("drop", "drop", "drop-2"))
    assert (first.acquire(), second.acquire(), other.acquire()) == (True, False, True)
    ((key, (standby,)),) = standing_by(on_server).items()
    assert (key, standby.worker) == (MailboxKey.of("drop"), this_process()[:51])
    assert standby.since
    assert standby.seen_at
    assert standby.since <= standby.seen_at
    first.release()
    assert second.acquire()
    assert standing_by(on_server) == {}
    for lock in (second, other):
        lock.release()


def test_a_worker_that_stands_by_is_forgotten_when_it_ends_or_is_killed(on_server: Database) -> None:
    first, second = (MailboxLock(on_server, "drop") for _ in range(2))
    assert (first.acquire(), second.acquire()) == (True, False)
    url = on_server.engine.url.render_as_string(hide_password=False)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as killed:
        assert killed.stdout
        assert killed.stdout.readline() == "False\n"
        ours, its = standing_by(on_server)[MailboxKey.of("drop")]
        assert its.worker.startswith(f"process {killed.pid} on ")
        killed.kill()
    second.release()
    await_true(lambda: standing_by(on_server) == {})
    first.release()
    assert ours.worker != its.worker


def test_a_worker_that_stands_by_comes_back_after_its_connection_was_killed(
    on_server: Database, postgres: Postgres
) -> None:
    first, second = (MailboxLock(on_server, "drop") for _ in range(2))
    assert (first.acquire(), second.acquire()) == (True, False)
    postgres.kill_connections(on_server.engine.url.database)
    assert second.acquire()
    first.release()
    second.release()


def test_workers_of_all_versions_lock_a_mailbox_by_the_same_number() -> None:
    assert MailboxKey.of("drop@mx.example.com/INBOX").whole == -5_733_482_134_227_523_524
    assert MailboxKey.of("b@mx.example.com/INBOX").whole == 3_097_323_794_568_510_448
