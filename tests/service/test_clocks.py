"""The wall clock is set back or forward: polls go on, and `status` says what it sees."""

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.harness.installation import Dropbox
from tests.harness.running import Running, await_true
from tests.servers.cut import Cut
from tests.service.test_running import LETTER
from worker.service.turns import Interval, WakeUps

HOUR, DAY, YEAR = 3_600, 86_400, 31_557_600


class Clock:
    """The wall clock of the services that it starts; their monotonic clock goes on."""

    def __init__(self, installation: Dropbox, file: Path) -> None:
        self._installation = installation
        self._file = file
        self.set(0)

    def set(self, offset: int) -> None:
        """Set it so many seconds ahead of the real one, or back."""
        written = self._file.with_suffix(".new")
        written.write_text(str(offset))
        written.rename(self._file)

    def start(self, **settings: str) -> Running:
        program = [sys.executable, "-m", "tests.service.skewed", str(self._file)]
        return self._installation.start_as(program, idle="off", **settings)


@pytest.fixture
def clock(installation: Dropbox, tmp_path: Path) -> Clock:
    return Clock(installation, tmp_path / "clock")


@pytest.mark.parametrize("offset", [-150, -HOUR, 10 * YEAR])
def test_polls_go_on_when_the_clock_is_set(installation: Dropbox, clock: Clock, offset: int) -> None:
    service = clock.start(poll_seconds="1")
    service.wait_for("poll.finished", times=2)
    clock.set(offset)
    set_at = service.count("poll.finished")
    began = time.monotonic()
    service.wait_for("poll.finished", times=set_at + 5, seconds=14)
    assert time.monotonic() - began < 12
    installation.deliver(LETTER % 1)
    service.wait_for("message.rejected", seconds=4)
    assert service.end()[0] == 0


def test_the_pauses_of_an_outage_end_in_time_when_the_clock_is_set_back(
    installation: Dropbox, clock: Clock, cut: Cut
) -> None:
    service = clock.start(imap_port=str(cut.port), poll_seconds="1")
    service.wait_for("poll.finished")
    port, cut.target = cut.target, 1
    cut.cut()
    service.wait_for("mailbox.lost")
    clock.set(-HOUR)
    cut.target = port
    service.wait_for("mailbox.connected", times=2, seconds=10)


def test_a_worker_whose_clock_was_set_back_complains_of_its_last_poll_until_the_next(
    installation: Dropbox, clock: Clock
) -> None:
    """Otherwise a poll in the future would count as fresh for a day, even without a worker."""
    clock.set(DAY + HOUR // 2)
    service = clock.start()
    service.wait_for("poll.finished")
    service.kill()
    ran = installation.run("status", "--json", "--max-age", "5m")
    assert ran.code == 1
    assert "the last good poll is 24 h in the future" in ran.err
    (mailbox,) = ran.json["mailboxes"]
    assert mailbox["state"] == "silent"
    assert "(24 h in the future)" in installation.run("status").out
    clock.set(0)
    clock.start().wait_for("poll.finished")
    await_true(lambda: installation.run("status", "--max-age", "5m").code == 0)


def test_hosts_whose_clocks_differ_agree_on_the_age_of_a_poll(
    installation: Dropbox, clock: Clock, database_url: str
) -> None:
    """The database's clock counts, on the host of the worker and on that of `status`."""
    clock.set(-3 * HOUR)
    service = clock.start(database_url=database_url)
    service.wait_for("poll.finished")
    ran = installation.run("status", "--json", "--max-age", "1m")
    assert (ran.code, ran.err) == (0, "")
    (mailbox,) = ran.json["mailboxes"]
    assert 0 <= mailbox["last_good_poll_age_seconds"] < 30


def test_missed_times_are_skipped_in_one_step() -> None:
    start = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    trigger = Interval(seconds=60, start_date=start, timezone=UTC)
    assert trigger.get_next_fire_time(start, start) == start + timedelta(seconds=60)
    later = start + timedelta(days=3653, seconds=7)
    assert trigger.get_next_fire_time(start, later) == later + timedelta(seconds=53)


def test_only_a_reload_or_a_stop_ends_the_pause_of_an_outage() -> None:
    wakeups = WakeUps()
    assert not wakeups.wait(0.01, for_poll=True)
    wakeups.poll()
    assert wakeups.wait(0, for_poll=True)
    assert not wakeups.wait(0, for_poll=False)
    wakeups.reload()
    assert wakeups.wait(0, for_poll=False)
