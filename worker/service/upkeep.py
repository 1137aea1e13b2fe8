"""Keeps database and mailbox small beside the polls: retention, compression of old originals, the record of growth."""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from functools import partial

import structlog

from worker.bootstrap import Parts, open_mailbox
from worker.domain.erasure import Bounds
from worker.domain.errors import Conflict, Unavailable
from worker.domain.outcomes import Folder
from worker.logs import Event, described
from worker.poll.retention import Shelves, remove_old
from worker.store.originals import accounts_of, pack_old, pack_together
from worker.store.retention import Retention
from worker.store.room import record_size

Stop = Callable[[], bool]

_EVERY_SECONDS = 3600.0
_REST_SECONDS = 0.1
"""Between two steps, each of which takes some milliseconds: a poll comes in between."""
_PACKED_AT_ONCE = 10
_ONCE_SECONDS = 5.0
"""What `poll` spends on it before it ends. The next one goes on."""


class Upkeep:
    """What a worker removes and packs while it has its mailbox."""

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
        ends_at = time.monotonic() + _ONCE_SECONDS
        with suppress(Unavailable, Conflict):
            self._work(self._parts.mailbox, lambda: stop() or time.monotonic() > ends_at)

    def _work(self, shelves: Shelves, stop: Stop) -> None:
        """Do what is due, and log an outage.

        Raises:
            Unavailable, Conflict: the rest is done later.
        """
        try:
            self._remove_and_pack(shelves, stop)
        except (Unavailable, Conflict) as outage:
            structlog.get_logger().debug(Event.RETENTION_DELAYED, error=described(outage))
            raise

    def _remove_and_pack(self, shelves: Shelves, stop: Stop) -> None:
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
        if settings.pack_originals:
            for account_id in accounts_of(database):
                _repeat(partial(pack_together, database, account_id), stop)
        record_size(database, datetime.now(UTC))

    def _remove(self, bounds: Bounds, shelves: Shelves, removed: Counter[str], stop: Stop) -> None:
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
