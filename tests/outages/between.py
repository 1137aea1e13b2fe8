"""A proxy that understands IMAP a little: it acts when a command passes, and rewrites what the server answers."""

import re
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

from tests.imap.listening import Listening

Rewrite = Callable[[bytes, bytes], tuple[bytes, bytes]]
"""Of the line up to a literal's size, and the literal; a line without a literal comes with an empty one."""
Action = Callable[[], object]
_LITERAL = re.compile(rb"\{(\d+)\}\r\n$")


class CutHere(Exception):
    """Raised by a rewrite: send these last octets and break the connection."""

    def __init__(self, last: bytes) -> None:
        super().__init__()
        self.last = last


def breaks() -> None:
    """Break the connection on which the command came."""
    raise ConnectionAbortedError


def as_it_is(line: bytes, literal: bytes) -> tuple[bytes, bytes]:
    return line, literal


@dataclass(eq=False)
class Armed:
    """What is done once, the ``times``-th time from now."""

    action: Action
    times: int = 1

    def comes(self) -> bool:
        """Count one time; tell whether it is the one."""
        self.times -= 1
        return self.times == 0


Actions = dict[bytes, Armed]


class Between(Listening):
    """A proxy on `port` in front of an IMAP server without TLS."""

    def __init__(self, target: int, rewrite: Rewrite = as_it_is) -> None:
        super().__init__()
        self._target = target
        self._rewrite = rewrite
        self._before: Actions = {}
        self._after: Actions = {}
        self._lock = threading.Lock()
        self.commands: list[bytes] = []
        """Every line that clients sent, of all connections."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        super().__exit__(kind, error, at)
        if kind is None:
            left = [*self._before, *self._after]
            assert not left, f"never came, so that nothing was done: {left}"

    def before(self, words: bytes, action: Action, times: int = 1) -> None:
        """Act the next (or ``times``-th) time that a command with these words comes, before the server sees it."""
        self._before[words] = Armed(action, times)

    def after(self, words: bytes, action: Action) -> None:
        """Act when the server was given such a command, and may be at it."""
        self._after[words] = Armed(action)

    def count(self, words: bytes) -> int:
        return sum(words in command for command in self.commands)

    def serve(self, connection: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._target), timeout=30) as server:
            server.settimeout(None)
            for end in (connection, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._answer, args=(server, connection), daemon=True).start()
            with suppress(OSError), connection.makefile("rb") as commands:
                for command in commands:
                    self.commands.append(command)
                    self._act(self._before, command)
                    server.sendall(command)
                    self._act(self._after, command)
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError), server.makefile("rb") as answers:
            for line in answers:
                size = _LITERAL.search(line)
                literal = answers.read(int(size[1])) if size else b""
                try:
                    client.sendall(b"".join(self._rewrite(line, literal)))
                except CutHere as cut:
                    client.sendall(cut.last)
                    break
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def _act(self, actions: Actions, command: bytes) -> None:
        """Run the actions that this command triggers, each one once; two connections may race for it."""
        with self._lock:
            due = [armed for words, armed in actions.items() if words in command and armed.comes()]
            for words in [words for words, armed in actions.items() if armed in due]:
                del actions[words]
        for armed in due:
            armed.action()
