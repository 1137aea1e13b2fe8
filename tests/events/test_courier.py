"""Delivering to receivers that fail in every way: nothing is lost, nothing of a record comes out of order (R26)."""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text, update
from sqlmodel import col

from tests.events.receiver import (
    Behaviour,
    Got,
    Handler,
    Receiver,
    answers,
    closes,
    drips,
    garbage,
    hangs,
    never_ends,
    resets,
    slow,
)
from tests.harness.crm import NOW, Rows, User
from tests.harness.running import await_true
from worker.domain.events import RecordFacts, record_merged, record_updated
from worker.domain.permissions import Module
from worker.outgoing import courier as courier_module
from worker.outgoing import event_delivery as webhooks_module
from worker.outgoing.courier import Courier
from worker.store.event_log import write_events
from worker.store.event_queue import EventOutbox
from worker.store.tables import EventRow, WebhookRow

CARL = "carl@client.example"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> float:
    """Wait for a whole second, and not for ten."""
    for module in (courier_module, webhooks_module):
        monkeypatch.setattr(module, "WAIT_SECONDS", 1.0)
    return 1.0


@pytest.fixture
def courier(outbox: EventOutbox) -> Courier:
    return Courier(outbox)


def facts(record: int) -> RecordFacts:
    return RecordFacts(record, Module.CONTACT, CARL)


def happen(crm: Rows, account_id: int, *records: int) -> None:
    """Let something happen to these records."""
    with crm.database.begin() as connection:
        write_events(connection, [record_updated(account_id, facts(record), ["email"]) for record in records], NOW)


def states(crm: Rows) -> list[str]:
    return [row["state"] for row in crm.rows(EventRow)]


def webhook(crm: Rows) -> dict[str, Any]:
    (row,) = crm.rows(WebhookRow)
    return row


def hurry(crm: Rows) -> None:
    """Let the pauses before the next attempts be over."""
    with crm.database.begin() as connection:
        connection.execute(update(WebhookRow).values(retry_at=None, leased_until=None))
        waits = col(EventRow.next_attempt_at).is_not(None)
        connection.execute(update(EventRow).where(waits).values(next_attempt_at=NOW))


def pause_of(crm: Rows, place: int = 0) -> timedelta:
    """Return the time until the next attempt of the event."""
    again_at: datetime = crm.rows(EventRow)[place]["next_attempt_at"]
    return again_at - datetime.now(UTC)


def test_events_are_delivered_once_and_verified(
    crm: Rows, courier: Courier, joe: User, receiver: Receiver, connect: Callable[..., None]
) -> None:
    connect(joe.account_id, receiver.url)
    happen(crm, joe.account_id, 1, 2, 1, 3)
    assert (courier.deliver_due(), courier.deliver_due()) == (4, 0)
    assert (len(receiver.got), receiver.refused, set(states(crm))) == (4, [], {"delivered"})
    got = receiver.got[0]
    assert got.headers["content-type"] == "application/json"
    assert got.headers["user-agent"].startswith("bcc-dropbox/")
    assert "cookie" not in got.headers


def test_many_events_come_in_order_for_each_record(
    crm: Rows, courier: Courier, joe: User, receiver: Receiver, connect: Callable[..., None]
) -> None:
    connect(joe.account_id, receiver.url)
    happen(crm, joe.account_id, *(number % 7 for number in range(500)))
    assert courier.deliver_due() == 500
    numbers: dict[int, list[int]] = {}
    for got in receiver.got:
        numbers.setdefault(got.data["record_id"], []).append(int(got.id.rpartition("_")[2]))
    assert all(found == sorted(found) for found in numbers.values())
    assert receiver.connections <= 4, "connections are kept"


