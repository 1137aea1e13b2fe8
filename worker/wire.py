"""Connections to servers: deadlines for whole answers, trusted authorities, and why a certificate is refused.

A socket's own timeout would let a server that sends a byte now and then go on. The deadline of a poll is no substitute:
it watches the thread that polls, not notices, upkeep, IDLE, deliveries and commands; and it ends the process, which one
slow server is no reason for.
"""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
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
        """True once `cut` was called."""
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


_AUTHORITY_NEEDS = {86: "subjectKeyIdentifier", 89: "a critical basicConstraints", 92: "keyUsage"}
"""What the authority's certificate lacks, by OpenSSL's X509_V_ERR_…. Since 3.13 Python checks as RFC 5280 §4.2 asks."""
_CERTIFICATE_NEEDS = {85: "authorityKeyIdentifier"}
_RENEW_AUTHORITY = (
    "renew the authority with the command, and trust ca-new.pem: printf 'basicConstraints=critical,CA:TRUE\\n"
    "keyUsage=critical,keyCertSign,cRLSign\\nsubjectKeyIdentifier=hash\\n' | openssl x509 -in ca.pem -signkey ca.key"
    " -clrext -days 3650 -extfile /dev/stdin -out ca-new.pem"
)
_RENEW_BOTH = (
    f"{_RENEW_AUTHORITY} && openssl x509 -x509toreq -in server.pem -signkey server.key -copy_extensions copyall |"
    " openssl x509 -req -copy_extensions copyall -CA ca-new.pem -CAkey ca.key -CAcreateserial -days 365"
    " -out server-new.pem"
)
"""A server's certificate names its authority by an identifier, which an old authority may not have."""


def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """Trust the authority in this file, or those of the system, and nobody else.

    Raises:
        OSError: if the file cannot be read.
    """
    return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)


def reason_of_refusal(error: ssl.SSLCertVerificationError) -> str:
    """Say why the certificate is refused, and which extension it lacks."""
    reason = f"its certificate is refused: {error.verify_message}"
    if lacks := _AUTHORITY_NEEDS.get(error.verify_code):
        return f"{reason} (the authority's certificate lacks {lacks})"
    if lacks := _CERTIFICATE_NEEDS.get(error.verify_code):
        return f"{reason} (the server's certificate lacks {lacks})"
    return reason


def renewal(error: BaseException | None) -> str | None:
    """Give the command that adds the extension for which this error, or its cause, refused a certificate."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            if error.verify_code in _AUTHORITY_NEEDS:
                return _RENEW_AUTHORITY
            return _RENEW_BOTH if error.verify_code in _CERTIFICATE_NEEDS else None
        error = error.__cause__
    return None
