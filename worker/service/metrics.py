"""The figures of `status` for Prometheus, over HTTP where METRICS_ADDRESS says so."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from worker.domain.endpoints import EndpointState
from worker.domain.errors import DropboxError, Refused
from worker.domain.outcomes import Outcome
from worker.domain.verdicts import Filing
from worker.poll import Watcher
from worker.settings import Settings
from worker.settings.variables import ListenAddress
from worker.store import health
from worker.store.database import Database
from worker.store.health import Attendance, EndpointHealth, Ends, Lately, endpoints_health

_FRESH_SECONDS = 30.0
"""How long the sums over a week serve, however often somebody asks."""
_SILENT_SECONDS = 10
"""Prometheus asks at once when it has connected."""
_STATEMENT_SECONDS = 10
"""Timeout of a statement: a Prometheus scrape does not wait longer either."""
_BOUNDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 180.0)
"""Upper bounds of the histogram's buckets, in seconds from arrival to association; the last is R22's limit."""

disable_created_metrics()  # type: ignore[no-untyped-call] # each counter would get a second series, with the time of its first use


class MetricsServer:
    """Answers /metrics from threads of its own; the worker does not wait for them.

    Raises:
        Refused: when the address cannot be listened on.
    """

    def __init__(self, address: ListenAddress, figures: "Figures") -> None:
        try:
            self._server, self._thread = start_http_server(address.port, address.host, figures.registry)
            self._server.RequestHandlerClass = Handler
        except OSError as error:
            raise Refused(
                f"BCC_DROPBOX_METRICS_ADDRESS is {address.host}:{address.port}, where nobody can listen:"
                f" {error.strerror or error}"
            ) from error

    def close(self) -> None:
        """Close the listener."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Handler(WSGIRequestHandler):
    """Answers one request. A connection that is silent for `timeout` seconds ends, and its thread with it."""

    timeout = _SILENT_SECONDS

    def handle(self) -> None:
        """Answer, unless the client says nothing or leaves."""
        with suppress(OSError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's own name
        """Log nothing: the log is about mail."""


class Figures(Collector, Watcher):
    """The metrics of this process since it began to count, and those of its mailbox, read from the database."""

    def __init__(self, settings: Callable[[], Settings], is_active: Callable[[], bool]) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)
        self._settings = settings
        self._lock = threading.Lock()
        self._lately: Lately | None = None
        self._summed_at = -math.inf
        active = "1: this worker empties the mailbox; 0: it stands by, or has not begun."
        Gauge("bcc_dropbox_active", active, registry=self.registry).set_function(is_active)
        decided = "Messages that this process has decided."
        self._messages = Counter("bcc_dropbox_messages", decided, ("outcome", "reason"), registry=self.registry)
        for outcome in Outcome:
            self._messages.labels(outcome.value, "")  # a rate needs the zero before the first one
        took = "From a message's arrival on the mail server to its association (R22)."
        self._seconds = Histogram("bcc_dropbox_association_seconds", took, registry=self.registry, buckets=_BOUNDS)

    def filed(self, filing: Filing, seconds: float) -> None:
        """Count one message that was committed."""
        verdict = filing.deciding
        self._messages.labels(verdict.outcome.value, verdict.reason.value if verdict.reason else "").inc()
        if verdict.outcome is Outcome.ASSOCIATED:
            self._seconds.observe(seconds)

    def collect(self) -> Iterator[Metric]:
        """Read the database. A gauge reports that it is down, another one that its sums took too long."""
        settings = self._settings()
        try:
            found, lately, webhooks = self._read(settings)
        except DropboxError:
            yield _gauge("database_up", "Whether the database answers.", 0)
            return
        yield _gauge("database_up", "Whether the database answers.", 1)
        yield from _of_mailbox(found, settings.mailbox_name or "")
        yield from _of_webhooks(webhooks)
        yield _gauge("period_known", "Whether the sums over today and this week came in time.", lately is not None)
        if lately is not None:
            yield from _of_period({"today": lately.today, "week": lately.week})

    def _read(self, settings: Settings) -> tuple[Attendance | None, Lately | None, list[EndpointHealth]]:
        url = settings.database_url.get_secret_value()
        name = settings.mailbox_name
        with self._lock, closing(Database.open(url, statement_seconds=_STATEMENT_SECONDS, create=False)) as database:
            found = next(iter(health.attendance(database, name)), None)
            if time.monotonic() - self._summed_at > _FRESH_SECONDS:
                self._lately = _sums(database, name)
                self._summed_at = time.monotonic()
            with database.read() as connection:
                webhooks = endpoints_health(connection)
            return found, self._lately, webhooks