FAILURES: Sequence[tuple[Behaviour, str]] = (
    (answers(500), "HTTP 500"),
    (answers(404), "HTTP 404"),
    (answers(302, Location="http://127.0.0.1:1/elsewhere"), "HTTP 302"),
    (answers(429, Retry_After="120"), "HTTP 429"),
    (answers(503, Retry_After="Fri, 01 Jan 2100 00:00:00 GMT"), "HTTP 503"),
    (hangs, "no whole answer within"),
    (drips, "no whole answer within"),
    (resets, "the connection was lost"),
    (garbage, "its answer cannot be read"),
)


@pytest.mark.parametrize(
    ("behaviour", "error"), FAILURES, ids=[f"{n}-{error}" for n, (_, error) in enumerate(FAILURES)]
)
@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_failing_receiver_delays_events_and_loses_none(
    crm: Rows,
    courier: Courier,
    joe: User,
    receiver: Receiver,
    connect: Callable[..., None],
    behaviour: Behaviour,
    error: str,
    impatient: float,
) -> None:
    connect(joe.account_id, receiver.url)
    happen(crm, joe.account_id, 1, 1, 2)
    receiver.behaviour = behaviour
    began = time.monotonic()
    assert courier.deliver_due() == 0
    assert time.monotonic() - began < 10
    first, second, _ = crm.rows(EventRow)
    assert (first["state"], second["state"]) == ("failed", "pending")
    assert first["last_error"].startswith(error)
    assert (webhook(crm)["last_error"], webhook(crm)["state"]) == (first["last_error"], "active")
    assert webhook(crm)["failing_since"] is not None
    receiver.behaviour = answers(204)
    hurry(crm)
    assert courier.deliver_due() == 3
    assert set(states(crm)) == {"delivered"}
    assert webhook(crm)["failing_since"] is None
    assert [got.id for got in receiver.got if got.data["record_id"] == 1][-2:] == [
        got.id for got in sorted(receiver.got[-3:], key=lambda got: got.at) if got.data["record_id"] == 1
    ]


@pytest.mark.parametrize("behaviour", [slow(0.3), closes, never_ends, answers(200, b"x" * 4096)], ids=range(4))
@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_whatever_a_receiver_does_after_a_2xx_is_success(
    crm: Rows, courier: Courier, joe: User, receiver: Receiver, connect: Callable[..., None], behaviour: Behaviour
) -> None:
    connect(joe.account_id, receiver.url)
    receiver.behaviour = behaviour
    happen(crm, joe.account_id, 1, 1, 1)
    assert courier.deliver_due() == 3
    assert set(states(crm)) == {"delivered"}
    assert receiver.octets < 50_000_000, "an endless body is not read to its end"


def test_a_receiver_that_is_down_gets_one_attempt_and_not_one_for_each_event(
    crm: Rows, courier: Courier, joe: User, connect: Callable[..., None]
) -> None:
    with Receiver() as receiver:
        url = receiver.url
    connect(joe.account_id, url)
    happen(crm, joe.account_id, *range(1, 100))
    assert courier.deliver_due() == 0
    attempts = sum(row["attempts"] for row in crm.rows(EventRow))
    assert 1 <= attempts <= 4, "no more than what was under way"
    assert timedelta(seconds=3) < webhook(crm)["retry_at"] - datetime.now(UTC) < timedelta(seconds=6)
    assert courier.deliver_due() == 0
    assert sum(row["attempts"] for row in crm.rows(EventRow)) == attempts, "not before the pause is over"
    with Receiver(port=receiver.port) as back:
        hurry(crm)
        assert courier.deliver_due() == 99
        assert len(set(back.ids)) == 99


def test_an_event_that_the_receiver_does_not_like_holds_up_its_own_record_alone(
    crm: Rows, courier: Courier, joe: User, receiver: Receiver, connect: Callable[..., None]
) -> None:
    connect(joe.account_id, receiver.url)

    def picky(handler: Handler, got: Got) -> None:
        answers(500 if got.data["record_id"] == 3 else 204)(handler, got)

    receiver.behaviour = picky
    happen(crm, joe.account_id, *(number % 10 for number in range(600)))
    assert courier.deliver_due() == 540
    assert [row["state"] for row in crm.rows(EventRow) if row["record_id"] == 3] == ["failed"] + ["pending"] * 59
    happen(crm, joe.account_id, 4)
    assert courier.deliver_due() == 1, "what is new is delivered at once all the same"


