"""What `check` finds: one thing that was looked at, how it stands, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

RECIPES = "the recipes for mail servers in the project's README"
AUTHENTICATION_RECIPE = "the recipe sender-authentication in the project's README"
"""An installed host has no copy of them."""


class Result(StrEnum):
    """How a thing stands."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"
    """Nothing was there to see it by."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table; ``mending`` says what to do where there is something to do.

    ``settings`` are lines for the env file, to be copied as they stand; the words before them are then the mending.
    """

    what: str
    result: Result
    seen: str
    mending: str = ""
    settings: tuple[str, ...] = ()

    @property
    def has_failed(self) -> bool:
        """Whether the worker cannot work like this."""
        return self.result is Result.FAIL

    def as_json(self) -> dict[str, Any]:
        """For programs: what to do is one sentence."""
        mending = " ".join(filter(None, (self.mending, " and ".join(self.settings))))
        return {"what": self.what, "result": self.result, "seen": self.seen, "mending": mending}


def passed(what: str, seen: str) -> Finding:
    """It works."""
    return Finding(what, Result.PASS, seen)


def skipped(what: str, seen: str, mending: str) -> Finding:
    """It could not be looked at."""
    return Finding(what, Result.SKIP, seen, mending)


def warned(what: str, seen: str, mending: str, settings: tuple[str, ...] = ()) -> Finding:
    """It works, but worse or less safely than it could."""
    return Finding(what, Result.WARN, seen, mending, settings)


def failed(what: str, seen: str, mending: str, settings: tuple[str, ...] = ()) -> Finding:
    """It does not work."""
    return Finding(what, Result.FAIL, seen, mending, settings)
