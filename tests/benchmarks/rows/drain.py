"""Draining a backlog, everything included, against merely fetching the same bodies 200 at a time."""

from tests.benchmarks.finding import Finding, Pairs, megabytes, per_second
from tests.benchmarks.stage import Stage

TARGETS = {"sqlite": 0.36, "postgresql": 0.30}
GOALS = {"sqlite": 0.65, "postgresql": 0.55}


def sqlite(stage: Stage) -> Finding:
    return _drain(stage, "sqlite")


def postgresql(stage: Stage) -> Finding:
    return _drain(stage, "postgresql")


def _drain(stage: Stage, kind: str) -> Finding:
    letters = stage.letters(stage.effort.backlog)
    drains = []

    def drained() -> float:
        drains.append(stage.drain_into(kind, letters))
        return len(letters) / drains[-1].seconds

    pairs = Pairs.measure(stage.effort.pairs, lambda: stage.fetch(letters).rate, drained)
    target = TARGETS[kind]
    return Finding(
        row=f"drain-{kind}",
        what=f"draining {len(letters):,} messages, {kind}",
        target=f"≥ {target:.2f} of fetching",
        result=f"{pairs.ratio:.2f} ({per_second(max(pairs.subjects))})",
        yardstick=f"imapclient fetching, 200 at a time: {per_second(max(pairs.yardsticks))}",
        passed=pairs.ratio >= target,
        goal=f"≥ {GOALS[kind]:.2f}",
        figures=pairs.figures
        | {
            "seconds": [drain.seconds for drain in drains],
            "wall": [drain.wall for drain in drains],
            "cpu_seconds": [drain.cpu_seconds for drain in drains],
            "peak": megabytes(max(drain.peak_octets for drain in drains)),
        },
    )
