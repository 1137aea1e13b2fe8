"""Delivers events to the accounts' endpoints: as a job beside the polls, or once after a poll (R26)."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from worker.domain.addresses import Address, NotAnAddress
from worker.domain.endpoints import Pause
from worker.domain.errors import Unavailable
from worker.logs import Event, described
from worker.outgoing import Post, Undeliverable
from worker.outgoing.configured import post_of
from worker.outgoing.letters import pause_letter
from worker.settings import Settings
from worker.store.database import Database
from worker.store.webhooks import EventOutbox

_LOOK_SECONDS = 2.5
"""Between two looks for events that are due. With a claim's five seconds, another worker takes over within ten."""
_IDLE_SECONDS = 10.0
"""The same where no account has an endpoint."""
_ONCE_SECONDS = 60.0


class Deliverer:
    """Delivers the events of one database that are due. For one thread, except `wake`."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._outbox = EventOutbox(database)
        self._post = post_of(settings) if settings.notice_from else None
        self._operator = settings.notice_from
        self._wanted = threading.Event()
        self._deliver: Callable[[Callable[[], bool]], int] | None = None

    def wake(self) -> None:
        """Look for events at once, also during `deliver_due`: something was filed."""
        self._wanted.set()

    def deliver_due(self, stop: Callable[[], bool]) -> float:
        """Deliver until nothing is due or ``stop`` says so; return the seconds until the next look.

        Raises:
            Unavailable: when the database is down.
        """
        if not self._outbox.has_endpoints():
            return _IDLE_SECONDS
        if self._deliver is None:
            from worker.outgoing.courier import Courier  # noqa: PLC0415 - costs memory where nobody has an endpoint

            self._deliver = Courier(self._outbox, self._wanted).deliver_due
        self._deliver(stop)
        if self._post is not None:
            self._tell_pauses(self._post)
        return _LOOK_SECONDS

    def _tell_pauses(self, post: Post) -> None:
        """Write to the operator and to the account's administrators. If the mail server is down, try again later."""
        for pause in self._outbox.pauses():
            try:
                for address in self._readers(pause):
                    post.deliver(pause_letter(address, pause, post.sender, datetime.now(UTC)), address, bounces=False)
            except Undeliverable as error:
                structlog.get_logger().warning(Event.NOTICE_REFUSED, account=pause.account, error=str(error))
            except Unavailable as outage:
                structlog.get_logger().warning(Event.NOTICE_DELAYED, error=described(outage))
                return
            self._outbox.told(pause)

    def _readers(self, pause: Pause) -> list[Address]:
        found = [self._operator] if self._operator else []
        for login in pause.administrators:
            try:
                address = Address.parse(login)
            except NotAnAddress:
                continue
            if address.key not in {one.key for one in found}:
                found.append(address)
        return found


def deliver_once(settings: Settings, database: Database, stop: Callable[[], bool]) -> None:
    """Deliver the events that are due now, for a minute at most.

    Raises:
        Unavailable: when the database is down.
    """
    until = time.monotonic() + _ONCE_SECONDS
    Deliverer(settings, database).deliver_due(lambda: stop() or time.monotonic() > until)
