"""Two workers on one mailbox: the second one waits and takes over; even without the lock they store each mail once."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.harness.installation import Installation
from tests.harness.running import Running, await_true
from tests.robustness.dying import Worker, Workers
from tests.robustness.scene import Mail, Scene, everyday
from tests.servers.cut import Cut
from tests.servers.dovecot import Dovecot
from worker.bootstrap import Parts, compose
from worker.domain.errors import DatabaseUnavailable
from worker.poll import PollReport
from worker.store.database import Database
from worker.store.health import standing_by
from worker.store.locks import MailboxLock
from worker.store.tables import RecordRow

TAKEN_OVER_WITHIN = 10.0
on_server = pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
"""SQLite serves one worker only."""


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Callable[[Scene], Installation]]:
    """Give services of their own env file; all are killed after the test."""
    made: list[Installation] = []

    def install_one(scene: Scene) -> Installation:
        made.append(Installation(scene.settings, tmp_path / f"{len(made)}.env"))
        return made[-1]

    yield install_one
    for installation in made:
        installation.kill()


@pytest.fixture
def cut_database(scene: Scene) -> Iterator[Cut]:
    """Stand between a worker and PostgreSQL."""
    with Cut(int(scene.database_url.rpartition(":")[2].partition("/")[0])) as proxy:
        yield proxy


def taken_over(scene: Scene, first: Running, beside: Installation, end: Callable[[], None]) -> Running:
    """Let a second worker wait until the first one stops, and then take over."""
    first.wait_for("poll.finished")
    second = beside.start()
    second.wait_for("worker.standby")
    end()
    second.wait_for("worker.active", seconds=TAKEN_OVER_WITHIN)
    scene.deliver_mails(everyday(6))
    second.wait_for("message.duplicate")
    return second


@on_server
def test_the_second_worker_takes_over_within_ten_seconds_of_a_kill(
    scene: Scene, install: Callable[[Scene], Installation]
) -> None:
    first = install(scene).start()
    second = taken_over(scene, first, install(scene), first.kill)
    second.end()
    assert scene.faults() == []


@on_server
def test_the_second_worker_takes_over_within_ten_seconds_of_a_cut_network(
    scene: Scene, install: Callable[[Scene], Installation], cut_database: Cut
) -> None:
    """The network swallows what the first one says, and answers TCP's own questions for it, as a stalled proxy does."""
    cut_off = install(scene)
    first = cut_off.start(database_url=scene.database_url.replace(f":{cut_database.target}/", f":{cut_database.port}/"))
    second = taken_over(scene, first, install(scene), cut_database.stall)
    cut_database.resume()
    second.end()
    assert scene.faults() == []


@on_server
def test_a_worker_that_was_cut_off_knows_that_the_lock_is_lost(scene: Scene, cut_database: Cut) -> None:
    database = Database.open(scene.database_url.replace(f":{cut_database.target}/", f":{cut_database.port}/"))
    lock, other = (MailboxLock(each, "drop") for each in (database, Database.open(scene.database_url)))
    assert lock.acquire()
    assert not other.acquire()
    cut_database.stall()
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable, match="the lock on the mailbox is lost"):
        lock.held()
    assert time.monotonic() - began < TAKEN_OVER_WITHIN
    await_true(other.acquire, TAKEN_OVER_WITHIN)
    other.release()
    cut_database.close()
    database.close()


@on_server
def test_a_worker_that_stands_by_and_is_cut_off_is_forgotten_and_comes_back(scene: Scene, cut_database: Cut) -> None:
    through_it = Database.open(scene.database_url.replace(f":{cut_database.target}/", f":{cut_database.port}/"))
    here = Database.open(scene.database_url)
    first, second = (MailboxLock(each, "drop") for each in (here, through_it))
    assert (first.acquire(), second.acquire(), len(standing_by(here))) == (True, False, 1)
    cut_database.stall()
    await_true(lambda: standing_by(here) == {}, TAKEN_OVER_WITHIN)
    cut_database.resume()
    assert (second.acquire(), len(standing_by(here))) == (False, 1)
    for lock in (first, second):
        lock.release()
    for database in (here, through_it):
        database.close()


