"""Commands that race: whoever was second reads again, and then sees what the first one did."""

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import ParamSpec, TypeVar

from worker.domain.errors import Conflict

_P = ParamSpec("_P")
_R = TypeVar("_R")

MOST_TRIES = 8


def again_on_conflict(use_case: Callable[_P, _R]) -> Callable[_P, _R]:
    """Run the whole use case again on `Conflict`: a taken slot, name or token is seen by the second reading."""

    @wraps(use_case)
    def tried(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        for _ in range(MOST_TRIES - 1):
            with suppress(Conflict):
                return use_case(*args, **kwargs)
        return use_case(*args, **kwargs)

    return tried
