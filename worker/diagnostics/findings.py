"""Findings of `check`: one thing that was tested, its result, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

RECIPES = "the recipes for mail servers in the project's README"
AUTHENTICATION_RECIPE = "the recipe sender-authentication in the project's README"
"""An installed host has no copy of them."""


class Result(StrEnum):
    """The result of one test."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"
    """There was nothing to test it with."""


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
        """Return the JSON fields; the advice is one sentence."""
        mending = " ".join(filter(None, (self.mending, " and ".join(self.settings))))
        return {"what": self.what, "result": self.result, "seen": self.seen, "mending": mending}


def passed(what: str, seen: str) -> Finding:
    """Return a finding about something that works."""
    return Finding(what, Result.PASS, seen)


def skipped(what: str, seen: str, mending: str) -> Finding:
    """Return a finding about something that could not be checked."""
    return Finding(what, Result.SKIP, seen, mending)


def warned(what: str, seen: str, mending: str, settings: tuple[str, ...] = ()) -> Finding:
    """Return a finding about something that works, but worse or less safely than it could."""
    return Finding(what, Result.WARN, seen, mending, settings)


def failed(what: str, seen: str, mending: str, settings: tuple[str, ...] = ()) -> Finding:
    """Return a finding about something that does not work."""
    return Finding(what, Result.FAIL, seen, mending, settings)
