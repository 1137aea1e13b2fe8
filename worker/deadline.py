"""Deadlines for whole answers: a socket's own timeout would let a server that sends a byte now and then go on.

The deadline of a poll is no substitute. It watches the thread that polls: not notices, upkeep, IDLE and deliveries,
which run on threads of their own, and not the commands. It also ends the process, which one slow server is no reason
for.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from worker.domain.errors import Silent


class Wire:
    """A second descriptor of a connection, by which another thread can break it.

    The thread that waits on the connection then gets an error and closes it. The descriptor is our own, because TLS
    takes the socket object over, and may itself be waiting in its handshake.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._is_cut = False

    def hold(self, connection: socket.socket) -> None:
        """Keep a new connection, before TLS begins. Break it at once if the wire was cut meanwhile."""
        self.close()
        with self._lock:
            self._connection = connection.dup()
        if self._is_cut:
            self.cut()

    def cut(self) -> None:
        """Break the connection, whatever thread waits on it. Never raises."""
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
        """Close the descriptor; the connection itself stays open."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None


class Breakable(Protocol):
    """Something that another thread can break a connection by."""

    def cut(self) -> None:
        """Break the connection, whatever thread waits on it. Never raises."""


@contextmanager
def ended_after(seconds: float, wire: Breakable, server: str) -> Iterator[None]:
    """Break the connection if this block takes longer.

    Raises:
        Silent: it took longer.
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
