"""When an event is tried again, what waits for what, and which URLs are taken (R26)."""

from datetime import UTC, datetime, timedelta

import pytest

from worker.domain.endpoints import Answer, Blocked, Delivery, Endpoint, Outlook, chains, checked_url, outlook, retry_at
from worker.domain.errors import Refused

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
ENDPOINT = Endpoint(1, "Acme", "https://crm.example/hook", ("whsec_x",))
DOWN = Answer(None, "nothing listens there")


def due(number: int, *records: int, attempts: int = 0, since: datetime | None = None) -> Delivery:
    return Delivery(number, f"evt_{number}", "{}", frozenset(records), attempts, since)


def test_the_pauses_grow_to_an_hour() -> None:
    pauses = [retry_at(due(1, attempts=attempts), Answer(500), NOW, 1.0) for attempts in range(8)]
    assert [(at - NOW).total_seconds() for at in pauses if at] == [5, 30, 120, 600, 1800, 3600, 3600, 3600]


@pytest.mark.parametrize(("stated", "seconds"), [(1, 5), (77, 77), (10**9, 86400)])
def test_a_longer_retry_after_is_obeyed_up_to_a_day(stated: int, seconds: int) -> None:
    at = retry_at(due(1), Answer(429, retry_after=timedelta(seconds=stated)), NOW, 1.0)
    assert at == NOW + timedelta(seconds=seconds)


def test_three_days_after_its_first_attempt_an_event_is_given_up() -> None:
    assert retry_at(due(1, attempts=9, since=NOW - timedelta(days=3)), DOWN, NOW, 1.0) is None
    assert retry_at(due(1, attempts=9, since=NOW - timedelta(days=2)), DOWN, NOW, 1.0) is not None


def test_a_receiver_that_does_not_answer_is_down_and_is_probed_every_two_minutes_at_the_latest() -> None:
    endpoint, pauses = ENDPOINT, []
    for _ in range(5):
        found = outlook(endpoint, DOWN, NOW, in_a_row=1, jitter=1.0)
        assert found.retry_at
        pauses.append((found.retry_at - NOW).total_seconds())
        endpoint = Endpoint(1, "Acme", ENDPOINT.url, (), found.failing_since, found.failures)
    assert pauses == [5, 30, 120, 120, 120]
    assert outlook(endpoint, Answer(200), NOW, in_a_row=0, jitter=1.0) == Outlook(None, 0, None)


def test_an_error_status_is_about_one_event_until_three_different_ones_fail_in_a_row() -> None:
    assert outlook(ENDPOINT, Answer(500), NOW, in_a_row=2, jitter=1.0) == Outlook(NOW, 0, None)
    assert outlook(ENDPOINT, Answer(500), NOW, in_a_row=3, jitter=1.0) == Outlook(NOW, 1, NOW + timedelta(seconds=5))


def test_410_and_a_day_of_failures_pause() -> None:
    assert outlook(ENDPOINT, Answer(410), NOW, in_a_row=1, jitter=1.0).paused_because
    yesterday = Endpoint(1, "Acme", ENDPOINT.url, (), NOW - timedelta(days=1))
    assert outlook(yesterday, DOWN, NOW, in_a_row=1, jitter=1.0).paused_because
    today = Endpoint(1, "Acme", ENDPOINT.url, (), NOW - timedelta(hours=23))
    assert outlook(today, DOWN, NOW, in_a_row=1, jitter=1.0).paused_because is None


@pytest.mark.parametrize(
    ("events", "blocked", "expected"),
    [
        ([due(1, 7), due(2, 8), due(3, 7)], [], [[1, 3], [2]]),
        ([due(2, 7), due(3, 8)], [Blocked(1, frozenset({7}))], [[3]]),
        ([due(1, 7), due(3, 7)], [Blocked(2, frozenset({7}))], [[1]]),
        ([due(1), due(2), due(3)], [], [[1], [2], [3]]),
        ([due(1, 7), due(2, 5, 7), due(3, 5)], [], [[1, 2, 3]]),
        ([due(1, 7), due(2, 5), due(3, 5, 7), due(4, 7), due(5, 9)], [], [[1], [2], [5]]),
        ([due(2, 5, 7), due(3, 7)], [Blocked(1, frozenset({5}))], []),
    ],
)
def test_later_events_of_a_record_wait_for_earlier_ones(
    events: list[Delivery], blocked: list[Blocked], expected: list[list[int]]
) -> None:
    assert [[each.number for each in chain] for chain in chains(events, blocked)] == expected


@pytest.mark.parametrize(
    "url",
    [
        "https://crm.example/hook",
        "https://crm.example:8443/hook?key=1",
        "HTTPS://CRM.example",
        "http://127.0.0.1:8080/",
        "http://[::1]:8080/x",
        "http://localhost:1/x",
    ],
)
def test_these_urls_are_taken(url: str) -> None:
    assert checked_url(f" {url} ") == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "crm.example/hook",
        "ftp://crm.example/",
        "http://crm.example/hook",
        "http://127.0.0.1.evil.example/",
        "http://10.0.0.1/",
        "http://localhost@evil.example/",
        "https://user:password@crm.example/",
        "https://",
        "https://crm.example:99999/",
        "https://crm.example/#here",
        "https://crm.example/a b",
        "https://crm.example/\r\nX: y",
        "https://[::1",
        "file:///etc/passwd",
        "https://crm.example/" + "x" * 2000,
    ],
)
def test_these_urls_are_refused(url: str) -> None:
    with pytest.raises(Refused):
        checked_url(url)
