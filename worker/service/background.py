"""Work beside the polls, each job on a thread of its own: deliveries, retention, compression, record of growth."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from worker.bootstrap import Parts, open_mailbox
from worker.domain.addresses import Address, NotAnAddress
from worker.domain.endpoints import Pause
from worker.domain.erasure import Bounds
from worker.domain.errors import Conflict, DropboxError, Unavailable
from worker.domain.outcomes import Folder
from worker.logs import Event, described
from worker.outgoing import Post, Undeliverable
from worker.outgoing.letters import pause_letter
from worker.outgoing.post import post_of
from worker.poll import Stop
from worker.poll.own_folders import AgedShelves, remove_old
from worker.retries import Backoff
from worker.settings import Settings
from worker.store.database import Database
from worker.store.event_queue import EventOutbox
from worker.store.originals import pack_old
from worker.store.retention import Retention
from worker.store.room import record_size

_BUG_SECONDS = 60.0

_LOOK_SECONDS = 2.5
"""Between two looks for events that are due. With a claim's five seconds, another worker takes over within ten."""
_IDLE_SECONDS = 10.0
"""The same where no account has an endpoint."""
_ONCE_SECONDS = 60.0

_EVERY_SECONDS = 3600.0
"""Between two rounds of removing and packing."""
_REST_SECONDS = 0.1
"""Between two steps, each of which takes some milliseconds: a poll comes in between."""
_PACKED_AT_ONCE = 10
_UPKEEP_SECONDS = 5.0
"""What `poll` spends on removing and packing before it ends. The next one goes on."""


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of background work.

    ``run`` does what is due, ends soon after its argument says so, and returns the seconds until it is due again. It
    raises a `DropboxError` when something outside is down. It then runs again after a growing pause, which `wake` does
    not end.
    """

    name: str
    run: Callable[[Stop], float]
    backoff: Backoff = field(default_factory=Backoff)
    is_woken: bool = True
    """`wake` lets it run before it is due."""


class Background:
    """Runs jobs from `start` to `stop`, which waits ``stop_seconds`` for those in work."""

    def __init__(self, *jobs: Job, stop_seconds: float = 2.0) -> None:
        self._jobs = jobs
        self._stop_seconds = stop_seconds
        self._threads: dict[str, threading.Thread] = {}
        self._changed = threading.Condition()
        self._is_stopping = False
        self._wakes = 0

    def start(self) -> None:
        """Start each job that does not run. A job that was left behind by `stop` goes on in its old thread."""
        self._is_stopping = False
        for job in self._jobs:
            before = self._threads.get(job.name)
            if before is None or not before.is_alive():
                thread = threading.Thread(target=self._keep, args=(job,), name=job.name, daemon=True)
                self._threads[job.name] = thread
                thread.start()

    def wake(self) -> None:
        """Let every job run now, or once more after its present run: there may be something to do."""
        with self._changed:
            self._wakes += 1
            self._changed.notify_all()

    def stop(self) -> None:
        """End all jobs. One that does not end in time is left behind, and ends with its present step."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        until = time.monotonic() + self._stop_seconds
        for thread in self._threads.values():
            thread.join(max(0.0, until - time.monotonic()))

    def _keep(self, job: Job) -> None:
        while not self._is_stopping:
            seen = self._wakes
            try:
                pause = job.run(lambda: self._is_stopping)
                job.backoff.reset()
                self._wait(pause, seen if job.is_woken else None)
            except DropboxError:  # the job or the poll has logged it
                self._wait(job.backoff.pause())
            except Exception as bug:  # noqa: BLE001 - logged; the job is tried again, and the polls go on
                structlog.get_logger().error(Event.SERVICE_FAILED, job=job.name, exc_info=bug)
                self._wait(_BUG_SECONDS, seen)

    def _wait(self, seconds: float, seen: int | None = None) -> None:
        """Wait; not so long if the service stops, or if jobs were woken since ``seen``."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopping or (seen is not None and self._wakes > seen), seconds)


class Deliverer:
    """Delivers the events of one database that are due. For one thread, except `wake`."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._outbox = EventOutbox(database)
        self._post = post_of(settings) if settings.notice_from else None
        self._operator = settings.notice_from
        self._wanted = threading.Event()
        self._deliver: Callable[[Stop], int] | None = None

    def wake(self) -> None:
        """Look for events at once, also during `deliver_due`: something was filed."""
        self._wanted.set()

    def deliver_due(self, stop: Stop) -> float:
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
        """Return the readers of a pause letter: the operator and the account's administrators."""
        found = [self._operator] if self._operator else []
        for login in pause.administrators:
            try:
                address = Address.parse(login)
            except NotAnAddress:
                continue
            if address.key not in {one.key for one in found}:
                found.append(address)
        return found


