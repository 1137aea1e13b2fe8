"""An end to each answer: by the socket's timeout alone, a server with an octet now and then would go on for ever."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from worker.domain.errors import Silent

WAITS_OF_AN_ANSWER = 4
"""How many of a socket's waits a whole answer may take: enough for a large message on a slow line."""


class Wire:
    """The connection that one thread waits on, for another thread to break; whoever waits then closes it.

    A descriptor of its own: TLS takes the socket over from whoever made it, and may be waiting for its own beginning.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._is_cut = False

    def hold(self, connection: socket.socket) -> None:
        """Take this one, fresh and without TLS yet; breaks it at once if the wire was cut meanwhile."""
        self.close()
        with self._lock:
            self._connection = connection.dup()
        if self._is_cut:
            self.cut()

    def cut(self) -> None:
        """Break it under whatever thread waits on it; never raises."""
        with self._lock:
            self._is_cut = True
            if self._connection is not None:
                with suppress(OSError):
                    self._connection.shutdown(socket.SHUT_RDWR)

    @property
    def is_cut(self) -> bool:
        """`cut` was called."""
        return self._is_cut

    def close(self) -> None:
        """Let go of it, as it is."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None


class Breakable(Protocol):
    """Something that another thread can break a connection by."""

    def cut(self) -> None:
        """Break it under whatever thread waits on it; never raises."""


@contextmanager
def ended_after(seconds: float, wire: Breakable, server: str) -> Iterator[None]:
    """Break the connection under this block when it takes longer.

    Raises:
        Silent: when it did.
    """
    is_over = threading.Event()

    def end() -> None:
        is_over.set()
        wire.cut()

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception as error:
        if is_over.is_set():
            raise Silent(f"{server}: no whole answer within {seconds:g} seconds") from error
        raise
    finally:
        timer.cancel()
