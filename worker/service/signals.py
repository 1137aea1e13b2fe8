"""Signals as something to wait for, in place of code that runs in the midst of anything."""

import select
import signal
import socket
from types import TracebackType
from typing import Self

STOP = frozenset({signal.SIGTERM, signal.SIGINT})
RELOAD = signal.SIGHUP
_CAUGHT = (*STOP, RELOAD)


class Signals:
    """While entered (on the main thread), these signals do nothing but wake `wait`."""

    def __enter__(self) -> Self:
        """Take the signals over."""
        self._receiver, sender = socket.socketpair()
        self._sender = sender
        self._receiver.settimeout(0)
        sender.settimeout(0)
        self._before = {number: signal.signal(number, lambda _number, _frame: None) for number in _CAUGHT}
        self._wakeup_before = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Give them back."""
        signal.set_wakeup_fd(self._wakeup_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._sender.close()
        self._receiver.close()

    def wait(self, seconds: float) -> set[int]:
        """The signals that came, at once when one does; an empty set when the time is up."""
        readable, _, _ = select.select([self._receiver], [], [], seconds)
        return set(self._receiver.recv(4096)) if readable else set()

    def wake(self) -> None:
        """End a `wait` from another thread."""
        self._sender.send(b"\0")
