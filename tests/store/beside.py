"""Something that another worker or a person does at the same time, and that has to wait for its turn."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, Self

_IN_VAIN = 0.3
"""Seconds, in which what need not wait is long done."""


class Beside:
    """A thread beside the test's own; what it was started on has ended, and well, when the block ends."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(1)
        self._started: list[Future[Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown()
        if error is None:
            assert self.results, "nothing was started"

    @property
    def results(self) -> list[Any]:
        """What each gave, waiting for it."""
        return [started.result(10) for started in self._started]

    def start_and_wait_in_vain(self, act: Callable[..., object], *arguments: Any, **named: Any) -> None:
        """Start it, and see that it does not end by itself."""
        started = self._threads.submit(act, *arguments, **named)
        self._started.append(started)
        assert not wait([started], _IN_VAIN).done, "it did not wait"