def _sums(database: Database, mailbox: str | None) -> Lately | None:
    """Return the sums; None if the database did not compute them within the statement timeout."""
    try:
        return health.lately(database, mailbox, datetime.now(UTC))
    except DropboxError:
        return None


def _of_mailbox(attendance: Attendance | None, name: str) -> Iterator[Metric]:
    found = attendance and attendance.health
    standby = len(attendance.standby) if attendance else 0
    figures: dict[str, tuple[str, Any]] = {
        "backlog_messages": ("Messages that wait, as the last poll left them.", found and found.backlog),
        "oldest_message_timestamp_seconds": ("When the oldest of them arrived.", found and found.oldest_arrived_at),
        "last_poll_timestamp_seconds": ("When the mailbox was last polled.", found and found.last_poll_at),
        "last_good_poll_timestamp_seconds": (
            "When it was last polled and all went well.",
            found and found.last_good_poll_at,
        ),
        "standby_workers": ("Workers that are ready to take the mailbox over.", standby),
    }
    for metric, (text, value) in figures.items():
        family = GaugeMetricFamily(f"bcc_dropbox_{metric}", text, labels=("mailbox",))
        if value is not None:
            family.add_metric((name,), value.timestamp() if isinstance(value, datetime) else value)
        yield family


def _of_webhooks(webhooks: list[EndpointHealth]) -> Iterator[Metric]:
    """Yield the figures of all endpoints together: there may be thousands."""
    yield _gauge("events_waiting", "Events that wait to be delivered.", sum(one.backlog for one in webhooks))
    for name, text, moments in (
        ("oldest_event_timestamp_seconds", "When the oldest of them happened.", [one.oldest_at for one in webhooks]),
        (
            "last_event_failure_timestamp_seconds",
            "When a delivery last failed.",
            [one.last_failed_at for one in webhooks],
        ),
    ):
        known = [moment for moment in moments if moment is not None]
        if known:
            latest = min(known) if name.startswith("oldest") else max(known)
            yield _gauge(name, text, latest.timestamp())
    states = GaugeMetricFamily("bcc_dropbox_webhooks", "Webhooks by state.", labels=("state",))
    for state in EndpointState:
        states.add_metric((state.value,), sum(one.state is state for one in webhooks))
    yield states


def _of_period(periods: dict[str, Ends]) -> Iterator[Metric]:
    outcomes = GaugeMetricFamily(
        "bcc_dropbox_period_messages", "Messages decided today and this week.", labels=("period", "outcome")
    )
    reasons = GaugeMetricFamily("bcc_dropbox_period_rejected", "Those that were rejected.", labels=("period", "reason"))
    seconds = GaugeMetricFamily(
        "bcc_dropbox_period_seconds", "From arrival to association.", labels=("period", "quantile")
    )
    for period, ends in periods.items():
        for outcome in Outcome:
            outcomes.add_metric((period, outcome.value), ends.outcomes.get(outcome, 0))
        for reason, count in ends.reasons.items():
            reasons.add_metric((period, reason.value), count)
        for quantile, value in (("0.5", ends.median_seconds), ("0.99", ends.slowest_percent_seconds)):
            if value is not None:
                seconds.add_metric((period, quantile), value)
    yield from (outcomes, reasons, seconds)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"bcc_dropbox_{name}", text, value=float(value))
