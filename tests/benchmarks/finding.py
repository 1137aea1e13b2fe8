"""What was found for one row of the table, and how numbers are put together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from statistics import median


@dataclass(frozen=True)
class Finding:
    """One row: ``passed`` says whether the result keeps to the target; ``figures`` is everything measured for it.

    A target is what each release has to keep to. The ``goal`` is what is wanted, where no release has reached it.
    """

    row: str
    what: str
    target: str
    result: str
    yardstick: str
    passed: bool
    figures: Mapping[str, object] = field(default_factory=dict)
    goal: str = ""


@dataclass(frozen=True)
class Pairs:
    """Yardstick and subject, measured in turns; each is a rate (the more the better) or a cost."""

    yardsticks: tuple[float, ...]
    subjects: tuple[float, ...]

    @classmethod
    def measure(cls, count: int, yardstick: Callable[[], float], subject: Callable[[], float]) -> "Pairs":
        """Interleave them, the one first and then the other: what drifts meets both alike."""
        found: list[tuple[float, float]] = []
        for pair in range(count):
            if pair % 2:
                second = subject()
                found.append((yardstick(), second))
            else:
                first = yardstick()
                found.append((first, subject()))
        return cls(tuple(first for first, _ in found), tuple(second for _, second in found))

    @property
    def ratio(self) -> float:
        """Subject over yardstick: the median of the pairs' ratios."""
        return median(self.ratios)

    @property
    def ratios(self) -> list[float]:
        return [subject / yardstick for yardstick, subject in zip(self.yardsticks, self.subjects, strict=True)]

    @property
    def figures(self) -> dict[str, object]:
        return {"yardsticks": self.yardsticks, "subjects": self.subjects, "ratios": self.ratios, "ratio": self.ratio}


def at_rank(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of all do not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[ceil(len(ranked) * share) - 1]


def per_second(rate: float) -> str:
    return f"{rate:,.0f}/s"


def megabytes(octets: float) -> str:
    return f"{octets / 1_000_000:.0f} MB"
