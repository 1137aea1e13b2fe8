"""Retries what failed with a `Conflict`: another process wrote the same rows first."""

import random
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from worker.domain.errors import Conflict, DatabaseUnavailable

_MOST_TRIES = 10
_STEP_SECONDS = 0.01
"""How much longer each pause may be than the one before. Jitter keeps two workers from meeting again."""

_P = ParamSpec("_P")
_R = TypeVar("_R")


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
