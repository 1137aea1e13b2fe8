"""The steps of a poll, seen from outside: each call of a port, each statement, each IMAP command, each literal read.

At the one that is chosen the process kills itself.
"""

import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Engine, event

from worker.imap.protocol import Protocol

_SILENT = frozenset({"LOGIN", "AUTHENTICATE", "CAPABILITY", "LOGOUT", "NOOP", ""})
_CHANGING = ("UID MOVE", "UID COPY", "UID STORE", "UID EXPUNGE", "CREATE")
"""Where it may matter that only half of a command was sent."""
_MOST_NAME = 90
_LOCK = re.compile(r"(?<=bcc_dropbox.session = ')[0-9a-f]+|(?<=pg_backend_pid\(\) <> )\d+|-?\d{6,}")
"""What differs from run to run: the mark of a session, the server's process, a mailbox's lock number.

The mark stands first: it may begin with six digits.
"""


class Steps:
    """Names each step by what happens and the how-manieth of its kind it is; writes them down as they come."""

    def __init__(self, record: Path, dies_at: str | None) -> None:
        self._record = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._dies_at = dies_at
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()

    def at(self, what: str) -> None:
        """This step is reached."""
        with self._lock:
            self._seen[what] += 1
            name = f"{what} #{self._seen[what]}"
            os.write(self._record, f"{name}\n".encode())
            if name == self._dies_at:
                os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, port: Any, name: str) -> Any:
        """The port, with a step after each of its methods."""
        return _Watched(port, name, self)

    def watch_statements(self) -> None:
        """A step before each statement and each commit, on every connection."""

        def before(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
            self.at(f"statement {_LOCK.sub('LOCK', ' '.join(statement.split()))[:_MOST_NAME]}")

        def copy_watched(cursor: Any, statement: str, *more: Any) -> Any:
            self.at(f"statement {statement[:_MOST_NAME]}")
            return copy(cursor, statement, *more)

        copy = psycopg.Cursor.copy
        psycopg.Cursor.copy = copy_watched  # type: ignore[method-assign, assignment]
        event.listen(Engine, "before_cursor_execute", before)
        event.listen(Engine, "commit", lambda _connection: self.at("before the commit"))

    def watch_imap(self) -> None:
        """Make a step of each command sent, of its middle if it changes something, and of each literal read."""
        send, read = Protocol.send, Protocol.read

        def send_watched(imap: Protocol, data: Any) -> None:
            command = _command_of(bytes(data))
            if command.partition(" ")[0] in _SILENT:
                send(imap, data)
                return
            middle = len(data) // 2 if command.startswith(_CHANGING) else 0
            if middle:
                send(imap, data[:middle])
                self.at(f"half of {command}")
            send(imap, data[middle:])
            self.at(f"sent {command}")

        def read_watched(imap: Protocol, size: int) -> bytes:
            data = read(imap, size)
            self.at("literal read")
            return data

        Protocol.send = send_watched  # type: ignore[method-assign, assignment]
        Protocol.read = read_watched  # type: ignore[method-assign, assignment]


class _Watched:
    def __init__(self, port: Any, name: str, steps: Steps) -> None:
        self._port, self._name, self._steps = port, name, steps

    def __getattr__(self, method: str) -> Callable[..., Any]:
        call = getattr(self._port, method)

        def watched(*arguments: Any, **options: Any) -> Any:
            result = call(*arguments, **options)
            self._steps.at(f"after {self._name}.{method}")
            return result

        return watched


def _command_of(line: bytes) -> str:
    """The command without its tag, as far as it is of interest; nothing for the end of a command with a literal."""
    return line.decode("ascii", "replace").strip().partition(" ")[2][:_MOST_NAME]
