"""The same drain where a million contacts and a million stored emails are already there."""

from tests.benchmarks.finding import Finding, Pairs, per_second
from tests.benchmarks.stage import Stage

TARGET = 0.90


def sqlite(stage: Stage) -> Finding:
    return _drain(stage, "sqlite")


def postgresql(stage: Stage) -> Finding:
    return _drain(stage, "postgresql")


def _drain(stage: Stage, kind: str) -> Finding:
    letters = stage.letters(stage.effort.backlog)

    def rate(past: int) -> float:
        return len(letters) / stage.drain_into(kind, letters, past).seconds

    past = stage.effort.history
    pairs = Pairs.measure(stage.effort.pairs, lambda: rate(0), lambda: rate(past))
    return Finding(
        row=f"history-{kind}",
        what=f"the same beside {past:,} contacts and emails, {kind}",
        target=f"≥ {TARGET:.2f} of the empty database",
        result=f"{pairs.ratio:.2f} ({per_second(max(pairs.subjects))})",
        yardstick=f"empty database: {per_second(max(pairs.yardsticks))}",
        passed=pairs.ratio >= TARGET,
        figures=pairs.figures,
    )
