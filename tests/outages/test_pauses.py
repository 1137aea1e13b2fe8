"""How long an outage is waited out, and what it leaves in the log."""

import pytest
from freezegun import freeze_time
from structlog.testing import capture_logs

from worker.domain.errors import DatabaseUnavailable, LoginRefused, Unavailable
from worker.retries import Backoff
from worker.service.turns import Outages

MAILBOX, DATABASE, LOGIN = Unavailable("no mailbox"), DatabaseUnavailable("no database"), LoginRefused("no entry")


def pauses(error: Unavailable, count: int) -> list[float]:
    outage = Outages()
    return [outage.failed(error) for _ in range(count)]


@pytest.mark.parametrize("error", [MAILBOX, DATABASE])
def test_pauses_double_up_to_a_minute(error: Unavailable) -> None:
    for pause, longest in zip(pauses(error, 9), [1, 2, 4, 8, 16, 32, 60, 60, 60], strict=True):
        assert 0.7 * longest <= pause <= longest


def test_a_refused_login_waits_for_two_minutes_and_soon_for_fifteen() -> None:
    for pause, longest in zip(pauses(LOGIN, 6), [120, 240, 480, 900, 900, 900], strict=True):
        assert 0.7 * longest <= pause <= longest


def test_pauses_begin_anew_when_the_server_has_answered() -> None:
    backoff = Backoff(first=30, longest=900)
    for longest in (30, 60, 120, 240, 480, 900, 900):
        assert 0.7 * longest <= backoff.pause() <= longest
    backoff.reset()
    assert backoff.pause() <= 30


def test_no_two_workers_come_back_in_one_moment() -> None:
    assert len({pauses(MAILBOX, 7)[-1] for _ in range(20)}) == 20


def test_an_outage_of_days_does_not_count_itself_out_of_range() -> None:
    assert 42 <= pauses(MAILBOX, 5_000)[-1] <= 60


def test_pauses_begin_anew_after_the_outage_and_after_a_poll_that_did_much_before_it_failed() -> None:
    outage = Outages()
    for _ in range(6):
        outage.failed(MAILBOX)
    assert outage.failed(MAILBOX, progressed=True) <= 1
    for _ in range(6):
        outage.failed(MAILBOX)
    outage.ended()
    assert outage.failed(MAILBOX) <= 1


def test_a_database_that_fails_in_between_does_not_hurry_the_mailbox() -> None:
    outage = Outages()
    for _ in range(8):
        outage.failed(MAILBOX)
        outage.failed(DATABASE)
    assert outage.failed(MAILBOX) >= 42


def test_an_outage_leaves_one_line_when_it_starts_and_one_when_it_ends() -> None:
    with freeze_time("2026-11-23 09:00:00") as clock, capture_logs() as logged:
        outage = Outages()
        for _ in range(40):
            outage.failed(MAILBOX)
            clock.tick(30)
        outage.ended()
        outage.ended()
    assert [line for line in logged if line["log_level"] != "debug"] == [
        {"event": "mailbox.lost", "log_level": "warning", "error": "no mailbox"},
        {"event": "mailbox.connected", "log_level": "info", "seconds_down": 1200.0, "attempts": 40},
    ]
    assert {line["event"] for line in logged if line["log_level"] == "debug"} == {"mailbox.retrying"}


def test_two_outages_at_once_are_told_each_by_its_two_lines() -> None:
    outage = Outages()
    with capture_logs() as logged:
        for error in (MAILBOX, DATABASE, MAILBOX, DATABASE):
            outage.failed(error)
        outage.ended()
    told = [line["event"] for line in logged if line["log_level"] != "debug"]
    assert told == ["mailbox.lost", "database.unavailable", "mailbox.connected", "database.recovered"]


def test_a_login_refused_after_a_lost_connection_is_a_line_of_its_own_and_both_end_together() -> None:
    outage = Outages()
    with capture_logs() as logged:
        for error in (MAILBOX, LOGIN, MAILBOX):
            outage.failed(error)
        outage.ended()
    told = [line["event"] for line in logged if line["log_level"] != "debug"]
    assert told == ["mailbox.lost", "mailbox.login_refused", "mailbox.connected"]