@on_server
def test_a_lock_is_kept_through_a_silence_longer_than_the_server_bears(scene: Scene) -> None:
    database = Database.open(scene.database_url)
    lock = MailboxLock(database, "drop")
    assert lock.acquire()
    time.sleep(7)
    assert lock.held()
    lock.release()
    database.close()


@pytest.mark.timeout(180)
def test_without_the_lock_two_workers_on_one_mailbox_store_everything_once(
    scene: Scene, workers: Workers, folder: Path
) -> None:
    scene.deliver_mails(everyday(60))
    together = [Worker(scene.variables(), folder, locks=False, moves_at_once=10) for _ in range(2)]
    with ThreadPoolExecutor(2) as threads:
        ended = list(threads.map(workers.run, together))
    assert [each.code for each in ended] == [0, 0], [each.log[-2000:] for each in ended]
    assert workers.run(Worker(scene.variables(), folder)).code == 0
    assert scene.faults(is_exact=False) == []


def test_eight_threads_with_mail_to_one_new_address_make_one_record(
    new_url: Callable[[], str], dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Start one worker per mailbox; all wait for each other before they begin."""
    url = new_url()
    scenes = [Scene(dovecot, url) for _ in range(8)]
    for place, scene in enumerate(scenes):
        scene.deliver_mails([Mail(100 * place + number, ("new@client.example",)) for number in range(5)])
    parts = [compose(scene.loaded()) for scene in scenes]
    together = threading.Barrier(8)

    def poll(part: Parts) -> PollReport:
        together.wait()
        report = part.poller.poll(part.mailbox.open())
        part.close()
        return report

    with ThreadPoolExecutor(8) as threads:
        reports = list(threads.map(poll, parts))
    assert [(report.outage, report.outcomes) for report in reports] == [(None, {"associated": 5})] * 8
    whole = Scene(dovecot, url, mails=[mail for scene in scenes for mail in scene.mails])
    assert whole.stored_faults() == []
    with whole.reading() as crm:
        assert [row["email"] for row in crm.rows(RecordRow)].count("new@client.example") == 1


@pytest.mark.parametrize(("held", "deadline"), [(1, "5"), (None, "1")], ids=["for a while", "until it is given up"])
def test_contention_for_a_lock_is_waited_for_or_retried_and_never_a_duplicate(
    scene: Scene, held: float | None, deadline: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.deliver_mails(everyday(6))
    parts = compose(scene.loaded(statement_seconds=deadline))
    other = Database.open(scene.database_url)
    with ThreadPoolExecutor(1) as beside, other.begin() as connection:
        if not other.is_sqlite:
            connection.execute(text("LOCK TABLE email, attempt IN ACCESS EXCLUSIVE MODE"))
        coming = beside.submit(parts.poller.poll, parts.mailbox.open())
        still_waits = not wait([coming], held).done
        connection.rollback()
        report = coming.result()
    assert still_waits is (held is not None)
    if held is None:
        assert isinstance(report.outage, DatabaseUnavailable)
        assert scene.attempts() == {}
        assert report.counts["deferred"] == 6
        report = parts.poller.poll(parts.mailbox.open())
    parts.close()
    other.close()
    assert report.outage is None
    assert scene.faults() == []


NEWER = "from worker.store import schema; schema.HEAD = '9999'; from worker.cli import main; main()"


@on_server
def test_a_worker_whose_database_was_migrated_leaves_the_mailbox_to_the_newer_one(
    scene: Scene, install: Callable[[Scene], Installation]
) -> None:
    """A rolling upgrade: the old worker empties the mailbox when the first new one migrates the database."""
    old, new = install(scene), install(scene)
    first = old.start(poll_seconds="1", idle="off")
    first.wait_for("poll.finished")
    with scene.reading() as crm, crm.database.begin() as connection:
        connection.execute(text("ALTER TABLE decision ADD COLUMN of_a_newer_release text"))
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    second = new.start_as([sys.executable, "-c", NEWER], poll_seconds="1")
    assert "9999, newer than this program" in first.wait_for("database.unavailable")["error"]
    second.wait_for("poll.finished", seconds=TAKEN_OVER_WITHIN)
    scene.deliver_mails(everyday(6))
    second.wait_for("message.duplicate")
    assert first.count("message.associated") == 0
    assert first.end()[0] == 0, "it runs until it is upgraded"
    assert old.start().wait() == 1, "at its start it is refused"
    second.end()
    assert scene.faults() == []
