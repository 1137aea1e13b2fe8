"""Delivering events to an endpoint (R26): where to, when again, in which order, and what an answer means."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlsplit

from worker.domain.addresses import is_loopback
from worker.domain.errors import Refused
from worker.domain.text import clean

_RETRIES = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 120, 600, 1800, 3600))
"""The pauses between the attempts at one event; the last one is repeated."""
_GIVES_UP_AFTER = timedelta(days=3)
"""From the first attempt at an event. Then it is `State.GIVEN_UP`, and people can resend it."""
_PAUSES_AFTER = timedelta(days=1)
"""An endpoint that took nothing for so long is paused."""
_LONGEST_RETRY_AFTER = timedelta(days=1)
"""A receiver may not ask for a longer pause than the one after which its endpoint is paused."""
ROTATION = timedelta(days=1)
"""For so long after a rotation each delivery is signed with the old secret too."""
WAIT_SECONDS = 10.0
"""The longest that a delivery may take, from the connection to the end of the answer."""
_FAILURES_IN_A_ROW = 3
"""When so many different events fail one after the other, the receiver is down rather than one event unwelcome."""
_LONGEST_PROBE_PAUSE = timedelta(minutes=2)
"""A receiver that is down gets one event that often, so that it is back soon after it recovers."""
_LONGEST_URL = 2000
_URL_CHARACTERS = re.compile(r"[!-~]+")


class State(StrEnum):
    """The state of an event's delivery."""

    PENDING = "pending"
    """It waits for its first attempt."""
    FAILED = "failed"
    """The last attempt failed; another one follows."""
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"
    """No attempt follows, unless people resend it."""
    NO_ENDPOINT = "no_endpoint"
    """The account had no endpoint. `event resend` delivers it once there is one."""


