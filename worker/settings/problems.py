"""Problems with the settings, as the operator reads them: one line each, never a secret's value."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from worker.domain.errors import DropboxError
from worker.domain.text import clean

PREFIX = "BCC_DROPBOX_"
_LONGEST_SHOWN = 300
"""Characters of a bad value; long enough to show a whole path."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One line for the operator, and the fields it depends on: a bad value of one makes the problem meaningless."""

    line: str
    fields: frozenset[str] = frozenset()
    is_bad_value: bool = False


class SettingsError(DropboxError):
    """The settings cannot be used; nothing was started. Its text has one line for each problem."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def variable(field: str) -> str:
    """Return the name in the environment: ``imap_host`` → ``BCC_DROPBOX_IMAP_HOST``."""
    return PREFIX + field.upper()


def missing(field: str, should_be: str) -> Problem:
    """Return the problem of a required setting that is not set."""
    return Problem(f"{variable(field)} is not set: it should be {should_be}", frozenset({field}))


def bad_value(field: str, value: str | None, should_be: str) -> Problem:
    """Return the problem of an unreadable value; pass None as ``value`` to keep a secret out of the text."""
    stated = "has a bad value" if value is None else f"is '{clean(value, most=_LONGEST_SHOWN)}'"
    return Problem(f"{variable(field)} {stated}: it should be {should_be}", frozenset({field}), is_bad_value=True)


def unknown(name: str, known: Iterable[str]) -> Problem:
    """Return the problem of an unknown name with our prefix, with the nearest known name as a hint."""
    near = get_close_matches(name.upper().removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in known], n=1)
    hint = f"; did you mean {PREFIX}{near[0]}?" if near else ""
    return Problem(f"{clean(name, most=80)} is not a setting{hint}")