def deliver_once(settings: Settings, database: Database, stop: Stop) -> None:
    """Deliver the events that are due now, for a minute at most.

    Raises:
        Unavailable: when the database is down.
    """
    until = time.monotonic() + _ONCE_SECONDS
    Deliverer(settings, database).deliver_due(lambda: stop() or time.monotonic() > until)


class Upkeep:
    """The work of removing and packing that a worker does while it has its mailbox."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._retention = Retention(parts.database, parts.mailbox_name)

    def run(self, stop: Stop) -> float:
        """Do what is due, on a connection to the mailbox of its own; return the seconds until it is due again.

        Raises:
            Unavailable, Conflict: the rest is done later.
        """
        with closing(open_mailbox(self._parts.settings)) as mailbox:
            self._work(mailbox, stop)
        return _EVERY_SECONDS

    def once(self, stop: Stop) -> None:
        """Do some of it after a single poll, on the poll's own connection; an outage leaves it to the next one."""
        ends_at = time.monotonic() + _UPKEEP_SECONDS
        with suppress(Unavailable, Conflict):
            self._work(self._parts.mailbox, lambda: stop() or time.monotonic() > ends_at)

    def _work(self, shelves: AgedShelves, stop: Stop) -> None:
        """Do what is due, and log an outage."""
        try:
            self._remove_and_pack(shelves, stop)
        except (Unavailable, Conflict) as outage:
            structlog.get_logger().debug(Event.RETENTION_DELAYED, error=described(outage))
            raise

    def _remove_and_pack(self, shelves: AgedShelves, stop: Stop) -> None:
        settings = self._parts.settings
        bounds = Bounds.at(
            datetime.now(UTC),
            rejected=settings.keep_rejected_days,
            events=settings.keep_events_days,
            emails=settings.keep_emails_days,
        )
        removed: Counter[str] = Counter()
        try:
            self._remove(bounds, shelves, removed, stop)
        finally:
            if removed.total():
                structlog.get_logger().info(Event.RETENTION_REMOVED, **removed)
        database = self._parts.database
        _repeat(lambda: pack_old(database, _PACKED_AT_ONCE), stop)
        record_size(database, datetime.now(UTC))

    def _remove(self, bounds: Bounds, shelves: AgedShelves, removed: Counter[str], stop: Stop) -> None:
        retention = self._retention
        if (before := bounds.rejected) and retention.has_rejected(before):
            for folder in (Folder.REJECTED, Folder.QUARANTINE):
                removed["messages"] += remove_old(shelves, retention, folder, before, stop)
            removed["decisions"] += _repeat(lambda: retention.remove_rejected(before), stop)
        if (before_emails := bounds.emails) and retention.has_filed(before_emails):
            removed["messages"] += remove_old(shelves, retention, Folder.ASSOCIATED, before_emails, stop)
            removed["emails"] += _repeat(lambda: retention.remove_emails(before_emails), stop)
            removed["decisions"] += _repeat(lambda: retention.remove_filed(before_emails), stop)
        if before_events := bounds.events:
            removed["events"] += _repeat(lambda: retention.remove_events(before_events), stop)


def _repeat(step: Callable[[], int], stop: Stop) -> int:
    """Take steps until one finds nothing to do, with a rest after each; return how much was done."""
    done = 0
    while not stop() and (found := step()):
        done += found
        time.sleep(_REST_SECONDS)
    return done