def test_a_merge_waits_for_both_of_its_records_and_both_wait_for_it(
    crm: Rows, courier: Courier, joe: User, receiver: Receiver, connect: Callable[..., None]
) -> None:
    connect(joe.account_id, receiver.url)
    receiver.behaviour = lambda handler, got: answers(500 if got.data["record_id"] == 5 else 204)(handler, got)
    happen(crm, joe.account_id, 7, 5)
    with crm.database.begin() as connection:
        write_events(connection, [record_merged(joe.account_id, facts(7), facts(5))], NOW)
    happen(crm, joe.account_id, 7)
    assert courier.deliver_due() == 1
    assert states(crm) == ["delivered", "failed", "pending", "pending"]
    receiver.behaviour = answers(204)
    hurry(crm)
    assert courier.deliver_due() == 3
    assert [got.type for got in receiver.got[-2:]] == ["record.merged", "record.updated"]


def test_410_pauses_the_endpoint_and_keeps_its_events(
    crm: Rows, courier: Courier, joe: User, receiver: Receiver, connect: Callable[..., None]
) -> None:
    connect(joe.account_id, receiver.url)
    receiver.behaviour = answers(410)
    happen(crm, joe.account_id, 1, 2)
    courier.deliver_due()
    row = webhook(crm)
    assert (row["state"], row["pause_told"]) == ("paused", False)
    assert "410" in row["paused_because"]
    receiver.behaviour = answers(204)
    hurry(crm)
    assert courier.deliver_due() == 0
    assert set(states(crm)) <= {"failed", "pending"}


def test_a_day_of_failures_pauses_the_endpoint(
    crm: Rows, courier: Courier, joe: User, receiver: Receiver, connect: Callable[..., None]
) -> None:
    connect(joe.account_id, receiver.url, failing_since=datetime.now(UTC) - timedelta(hours=25))
    receiver.behaviour = answers(500)
    happen(crm, joe.account_id, 1)
    courier.deliver_due()
    assert webhook(crm)["state"] == "paused"
    assert webhook(crm)["paused_because"] == "for a day nothing was delivered; at last: HTTP 500"


def test_after_three_days_an_event_is_given_up_and_the_next_of_its_record_goes_on(
    crm: Rows, courier: Courier, joe: User, receiver: Receiver, connect: Callable[..., None]
) -> None:
    connect(joe.account_id, receiver.url)
    happen(crm, joe.account_id, 1)
    with crm.database.begin() as connection:
        long_ago = datetime.now(UTC) - timedelta(days=3, hours=1)
        connection.execute(update(EventRow).values(first_attempt_at=long_ago, attempts=70, state="failed"))
    happen(crm, joe.account_id, 1)
    receiver.behaviour = answers(500)
    courier.deliver_due()
    assert states(crm)[0] == "given_up"
    receiver.behaviour = answers(204)
    hurry(crm)
    assert courier.deliver_due() == 1
    assert states(crm) == ["given_up", "delivered"]


def test_retry_after_is_obeyed(
    crm: Rows, courier: Courier, joe: User, receiver: Receiver, connect: Callable[..., None]
) -> None:
    connect(joe.account_id, receiver.url)
    receiver.behaviour = answers(429, Retry_After="120")
    happen(crm, joe.account_id, 1, 2)
    courier.deliver_due()
    assert timedelta(seconds=100) < pause_of(crm) < timedelta(seconds=121)
    assert webhook(crm)["retry_at"] - datetime.now(UTC) > timedelta(seconds=100), "nothing else is sent before"


