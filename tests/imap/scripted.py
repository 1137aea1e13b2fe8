"""A server that says what a test has it say: the odd answers that no real server can be made to give."""

import re
import socket
from collections.abc import Callable, Mapping

from tests.imap.listening import Listening

Answers = Mapping[str, bytes | Callable[[str], bytes]]
"""By the first words of the command, longest first: untagged lines, then ``TAG OK`` etc.; LOST or a BYE hangs up."""
LOST = b""
USUAL: Answers = {
    "CAPABILITY": b"* CAPABILITY IMAP4rev1 MOVE UIDPLUS IDLE\r\nTAG OK done\r\n",
    "LOGIN": b"TAG OK in\r\n",
    "LOGOUT": b"* BYE bye\r\nTAG OK out\r\n",
    "SELECT": b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7] v\r\n* OK [PERMANENTFLAGS (\\*)] f\r\nTAG OK [READ-WRITE] s\r\n",
}


class Scripted(Listening):
    """Listens on `port` until the block ends; keeps the `commands` it was given."""

    def __init__(self, answers: Answers, greeting: bytes = b"* OK hello\r\n") -> None:
        super().__init__()
        self._answers = {**USUAL, **answers}
        self._greeting = greeting
        self.commands: list[str] = []

    def serve(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:
            connection.sendall(self._greeting)
            tag = ""
            for line in lines:
                first, _, command = line.decode(errors="replace").rstrip("\r\n").partition(" ")
                tag = first if command else tag  # an answer to a challenge has none
                self.commands.append(command or first)
                answer = self._answer(command or first)
                if answer == LOST:
                    return
                connection.sendall(_tagged(answer, tag.encode()))
                if b"* BYE" in answer:
                    return

    def _answer(self, command: str) -> bytes:
        known = sorted((name for name in self._answers if command.upper().startswith(name)), key=len)
        if not known:
            return b"TAG BAD unknown\r\n"
        answer = self._answers[known[-1]]
        return answer if isinstance(answer, bytes) else answer(command)


def _tagged(answer: bytes, tag: bytes) -> bytes:
    """Put the tag in, byte for byte: what a TLS client says is taken for one too, and may hold a backslash."""
    return re.sub(rb"^TAG", lambda _: tag, answer, flags=re.MULTILINE)
