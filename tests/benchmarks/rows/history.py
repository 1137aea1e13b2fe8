"""The same drain where a million contacts and a million stored emails are there, or a thousand accounts."""

from tests.benchmarks.company import Company
from tests.benchmarks.finding import Finding, Pairs, per_second
from tests.benchmarks.mix import Variation
from tests.benchmarks.stage import Stage

TARGET = 0.90
_TENANTS = Company(accounts=1000, users=10)
_TOGETHER = Company(accounts=1, users=10_000)


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


def accounts(stage: Stage) -> Finding:
    """The mail of ten thousand users, who have a thousand accounts or one."""
    letters = stage.letters(stage.effort.backlog, "accounts", Variation(company=_TENANTS))

    def rate(company: Company) -> float:
        return len(letters) / stage.drain_into("sqlite", letters, company=company).seconds

    pairs = Pairs.measure(stage.effort.pairs, lambda: rate(_TOGETHER), lambda: rate(_TENANTS))
    return Finding(
        row="accounts",
        what=f"draining mail of {_TENANTS.accounts:,} accounts of {_TENANTS.users} users, sqlite",
        target=f"≥ {TARGET:.2f} of the same users in one account",
        result=f"{pairs.ratio:.2f} ({per_second(max(pairs.subjects))})",
        yardstick=f"one account: {per_second(max(pairs.yardsticks))}",
        passed=pairs.ratio >= TARGET,
        figures=pairs.figures,
    )
