"""Retries: the pauses while something outside is down, and what failed because others wrote the same rows first."""

import random
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, Self, TypeVar

from worker.domain.errors import Conflict, DatabaseUnavailable

_MOST_TRIES = 10
_STEP_SECONDS = 0.01
"""How much longer each pause may be than the one before. Jitter keeps two workers from meeting again."""

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Backoff:
    """The pauses between tries while something is down: each is twice as long as the one before, up to a limit.

    Jitter keeps workers from coming back at once. For one thread.
    """

    def __init__(self, first: float = 1.0, longest: float = 60.0) -> None:
        self._first, self._longest = first, longest
        self._failures = 0

    @classmethod
    def of_login(cls) -> Self:
        """Return long pauses: a server that refuses a login may lock the account after a few more tries."""
        return cls(120.0, 900.0)

    def pause(self) -> float:
        """Count one more failure; return the seconds to wait before the next try."""
        seconds = min(self._first * 2 ** min(self._failures, 20), self._longest)
        self._failures += 1
        return float(seconds * random.uniform(0.7, 1.0))  # noqa: S311 - jitter, no secret

    def reset(self) -> None:
        """Begin with the shortest pause again: what was down has answered."""
        self._failures = 0


def through_conflicts(write: Callable[[], _R], before_retry: Callable[[], None] = lambda: None) -> _R:
    """Call ``write`` until it meets no `Conflict`. After each one, pause and call ``before_retry``.

    Raises:
        DatabaseUnavailable: it met ten conflicts.
    """
    for attempt in range(_MOST_TRIES):
        try:
            return write()
        except Conflict as conflict:
            last = conflict
        time.sleep(random.uniform(0, _STEP_SECONDS * attempt))  # noqa: S311 - jitter, no secret
        before_retry()
    raise DatabaseUnavailable(f"the database: others keep writing the same rows: {last}") from last


def retry_on_conflict(use_case: Callable[_P, _R]) -> Callable[_P, _R]:
    """Run the whole use case again on `Conflict`: it then sees the slot, name or token that was taken.

    Raises:
        DatabaseUnavailable: it met ten conflicts.
    """

    @wraps(use_case)
    def tried(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        return through_conflicts(lambda: use_case(*args, **kwargs))

    return tried
