"""Extend imaplib: a larger buffer, and commands in two halves. Only this module uses its private names."""

import socket
from collections.abc import Callable
from imaplib import IMAP4
from typing import Any, cast

from imapclient import IMAPClient

_PIECE_BYTES = 256 * 1024
"""Read at once. Each read gives up the interpreter's lock, and then waits for it behind the thread that stores."""
_LINE_BYTES = 1_000_000
"""The longest line that imaplib takes."""

Completed = tuple[str, list[Any]]
"""The result of a command, OK or NO or BAD, and its data."""


class Protocol(IMAP4):
    """Speaks over the connection that ``reach`` makes with a timeout in seconds.

    Up to Python 3.13 imaplib reads by a file, which loses a part of a line when the socket does not block. Since 3.14
    it has a buffer, and reads small pieces. Both methods are overridden, so that all versions read alike.
    """

    def __init__(self, reach: Callable[[float | None], socket.socket], host: str, port: int, timeout: float) -> None:
        self._reach = reach
        self._ahead: ReadAhead | None = None
        super().__init__(host, port, timeout)

    def _create_socket(self, timeout: float | None = None) -> socket.socket:
        return self._reach(timeout)

    def read(self, size: int) -> bytes:
        """Read a literal; what is shorter was cut off by the end of the connection."""
        return self._reading.read(size)

    def readline(self) -> bytes:
        """Read a line with its end; what has no end was cut off, by the end of the connection or for now."""
        line = self._reading.readline(_LINE_BYTES)
        if len(line) > _LINE_BYTES:
            raise self.error(f"got more than {_LINE_BYTES} bytes")
        return line

    @property
    def _reading(self) -> "ReadAhead":
        """The buffer of this connection: STARTTLS makes another, and drops what came in before it (RFC 9051 §11.1)."""
        if self._ahead is None or self._ahead.connection is not self.sock:
            self._ahead = ReadAhead(self.sock)
        return self._ahead

    @property
    def farewell(self) -> bytes:
        """The text of the BYE with which the server ended this connection; empty if it sent none."""
        told = self.untagged_responses.get("BYE", [])
        return next((text for text in reversed(told) if isinstance(text, bytes)), b"")

    def begin(self, *words: str) -> bytes:
        """Send a command without waiting for its result; gives its tag."""
        tag: bytes = self._command(*words)
        return tag

    def finish(self, tag: bytes, *, answers: str) -> Completed:
        """Wait for the result of a UID command, with the untagged answers of that name if it is OK."""
        typ, data = self._command_complete("UID", tag)
        completed: Completed = self._untagged_response(typ, data, answers)
        return completed

    def await_continuation(self, tag: bytes) -> Completed | None:
        """Wait until the server asks for more of this command; gives the result if it ends instead."""
        while self.tagged_commands.get(tag) is None:
            if self._get_response() is None:  # imaplib's sign for a continuation
                return None
        return cast("Completed", self.tagged_commands.pop(tag))


def quoted(text: str) -> str:
    """Write a quoted string (RFC 9051 §4.3): blanks, quotes and backslashes keep their meaning in a command."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def protocol_of(client: IMAPClient) -> Protocol:
    """Give the client that imapclient works with."""
    protocol: Protocol = client._imap  # noqa: SLF001
    return protocol


class ReadAhead:
    """Buffers what a connection sends. A line of which only a part came stays there until the rest comes."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._piece = bytearray(_PIECE_BYTES)
        self._held = b""
        self._at = 0

    def read(self, size: int) -> bytes:
        """Read so many bytes, or those before the end."""
        pieces = [self._take(size)]
        missing = size - len(pieces[0])
        while missing and (received := self._receive()):
            pieces.append(received[:missing])
            missing -= len(pieces[-1])
            if not missing:
                self._held, self._at = received, len(pieces[-1])
        return b"".join(pieces)

    def readline(self, most: int) -> bytes:
        """Read to the next line feed, and more than ``most`` bytes if none is among them."""
        searched = self._at
        while (end := self._held.find(b"\n", searched)) < 0 and len(self._held) - self._at <= most:
            received = self._receive()
            if not received:
                return self._take(most)
            self._held, searched, self._at = self._held[self._at :] + received, len(self._held) - self._at, 0
        return self._take(end + 1 - self._at if end >= 0 else most + 1)

    def _take(self, size: int) -> bytes:
        taken = self._held[self._at : self._at + size]
        self._at += len(taken)
        return taken

    def _receive(self) -> bytes:
        """Receive what is there; waits as long as the socket does."""
        size = self.connection.recv_into(self._piece)
        return bytes(memoryview(self._piece)[:size])
