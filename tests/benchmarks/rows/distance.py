"""Round trips: how many a backlog takes, and what they cost when the mailbox is far away."""

from statistics import median

from tests.benchmarks.finding import Finding, Pairs, per_second
from tests.benchmarks.stage import Stage
from tests.servers.cut import Cut

MOST_TRIPS = 30
LEAST_TIMES = 50
ADDED_SECONDS = 0.050


def trips(stage: Stage) -> Finding:
    letters = stage.letters(stage.effort.near_backlog)
    counted: list[float] = []
    for _ in range(stage.effort.pairs):
        with Cut(stage.dovecot.imap) as line:
            url = stage.database("sqlite")
            stage.drain(letters, url, port=line.port)
            stage.remove_database(url)
            counted.append(line.round_trips * 1000 / len(letters))
    found = median(counted)
    return Finding(
        row="trips",
        what="round trips per 1,000 messages of backlog, login included",
        target=f"≤ {MOST_TRIPS}",
        result=f"{found:.1f}",
        yardstick="counted by a proxy",
        passed=found <= MOST_TRIPS,
        figures={"per_thousand": counted},
    )


def far(stage: Stage) -> Finding:
    """The yardstick does less than the worker: it fetches one by one, and neither stores nor moves."""
    letters = stage.letters(stage.effort.far_backlog)
    with Cut(stage.dovecot.imap) as line:
        line.delay(ADDED_SECONDS / 2)  # in each direction

        def one_by_one() -> float:
            return stage.fetch(letters[: stage.effort.one_by_one], "single", line.port).rate

        def drained() -> float:
            url = stage.database("sqlite")
            seconds = stage.drain(letters, url, port=line.port).seconds
            stage.remove_database(url)
            return len(letters) / seconds

        pairs = Pairs.measure(stage.effort.pairs, one_by_one, drained)
    return Finding(
        row="far",
        what=f"the same with {ADDED_SECONDS * 1000:.0f} ms added to each",
        target=f"≥ {LEAST_TIMES} times one by one",
        result=f"{pairs.ratio:.0f} times ({per_second(max(pairs.subjects))})",
        yardstick=f"a client that only fetches, one by one: {max(pairs.yardsticks):.1f}/s",
        passed=pairs.ratio >= LEAST_TIMES,
        figures=pairs.figures,
    )
