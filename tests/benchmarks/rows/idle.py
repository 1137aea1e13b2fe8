"""What the worker takes while there is nothing to do."""

import time

from tests.benchmarks.finding import Finding
from tests.benchmarks.instance import Post, Service
from tests.benchmarks.stage import Stage
from tests.servers.cut import Cut

MOST_TRIPS = 1.0
MOST_CPU = 0.005
MOST_CPU_HOUR = 2.0
MOST_GROWTH = 500_000
"""Octets: less than a page table's worth over an hour of polls is no growth."""
_HOUR = 3600
_POLLS_AN_HOUR = 60
_SETTLING = 3.5


def poll(stage: Stage) -> Finding:
    """A service that polls each second behind a proxy; the service's own ticking is counted to the polls."""
    url, user = stage.database("sqlite"), stage.mailbox()
    with (
        Cut(stage.dovecot.imap) as line,
        Service(Post(line.port, user, url), {"POLL_SECONDS": "1", "IDLE": "off"}) as service,
    ):
        time.sleep(_SETTLING)
        cpu, trips = service.cpu_seconds, line.round_trips
        time.sleep(stage.effort.idle_polls)
        cpu = (service.cpu_seconds - cpu) / stage.effort.idle_polls
        trips_each = (line.round_trips - trips) / stage.effort.idle_polls
    stage.remove_mailbox(user)
    stage.remove_database(url)
    return Finding(
        row="idle-poll",
        what="a poll that finds nothing, on a kept connection",
        target=f"≤ {MOST_TRIPS:.0f} round trip, ≤ {MOST_CPU * 1000:.0f} ms of CPU",
        result=f"{trips_each:.2f} round trips, {cpu * 1000:.2f} ms",
        yardstick=f"counted over {stage.effort.idle_polls} polls",
        passed=0 < trips_each <= MOST_TRIPS and cpu <= MOST_CPU,
        figures={"round_trips": trips_each, "cpu_seconds": cpu},
    )


def hour(stage: Stage) -> Finding:
    """An hour is sixty polls and what the service does by the second; the one is measured apart from the other."""
    busy = stage.effort.idle_polls
    polling, growth = _window(stage, {"POLL_SECONDS": "1"}, busy)
    waiting, _ = _window(stage, {"POLL_SECONDS": "150"}, stage.effort.idle_seconds)
    by_second = waiting / stage.effort.idle_seconds
    by_poll = max(0.0, polling / busy - by_second)
    found = by_second * _HOUR + by_poll * _POLLS_AN_HOUR
    return Finding(
        row="idle-hour",
        what="an idle hour, IDLE on, a poll each minute",
        target=f"≤ {MOST_CPU_HOUR:.0f} s of CPU, no growth in memory",
        result=f"{found:.2f} s, {growth / 1000:+.0f} kB over {busy} polls",
        yardstick=f"from {by_second * 1000:.3f} ms a second and {by_poll * 1000:.2f} ms a poll",
        passed=found <= MOST_CPU_HOUR and growth <= MOST_GROWTH,
        figures={"cpu_by_second": by_second, "cpu_by_poll": by_poll, "growth": growth},
    )


def _window(stage: Stage, settings: dict[str, str], seconds: float) -> tuple[float, int]:
    """CPU seconds and octets of memory that an idle service takes more within the window."""
    url, user = stage.database("sqlite"), stage.mailbox()
    with Service(Post(stage.dovecot.imap, user, url), settings) as service:
        time.sleep(_SETTLING)
        cpu, memory = service.cpu_seconds, service.resident_octets
        time.sleep(seconds)
        taken = service.cpu_seconds - cpu, service.resident_octets - memory
    stage.remove_mailbox(user)
    stage.remove_database(url)
    return taken
