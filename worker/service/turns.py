"""One turn of the worker: reach the database, own the mailbox, poll it, and write down how it went."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import structlog

from worker.bootstrap import Parts
from worker.domain.errors import Unavailable
from worker.domain.notices import Notice
from worker.imap import Backlog
from worker.logs import Event, described
from worker.outgoing import Round
from worker.poll import PollReport
from worker.service.process import at_work
from worker.store import health
from worker.store.mailboxes import record_end
from worker.store.presence import this_process
from worker.store.schema import migrate


class Turns:
    """The turns of one composition of parts. One thread only."""

    def __init__(self, parts: Parts, reached: Callable[[], None] = lambda: None) -> None:
        self._parts = parts
        self._reached = reached
        self._has_schema = False
        self._owns = False
        self._stands_by = False

    def prepare(self, upgrading: Callable[[], None] = lambda: None) -> None:
        """Reach the database and bring it to our schema, which may take its time: ``upgrading`` is told before.

        Raises:
            Refused: when the database is newer than this program.
            Unavailable: when it is down.
        """
        if not self._has_schema:
            migrate(self._parts.database, upgrading)
            self._has_schema = True

    def take(
        self, stop: Callable[[], bool] = lambda: False, is_long: Callable[[], bool] = lambda: False
    ) -> PollReport | None:
        """One poll; None when another worker has the mailbox.

        Both are asked between batches: ``stop`` ends the turn, ``is_long`` the poll alone.

        Raises:
            Refused: when the database is an SQLite file that another worker uses.
            Unavailable: when nothing was polled; a poll that an outage cut short gives its report all the same.
        """
        if not self._own():
            return None
        self._reach_mailbox()
        with at_work():
            report = self._parts.poller.poll(lambda: stop() or is_long() or not self._parts.lock.held())
        self._record(report)
        log_poll(report, is_news=report.has_progressed or not report.outage)
        if self._parts.notifier is not None:
            log_notices(self._parts.notifier.send_waiting(stop))
        return report

    def leave(self) -> None:
        """Write down that the mailbox is not emptied any more; where the database is down it cannot be told so."""
        if self._owns:
            with suppress(Unavailable):
                record_end(self._parts.database, self._parts.mailbox_name, this_process())

    def _own(self) -> bool:
        """Only the holder of the lock touches the mailbox."""
        lock = self._parts.lock
        self._owns = self._still_owns() or lock.acquire()
        if self._owns is self._stands_by:
            self._stands_by = not self._owns
            event = Event.WORKER_ACTIVE if self._owns else Event.WORKER_STANDBY
            structlog.get_logger().info(event, mailbox=self._parts.mailbox_name)
        return self._owns

    def _still_owns(self) -> bool:
        try:
            return self._owns and self._parts.lock.held()
        except Unavailable:
            return False  # lost with its connection; to be had again at once, unless another has it by now

    def _reach_mailbox(self) -> None:
        try:
            self._parts.mailbox.open()
        except Unavailable as outage:
            self._record(PollReport(outage=outage))
            raise
        self._reached()

    def _waiting(self, report: PollReport) -> Backlog | None:
        """What is left in the queue; a poll that found nothing need not ask again."""
        if report.outage:
            return None
        return self._parts.mailbox.backlog() if report.found else Backlog(0, None)

    def _record(self, report: PollReport) -> None:
        """What `status` shows; where the database is down it cannot be told so."""
        try:
            waiting = self._waiting(report)
            poll = health.Poll(
                mailbox=self._parts.mailbox_name,
                at=datetime.now(UTC),
                worker=this_process(),
                error=described(report.outage) if report.outage else None,
                backlog=waiting.messages if waiting else None,
                oldest=waiting.oldest if waiting else None,
            )
            health.record_poll(self._parts.database, poll)
        except Unavailable as outage:
            report.outage = report.outage or outage


def log_poll(report: PollReport, *, is_news: bool) -> None:
    """The one line of a poll; while an outage lasts and nothing is done, its own lines say all."""
    counts = {str(name): count for name, count in report.counts.items()}
    log = structlog.get_logger()
    tell = log.info if is_news else log.debug
    tell(Event.POLL_FINISHED, **counts, seconds=round(report.seconds, 3), backlog=report.backlog)


def log_notices(done: Round) -> None:
    """A line for each notice that was sent or refused for good, and one for an outage."""
    log = structlog.get_logger()
    for notice in done.sent:
        log.info(Event.NOTICE_SENT, **_addressed(notice))
    for notice, words in done.refused:
        log.warning(Event.NOTICE_REFUSED, **_addressed(notice), error=words)
    if done.outage is not None:
        log.warning(Event.NOTICE_DELAYED, error=described(done.outage))


def _addressed(notice: Notice) -> dict[str, str]:
    account = {"account": notice.account} if notice.account else {}
    return {"owner": notice.login.text, **account, "reason": notice.key.cause.value}
