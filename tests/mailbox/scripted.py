"""A server that says what a test has it say: the odd answers that no real server can be made to give."""

import re
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

Answers = Mapping[str, bytes | Callable[[str], bytes]]
"""By the command's first words, longest first: untagged lines, then ``TAG OK`` and so on; LOST hangs up."""
LOST = b""
USUAL: Answers = {
    "CAPABILITY": b"* CAPABILITY IMAP4rev1 MOVE UIDPLUS IDLE\r\nTAG OK done\r\n",
    "LOGIN": b"TAG OK in\r\n",
    "LOGOUT": b"* BYE bye\r\nTAG OK out\r\n",
    "SELECT": b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7] v\r\n* OK [PERMANENTFLAGS (\\*)] f\r\nTAG OK [READ-WRITE] s\r\n",
}


class Scripted:
    """Listens on `port` until the block ends; keeps the `commands` it was given."""

    def __init__(self, answers: Answers, greeting: bytes = b"* OK hello\r\n") -> None:
        self._answers = {**USUAL, **answers}
        self._greeting = greeting
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.commands: list[str] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as lines:
            connection.sendall(self._greeting)
            tag = ""
            for line in lines:
                first, _, command = line.decode().rstrip("\r\n").partition(" ")
                tag = first if command else tag  # an answer to a challenge has none
                self.commands.append(command or first)
                answer = self._answer(command or first)
                if answer == LOST:
                    return
                connection.sendall(re.sub(rb"^TAG", tag.encode(), answer, flags=re.MULTILINE))

    def _answer(self, command: str) -> bytes:
        known = sorted((name for name in self._answers if command.upper().startswith(name)), key=len)
        if not known:
            return b"TAG BAD unknown\r\n"
        answer = self._answers[known[-1]]
        return answer if isinstance(answer, bytes) else answer(command)