class EndpointState(StrEnum):
    """The state of an endpoint: it gets events, or why not."""

    ACTIVE = "active"
    DISABLED = "disabled"
    """People have switched it off. Its events wait."""
    PAUSED = "paused"
    """The worker has switched it off after failures. Its events wait."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The receiver of an account's events. ``secrets`` are the ones to sign with, the newest first."""

    account_id: int
    account: str
    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    failing_since: datetime | None = None
    failures: int = 0
    """How often in a row the receiver was found down."""

    @property
    def host(self) -> str:
        """The host of the URL, for logs: the rest may hold a secret."""
        return urlsplit(self.url).netloc


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event that is due; ``records`` are those whose later events wait for it."""

    number: int
    id: str
    body: str = field(repr=False)
    records: frozenset[int]
    attempts: int
    first_attempt_at: datetime | None


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of one attempt. Without an HTTP answer it has no ``status``, and ``error`` says why."""

    status: int | None
    error: str | None = None
    retry_after: timedelta | None = None
    body: str = field(default="", repr=False)
    seconds: float = 0.0

    @property
    def is_success(self) -> bool:
        """True for any 2xx. A redirect is no success: it is not followed."""
        return self.status is not None and self.status // 100 == HTTPStatus.OK // 100

    @property
    def is_gone(self) -> bool:
        """True when the receiver wants no more events."""
        return self.status == HTTPStatus.GONE

    @property
    def text(self) -> str:
        """The result on one line, for people."""
        return self.error if self.error is not None else f"HTTP {self.status}"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at an event, with its answer. Without ``retry_at`` no other attempt follows."""

    delivery: Delivery
    answer: Answer
    at: datetime
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outlook:
    """The state of the endpoint after attempts at events."""

    failing_since: datetime | None
    failures: int
    retry_at: datetime | None
    """Nothing is sent before."""
    paused_because: str | None = None


@dataclass(frozen=True, slots=True)
class Blocked:
    """An event that is not due yet: later events of its records wait for it."""

    number: int
    records: frozenset[int]


@dataclass(frozen=True, slots=True)
class Pause:
    """A paused endpoint that the operator does not know of yet."""

    account_id: int
    account: str
    url: str = field(repr=False)
    because: str
    waiting: int
    administrators: tuple[str, ...]
    """Logins of the users who may manage the account."""

    @property
    def host(self) -> str:
        """The host of the URL, for letters: the rest may hold a secret."""
        return urlsplit(self.url).netloc


class Outbox(Protocol):
    """The events that wait. Every method is one transaction and raises `Unavailable` when the database is down."""

    def lease(self, now: datetime) -> Sequence[Endpoint]:
        """Claim each endpoint for which something is due and that no other worker delivers to."""

    def renew(self, accounts: Collection[int], now: datetime) -> Sequence[Endpoint]:
        """Extend the claims; returns those endpoints that are still ours and active, as they are now."""

    def release(self, accounts: Collection[int]) -> None:
        """Give the claims up."""

    def due(self, account_id: int, now: datetime, *, above: int, most: int) -> Sequence[Delivery]:
        """Return up to ``most`` events that are due, with numbers ``above``, in the order of their numbers."""

    def blocked(self, account_id: int, now: datetime) -> Sequence[Blocked]:
        """Return the events of records that failed and are not due yet."""

    def settle(self, account_id: int, attempts: Sequence[Attempt], outlook: Outlook) -> None:
        """Store what came of the attempts."""


def retry_at(delivery: Delivery, answer: Answer, now: datetime, jitter: float) -> datetime | None:
    """Return when to try an event again whose attempt failed now; None when three days are over.

    ``jitter`` is about 1. A receiver's Retry-After is obeyed.
    """
    if delivery.first_attempt_at is not None and now - delivery.first_attempt_at >= _GIVES_UP_AFTER:
        return None
    pause = _RETRIES[min(delivery.attempts, len(_RETRIES) - 1)] * jitter
    return now + max(pause, _stated_pause(answer))


def outlook(endpoint: Endpoint, answer: Answer, now: datetime, *, in_a_row: int, jitter: float) -> Outlook:
    """Return how an endpoint is doing after this answer; ``in_a_row``: how many different events have failed in a row.

    No answer at all means that the receiver is down, as does a Retry-After. An error status may be about one event.
    """
    if answer.is_success:
        return Outlook(None, 0, None)
    since = endpoint.failing_since or now
    if answer.is_gone:
        return Outlook(since, endpoint.failures, None, "the receiver answered 410: it wants no more events")
    if now - since >= _PAUSES_AFTER:
        return Outlook(since, endpoint.failures, None, f"for a day nothing was delivered; at last: {answer.text}")
    if answer.status is not None and answer.retry_after is None and in_a_row < _FAILURES_IN_A_ROW:
        return Outlook(since, endpoint.failures, None)
    pause = min(_RETRIES[min(endpoint.failures, len(_RETRIES) - 1)], _LONGEST_PROBE_PAUSE) * jitter
    return Outlook(since, endpoint.failures + 1, now + max(pause, _stated_pause(answer)))


def chains(due: Iterable[Delivery], blocked: Iterable[Blocked]) -> list[list[Delivery]]:
    """Return the events that may be sent now; those of one chain one after the other, the chains in any order.

    An event waits when an earlier one of its records is not due, or when it ties two chains together.
    """
    first_blocked: dict[int, int] = {}
    for each in blocked:
        for record in each.records:
            first_blocked[record] = min(each.number, first_blocked.get(record, each.number))
    chain_of: dict[int, list[Delivery]] = {}
    found: list[list[Delivery]] = []
    for delivery in due:
        own = {id(chain): chain for record in delivery.records if (chain := chain_of.get(record)) is not None}
        waits = any(first_blocked.get(record, delivery.number) < delivery.number for record in delivery.records)
        if waits or len(own) > 1:
            for record in delivery.records:
                first_blocked.setdefault(record, delivery.number)
            continue
        chain = next(iter(own.values()), [])
        if not chain:
            found.append(chain)
        chain.append(delivery)
        for record in delivery.records:
            chain_of[record] = chain
    return found


def checked_url(text: str) -> str:
    """Return a URL that events can be sent to.

    Raises:
        Refused: when it is no URL, or when the events would cross the network in plain text.
    """
    url = text.strip()
    if len(url) > _LONGEST_URL or not _URL_CHARACTERS.fullmatch(url):
        raise Refused(f"not a URL: {clean(text, 80)!r}: https://HOST/PATH is expected, without blanks")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise Refused(f"not a URL: {clean(text, 80)!r}: https://HOST/PATH is expected") from error
    if parts.scheme not in {"https", "http"} or not host:
        raise Refused(f"not a URL: {clean(text, 80)!r}: https://HOST/PATH is expected")
    if parts.username is not None or parts.password is not None:
        raise Refused("a webhook's URL has no user and password: its receiver knows our events by their signature")
    if parts.fragment:
        raise Refused("a webhook's URL has no part behind a #: it is never sent")
    if parts.scheme == "http" and not is_loopback(host):
        raise Refused(f"events are sent over https only, and over http to this machine itself; {host} is another one")
    return url


def _stated_pause(answer: Answer) -> timedelta:
    return min(answer.retry_after or timedelta(), _LONGEST_RETRY_AFTER)
