"""An end to each answer: by the socket's timeout alone, a server with an octet now and then would go on for ever."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from imapclient import IMAPClient

from worker.domain.errors import Silent


def interrupt(client: IMAPClient) -> None:
    """Break the connection under whatever thread waits on it, which then closes it; never raises."""
    with suppress(OSError, AttributeError):
        # Not SSLSocket.shutdown, which would take the encryption off under a thread that is reading.
        socket.socket.shutdown(client.socket(), socket.SHUT_RDWR)


@contextmanager
def ended_after(seconds: float, client: IMAPClient, server: str) -> Iterator[None]:
    """Break the connection under this block when it takes longer.

    Raises:
        Silent: when it did.
    """
    is_over = threading.Event()

    def end() -> None:
        is_over.set()
        interrupt(client)

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
