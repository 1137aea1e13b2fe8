"""The endpoint of an account and the events that go there, as people manage them (R26)."""

from base64 import b64encode
from dataclasses import dataclass, field
from datetime import datetime
from secrets import token_bytes
from typing import Any

from sqlalchemy import delete, select, text, update
from sqlmodel import col

from worker.crm.accounts import make_first_account
from worker.crm.work import Crm, Work
from worker.domain.endpoints import ROTATION, Endpoint, EndpointState, State, checked_url
from worker.domain.errors import Refused
from worker.domain.events import event_id, event_number
from worker.domain.text import clean
from worker.retries import retry_on_conflict
from worker.store.event_log import restore
from worker.store.event_queue import read_endpoints
from worker.store.health import EndpointHealth, endpoints_health
from worker.store.inserts import allocate, insert_rows
from worker.store.tables import EVENT_FAILED, EVENT_WAITS, EventRow, WebhookRow
from worker.store.waiting import lock

_WAITS = text(f"({EVENT_WAITS})")
_FAILED = text(f"({EVENT_FAILED})")
_FRESH: dict[str, Any] = {
    "state": EndpointState.ACTIVE.value,
    "paused_because": None,
    "pause_told": True,
    "failing_since": None,
    "failures": 0,
    "retry_at": None,
}
"""An endpoint of which nothing bad is known."""


@dataclass(frozen=True, slots=True)
class AddedWebhook:
    """A new endpoint or secret, by the names of the JSON fields. The secret is shown once."""

    id: int
    url: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class EventSummary:
    """An event as a list shows it, by the names of the JSON fields."""

    id: str
    type: str
    created_at: datetime
    state: State
    attempts: int
    next_attempt_at: datetime | None
    last_error: str | None


@retry_on_conflict
def add_webhook(crm: Crm, url: str | None, *, rotate: bool, now: datetime) -> AddedWebhook:
    """Make the account's endpoint; or give the one that it has a new secret, and a new URL where one is named.

    After a rotation, deliveries are signed with the old secret too for a day.

    Raises:
        Refused: when the URL is no good, when there is an endpoint already, or none to rotate.
    """
    checked = checked_url(url) if url is not None else None
    with crm.begin() as work:
        make_first_account(work, now)
        lock(work.connection, [work.account.id], alone=False)  # mail that is being filed sees it, or comes before it
        found = _row(work)
        secret = _new_secret()
        if rotate and found is not None:
            target = checked or found.url
            values = {"url": target, "secret": secret, "old_secret": found.secret, "old_secret_until": now + ROTATION}
            work.connection.execute(update(WebhookRow).where(_of(work)).values(values))
            return AddedWebhook(found.id, target, secret)
        if rotate:
            raise _no_webhook(work)
        if found is not None:
            raise Refused(f"account {work.account.name} has a webhook already: {found.url}", "webhook_exists")
        if checked is None:
            raise Refused("which URL?", "webhook_url_missing")
        (number,) = allocate(work.connection, WebhookRow, 1)
        row = {"account_id": work.account.id, "id": number, "url": checked, "secret": secret, "created_at": now}
        insert_rows(work.connection, WebhookRow, [{**row, **_FRESH}])
    return AddedWebhook(number, checked, secret)


def list_webhooks(crm: Crm) -> list[EndpointHealth]:
    """List the endpoint of the named account, or those of all accounts.

    Raises:
        Refused: there is no such account.
        Unavailable: the database is down.
    """
    with crm.read() as work:
        if work.account_name is None:
            return endpoints_health(work.connection)
        return endpoints_health(work.connection, work.account.id)


def enable_webhook(crm: Crm, number: int | None, *, now: datetime) -> EndpointHealth:
    """Deliver again, beginning with what waits. Failed events are tried as if they were new.

    Raises:
        Refused: when the account has no endpoint, or not this one.
    """
    with crm.begin() as work:
        _require(work, number)
        work.connection.execute(update(WebhookRow).where(_of(work)).values(_FRESH))
        waits = update(EventRow).where(work.owns(EventRow), _WAITS)
        work.connection.execute(waits.values(next_attempt_at=now, first_attempt_at=None))
        return _health(work)


def disable_webhook(crm: Crm, number: int | None) -> EndpointHealth:
    """Deliver nothing from now on; events wait.

    Raises:
        Refused: when the account has no endpoint, or not this one.
    """
    with crm.begin() as work:
        _require(work, number)
        work.connection.execute(update(WebhookRow).where(_of(work)).values({**_FRESH, "state": "disabled"}))
        return _health(work)


