"""Work under supervision, and jobs beside it, within this process."""

import os
import signal
import threading
import time
from collections.abc import Callable
from itertools import pairwise

import pytest
from freezegun import freeze_time
from structlog.testing import capture_logs

from tests.harness.running import await_true
from worker.domain.errors import Refused, Unavailable
from worker.retries import Backoff
from worker.service import supervisor
from worker.service.background import Background, Job
from worker.service.supervisor import Progress, Supervisor, Systemd


def must_not(*_args: object) -> None:
    pytest.fail("called without a reason")


def test_work_gives_its_result() -> None:
    assert Supervisor(10).run(lambda: 5, stop=must_not, overdue=must_not) == 5


def test_an_error_of_the_work_is_raised_on_the_main_thread() -> None:
    def work() -> None:
        raise Refused("no")

    with pytest.raises(Refused, match="no"):
        Supervisor(10).run(work, stop=must_not, overdue=must_not)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_the_work_to_stop_and_waits_for_it(number: signal.Signals) -> None:
    is_stopping, names = threading.Event(), []

    def work() -> bool:
        os.kill(os.getpid(), number)
        return is_stopping.wait(10)

    def stop(name: str) -> None:
        names.append(name)
        is_stopping.set()

    assert Supervisor(10).run(work, stop=stop, overdue=must_not)
    assert names == [number.name]


def test_the_signal_handlers_are_restored() -> None:
    before = signal.getsignal(signal.SIGTERM)
    Supervisor(10).run(lambda: None, stop=must_not, overdue=must_not)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_reload_does_not_end_the_work() -> None:
    is_reloaded = threading.Event()

    def work() -> bool:
        os.kill(os.getpid(), signal.SIGHUP)
        return is_reloaded.wait(10)

    assert Supervisor(10).run(work, stop=must_not, overdue=must_not, reload=is_reloaded.set)


def test_work_without_progress_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    goes_on = threading.Event()

    def end(code: int) -> None:
        ended.append(code)
        goes_on.set()

    monkeypatch.setattr(supervisor, "end_process", end)
    watched = Supervisor(0.1)

    def work() -> bool:
        watched.progress.progress()
        return goes_on.wait(10)

    with capture_logs() as logged:
        watched.run(work, stop=must_not, overdue=must_not)
    assert ended[0] == supervisor.EXIT_HUNG
    assert logged[0]["event"] == "poll.hung"


def test_a_rest_that_lasts_longer_than_announced_is_no_rest() -> None:
    with freeze_time("2026-11-23 09:00:00") as clock:
        progress = Progress(Systemd())
        progress.rest(60)
        clock.tick(85)
        assert [progress.is_resting, progress.seconds_still] == [True, 0]
        clock.tick(10)
        assert [progress.is_resting, progress.seconds_still] == [False, 0]
        progress.progress()
        clock.tick(5)
        assert progress.seconds_still == 5


class Counting:
    """A job that counts its runs and is due again in an hour."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, stop: Callable[[], bool]) -> float:
        assert not stop()
        self.runs += 1
        return 3600


def test_a_job_runs_at_the_start_and_whenever_it_is_woken() -> None:
    counting = Counting()
    background = Background(Job("count", counting))
    background.start()
    await_true(lambda: counting.runs == 1)
    background.wake()
    await_true(lambda: counting.runs == 2)
    background.start()
    background.stop()
    background.start()
    await_true(lambda: counting.runs == 3)
    background.stop()


def test_a_job_that_fails_is_logged_and_the_others_go_on() -> None:
    def fail(_stop: Callable[[], bool]) -> float:
        raise KeyError("a bug")

    counting = Counting()
    background = Background(Job("fail", fail), Job("count", counting))
    with capture_logs() as logged:
        background.start()
        await_true(lambda: counting.runs == 1 and logged)
        background.wake()
        await_true(lambda: counting.runs == 2 and len(logged) == 2)
        background.stop()
    assert {(line["event"], line["job"]) for line in logged} == {("service.failed", "fail")}


def test_an_outage_is_waited_out_by_growing_pauses_that_nothing_ends_but_a_stop() -> None:
    began: list[float] = []

    def fail(_stop: Callable[[], bool]) -> float:
        began.append(time.monotonic())
        raise Unavailable("mail server: down")

    counting = Counting()
    background = Background(Job("notices", fail, Backoff(first=0.1, longest=60)), Job("count", counting))
    background.start()
    while len(began) < 4:
        background.wake()
        time.sleep(0.01)
    background.stop()
    first, second, third = (after - before for before, after in pairwise(began))
    assert first >= 0.07
    assert second >= 0.14
    assert third >= 0.28
    assert counting.runs > 4
    assert time.monotonic() - began[-1] < 0.5


def test_a_job_that_asks_for_it_runs_only_when_it_is_due() -> None:
    counting, other = Counting(), Counting()
    background = Background(Job("upkeep", counting, is_woken=False), Job("count", other))
    background.start()
    await_true(lambda: counting.runs == other.runs == 1)
    background.wake()
    await_true(lambda: other.runs == 2)
    background.stop()
    assert counting.runs == 1


def test_a_job_that_does_not_end_is_left_behind_and_never_runs_twice_at_once() -> None:
    runs: list[int] = []
    goes_on = threading.Event()

    def hang(_stop: Callable[[], bool]) -> float:
        runs.append(1)
        goes_on.wait(10)
        return 3600

    background = Background(Job("hang", hang), stop_seconds=0.05)
    background.start()
    await_true(lambda: runs)
    background.stop()
    background.start()
    background.stop()
    assert len(runs) == 1
    goes_on.set()
