"""Peak memory of the worker over a backlog, over a long one, and over one of large messages."""

from statistics import median

from tests.benchmarks.finding import Finding, megabytes
from tests.benchmarks.mix import PLAIN, Variation
from tests.benchmarks.stage import Stage

LARGE = 10_000_000
_MEGABYTE = 1_000_000


def mix(stage: Stage) -> Finding:
    return _peak(stage, "memory-mix", stage.effort.memory_backlog, 130, times=stage.effort.pairs)


def long(stage: Stage) -> Finding:
    return _peak(stage, "memory-long", stage.effort.long_backlog, 200)


def large(stage: Stage) -> Finding:
    """Return an attachment of ten megabytes: seven megabytes in base64."""
    return _peak(stage, "memory-large", stage.effort.large_messages, 200, variation=Variation(attachment=LARGE - 8000))


def _peak(stage: Stage, row: str, count: int, most: int, *, times: int = 1, variation: Variation = PLAIN) -> Finding:
    letters = stage.letters(count, row if variation.attachment else "mix", variation)
    size = sum(letter.stat().st_size for letter in letters) / count
    peaks = [stage.drain_into("sqlite", letters).peak_octets for _ in range(times)]
    found = median(peaks)
    return Finding(
        row=row,
        what=f"peak memory, {count:,} messages of {size / 1000:,.0f} KB on average",
        target=f"≤ {most} MB",
        result=megabytes(found),
        yardstick="VmHWM of the worker's process",
        passed=found <= most * _MEGABYTE,
        figures={"peaks": peaks},
    )
