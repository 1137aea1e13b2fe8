"""Delivers events to the accounts' endpoints: beside the poll on a thread of its own, or once after a poll (R26)."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime

import structlog

from worker.bootstrap import open_database
from worker.domain.addresses import Address, NotAnAddress
from worker.domain.endpoints import Pause
from worker.domain.errors import DropboxError, Unavailable
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
_PAUSE_SECONDS = 5.0
"""After an outage of the database, which the poll reports."""
_BUG_SECONDS = 60.0
_ONCE_SECONDS = 60.0
_FAREWELL_SECONDS = 2.0


class Deliverer:
    """Delivers the events of one database that are due. For one thread."""

    def __init__(self, settings: Settings, database: Database, wanted: threading.Event | None = None) -> None:
        self._outbox = EventOutbox(database)
        self._post = post_of(settings) if settings.notice_from else None
        self._operator = settings.notice_from
        self._wanted = wanted or threading.Event()
        self._deliver: Callable[[Callable[[], bool]], int] | None = None

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


class Deliveries:
    """The thread of a running service that delivers, with a database connection of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._wanted = threading.Event()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="deliveries", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Look for events at once: something was filed."""
        self._wanted.set()

    def stop(self) -> None:
        """End soon. A request under way has a moment to finish; if it does not, the event is sent again later."""
        self._is_stopping = True
        self._wanted.set()

    def join(self) -> None:
        """Wait for the end after `stop`, for two seconds at most: a receiver may hang."""
        if self._thread.is_alive():
            self._thread.join(_FAREWELL_SECONDS)

    def _run(self) -> None:
        while not self._is_stopping:
            try:
                with closing(open_database(self._settings)) as database:
                    self._work(Deliverer(self._settings, database, self._wanted))
            except DropboxError:
                self._rest(_PAUSE_SECONDS)
            except Exception as bug:  # noqa: BLE001 - the service goes on, and logs it
                structlog.get_logger().error(Event.SERVICE_FAILED, exc_info=bug)
                self._rest(_BUG_SECONDS)

    def _work(self, deliverer: Deliverer) -> None:
        while not self._is_stopping:
            self._rest(deliverer.deliver_due(lambda: self._is_stopping))

    def _rest(self, seconds: float) -> None:
        if not self._is_stopping:
            self._wanted.wait(seconds)
            self._wanted.clear()


def deliver_once(settings: Settings, database: Database, stop: Callable[[], bool]) -> None:
    """Deliver the events that are due now, for a minute at most.

    Raises:
        Unavailable: when the database is down.
    """
    until = time.monotonic() + _ONCE_SECONDS
    Deliverer(settings, database).deliver_due(lambda: stop() or time.monotonic() > until)