def remove_webhook(crm: Crm, number: int | None) -> EndpointHealth:
    """Remove the endpoint. Its events are kept, and can be resent to another one.

    Raises:
        Refused: when the account has no endpoint, or not this one.
    """
    with crm.begin() as work:
        _require(work, number)
        lock(work.connection, [work.account.id], alone=False)
        removed = _health(work)
        work.connection.execute(delete(WebhookRow).where(_of(work)))
        waits = update(EventRow).where(work.owns(EventRow), _WAITS)
        work.connection.execute(waits.values(state=State.NO_ENDPOINT.value, next_attempt_at=None))
        return removed


def endpoint_of(crm: Crm, number: int | None, *, now: datetime) -> Endpoint:
    """Return the account's endpoint, whatever its state, to send a test to.

    Raises:
        Refused: when the account has no endpoint, or not this one.
    """
    with crm.read() as work:
        _require(work, number)
        return read_endpoints(work.connection, [work.account.id], now)[0]


def list_events(crm: Crm, *, failed: bool, limit: int | None) -> list[EventSummary]:
    """List the account's events, the newest first; or only those whose last attempt failed.

    Raises:
        Refused: there is no such account, or there are several and none is named.
        Unavailable: the database is down.
    """
    columns = (
        *(col(EventRow.id), col(EventRow.created_at), col(EventRow.type), col(EventRow.state)),
        *(col(EventRow.attempts), col(EventRow.next_attempt_at), col(EventRow.last_error)),
    )
    with crm.read() as work:
        query = select(*columns).where(work.owns(EventRow))
        if failed:
            query = query.where(_FAILED)
        rows = work.connection.execute(query.order_by(col(EventRow.id).desc()).limit(limit))
        return [EventSummary(event_id(row[0], row[1]), row[2], row[1], State(row[3]), *row[4:]) for row in rows]


def resend_event(crm: Crm, name: str, *, now: datetime) -> int:
    """Have one event delivered once more, under the same id; returns how many there are: one.

    Raises:
        Refused: when there is no such event, or no endpoint.
    """
    number = int(name) if name.isdecimal() and len(name) < len(str(2**63)) else event_number(name)
    with crm.begin() as work:
        _require(work)
        if number is None or not _resend(work, col(EventRow.id) == number, now):
            raise Refused(f"no event {clean(name, 60)!r} in account {work.account.name}", "event_unknown")
    return 1


def resend_since(crm: Crm, since: datetime, *, now: datetime) -> int:
    """Have all events since then delivered once more, under the same ids; returns how many they are.

    Raises:
        Refused: when the account has no endpoint.
    """
    with crm.begin() as work:
        _require(work)
        return _resend(work, col(EventRow.created_at) >= since, now)


def _new_secret() -> str:
    """Make a secret as Standard Webhooks asks for it."""
    return "whsec_" + b64encode(token_bytes(32)).decode()


def _resend(work: Work, which: Any, now: datetime) -> int:
    """Let the chosen events wait for delivery again; return how many they are."""
    waiting = {
        "state": State.PENDING.value,
        "attempts": 0,
        "first_attempt_at": None,
        "next_attempt_at": now,
        "settled_at": None,
        "last_error": None,
    }
    restore(work.connection, work.account.id, which)
    chosen = update(EventRow).where(work.owns(EventRow), which)
    return work.connection.execute(chosen.values(waiting)).rowcount


def _of(work: Work) -> Any:
    return work.owns(WebhookRow)


def _row(work: Work) -> Any:
    columns = (col(WebhookRow.id), col(WebhookRow.url), col(WebhookRow.secret))
    return work.connection.execute(select(*columns).where(_of(work))).first()


def _require(work: Work, number: int | None = None) -> Any:
    row = _row(work)
    if row is None:
        raise _no_webhook(work)
    if number not in {None, row.id}:
        raise Refused(
            f"account {work.account.name} has no webhook {number}: its webhook is {row.id}", "webhook_unknown"
        )
    return row


def _health(work: Work) -> EndpointHealth:
    (health,) = endpoints_health(work.connection, work.account.id)
    return health


def _no_webhook(work: Work) -> Refused:
    return Refused(f"account {work.account.name} has no webhook", "webhook_missing")
