"""What this process has done since it began, counted as it happens."""

from collections import Counter

from worker.domain.outcomes import Outcome
from worker.domain.verdicts import Filing

BOUNDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 180.0)
"""Seconds from arrival to association that are told apart; the last is R22's limit."""


class Tally:
    """Written by the thread that works, read by others."""

    def __init__(self) -> None:
        self.is_active = False
        """Whether this worker empties the mailbox; else it stands by."""
        self._ends: Counter[tuple[str, str]] = Counter()
        self._within: Counter[float] = Counter()
        self._seconds = 0.0

    def filed(self, filing: Filing, seconds: float) -> None:
        """Count one message that came to its end."""
        verdict = filing.deciding
        self._ends[verdict.outcome.value, verdict.reason.value if verdict.reason else ""] += 1
        if verdict.outcome is Outcome.ASSOCIATED:
            self._within[next((bound for bound in BOUNDS if seconds <= bound), float("inf"))] += 1
            self._seconds += seconds

    @property
    def ends(self) -> dict[tuple[str, str], int]:
        """Messages by outcome and reason."""
        return dict(self._ends)

    @property
    def seconds(self) -> float:
        """What all associated messages waited, together."""
        return self._seconds

    def within(self) -> list[tuple[float, int]]:
        """For each bound, and for none, how many associated messages waited no longer."""
        counts = dict(self._within)
        total = 0
        steps = []
        for bound in (*BOUNDS, float("inf")):
            total += counts.get(bound, 0)
            steps.append((bound, total))
        return steps