def test_a_rotation_signs_with_both_secrets_for_a_day(
    crm: Rows, courier: Courier, joe: User, receiver: Receiver, connect: Callable[..., None]
) -> None:
    old, new = "whsec_b2xkIHNlY3JldCBvZiB0aGUgdGVzdHM=", receiver.secrets[0]
    connect(joe.account_id, receiver.url, old_secret=old, old_secret_until=datetime.now(UTC) + timedelta(hours=1))
    receiver.secrets = (old, new)
    happen(crm, joe.account_id, 1)
    assert courier.deliver_due() == 1
    with crm.database.begin() as connection:
        connection.execute(update(WebhookRow).values(old_secret_until=datetime.now(UTC) - timedelta(hours=1)))
    happen(crm, joe.account_id, 2)
    assert courier.deliver_due() == 0, "now the old one is no more used"
    assert receiver.refused == ["No matching signature found"]


def test_one_hanging_receiver_does_not_hold_up_another(
    crm: Rows, courier: Courier, joe: User, receiver: Receiver, connect: Callable[..., None], impatient: float
) -> None:
    ann = crm.user(crm.account("Other"), "ann@other.example")
    with Receiver(hangs) as hanging:
        connect(joe.account_id, hanging.url)
        connect(ann.account_id, receiver.url)
        happen(crm, joe.account_id, *range(50))
        happen(crm, ann.account_id, *range(50))
        began = time.monotonic()
        thread = threading.Thread(target=courier.deliver_due)
        thread.start()
        while len(receiver.got) < 50 and time.monotonic() - began < 20:
            time.sleep(0.01)
        took = time.monotonic() - began
        thread.join()
    assert len(receiver.got) == 50
    assert took < 5 + impatient


def test_an_endpoint_is_delivered_to_by_one_worker_at_a_time_and_taken_over_after_a_crash(
    crm: Rows, joe: User, receiver: Receiver, connect: Callable[..., None]
) -> None:
    connect(joe.account_id, receiver.url)
    happen(crm, joe.account_id, 1, 2)
    crashed, other = EventOutbox(crm.database), EventOutbox(crm.database)
    assert [endpoint.account_id for endpoint in crashed.lease(datetime.now(UTC))] == [joe.account_id]
    assert other.lease(datetime.now(UTC)) == []
    assert [endpoint.account_id for endpoint in crashed.renew([joe.account_id], datetime.now(UTC))] == [joe.account_id]
    assert other.renew([joe.account_id], datetime.now(UTC)) == []
    began = time.monotonic()
    while not Courier(other).deliver_due() and time.monotonic() - began < 10:
        time.sleep(0.5)
    assert (len(receiver.got), time.monotonic() - began < 10) == (2, True)


def test_a_clean_end_lets_another_worker_go_on_at_once(
    crm: Rows, outbox: EventOutbox, joe: User, receiver: Receiver, connect: Callable[..., None]
) -> None:
    connect(joe.account_id, receiver.url)
    receiver.behaviour = slow(0.1)
    happen(crm, joe.account_id, *range(200))
    Courier(outbox).deliver_due(stop=lambda: len(receiver.got) > 5)
    receiver.behaviour = answers(204)
    assert 0 < len(receiver.got) < 150
    assert Courier(EventOutbox(crm.database)).deliver_due() > 0
    assert set(states(crm)) == {"delivered"}
    assert len(receiver.ids) == len(set(receiver.ids)), "what was under way has ended, and is not sent again"


def test_disabling_stops_deliveries_under_way(
    crm: Rows, courier: Courier, joe: User, receiver: Receiver, connect: Callable[..., None]
) -> None:
    connect(joe.account_id, receiver.url)
    receiver.behaviour = slow(0.05)
    happen(crm, joe.account_id, *range(400))
    thread = threading.Thread(target=courier.deliver_due)
    thread.start()
    await_true(lambda: len(receiver.got) >= 10)
    with crm.database.begin() as connection:
        connection.execute(text("UPDATE webhook SET state = 'disabled'"))
    thread.join(15)
    assert not thread.is_alive()
    assert len(receiver.got) < 400
    assert states(crm).count("pending") > 0
