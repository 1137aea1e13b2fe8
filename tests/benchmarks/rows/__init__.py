"""The rows of the table, in its order; each is measured by one function."""

from collections.abc import Callable

from tests.benchmarks.finding import Finding
from tests.benchmarks.rows import (
    arrival,
    distance,
    drain,
    events,
    history,
    idle,
    importing,
    instances,
    memory,
    rejected,
    size,
    start,
)
from tests.benchmarks.stage import Stage

ROWS: dict[str, Callable[[Stage], Finding]] = {
    "drain-sqlite": drain.sqlite,
    "drain-postgresql": drain.postgresql,
    "history-sqlite": history.sqlite,
    "history-postgresql": history.postgresql,
    "accounts": history.accounts,
    "instances": instances.measure,
    "trips": distance.trips,
    "far": distance.far,
    "rejected": rejected.measure,
    "arrival-idle": arrival.idle,
    "arrival-polled": arrival.polled,
    "arrival-hanging": events.hanging,
    "events": events.drain,
    "idle-poll": idle.poll,
    "idle-hour": idle.hour,
    "memory-mix": memory.mix,
    "memory-long": memory.long,
    "memory-large": memory.large,
    "size-sqlite": size.sqlite,
    "size-postgresql": size.postgresql,
    "size-text": size.text_mail,
    "start-help": start.help_page,
    "start-status": start.status,
    "start-users": start.users,
    "import-new": importing.new,
    "import-again": importing.unchanged,
}
