"""What `check` finds: one thing that was looked at, how it stands, and what to do about it."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Result(StrEnum):
    """How a thing stands."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table; ``mending`` says what to do where there is something to do."""

    what: str
    result: Result
    seen: str
    mending: str = ""

    @property
    def has_failed(self) -> bool:
        """Whether the worker cannot work like this."""
        return self.result is Result.FAIL

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def passed(what: str, seen: str) -> Finding:
    """It works."""
    return Finding(what, Result.PASS, seen)


def warned(what: str, seen: str, mending: str) -> Finding:
    """It works, but worse or less safely than it could."""
    return Finding(what, Result.WARN, seen, mending)


def failed(what: str, seen: str, mending: str) -> Finding:
    """It does not work."""
    return Finding(what, Result.FAIL, seen, mending)
