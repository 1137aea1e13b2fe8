"""Keeps awake the connection that a lock lives on, so that the server itself lets go of whoever is cut off from it."""

import threading
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

SILENCE_SECONDS = 5
"""After so long without a word the server ends the session, and with it the lock: whatever swallowed the words."""
_BEAT_SECONDS = 1.25
_BEAT = "SELECT 1"
_FAREWELL_SECONDS = 2.0
_IDLE_TIMEOUT_SINCE = (14,)
"""Older servers are left with TCP's own keepalive, which a stalled proxy in between answers for the dead."""


class Lease:
    """Takes the connection over: from now on only a thread of its own talks on it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._news = threading.Condition()
        self._question = _BEAT
        self._answer: Any = None
        self._asked = self._answered = 0
        self._is_ending = self._is_over = False
        self._thread = threading.Thread(target=self._keep, name="lock", daemon=True)
        self._thread.start()

    @staticmethod
    def prepare(connection: Connection) -> None:
        """Have the server end this session when it falls silent; before the lock is taken."""
        if (connection.dialect.server_version_info or ()) >= _IDLE_TIMEOUT_SINCE:
            connection.execute(text(f"SET idle_session_timeout = '{SILENCE_SECONDS}s'"))

    def holds(self) -> bool:
        """Whether the server answers now; False for ever once it did not in time."""
        return self.ask(_BEAT) is not None

    def ask(self, question: str) -> Any:
        """The one value of a statement; None for ever once the server did not answer in time."""
        with self._news:
            self._question = question
            self._asked += 1
            asked = self._asked
            self._news.notify_all()
            self._news.wait_for(lambda: self._is_over or self._answered >= asked, SILENCE_SECONDS)
            self._is_over = self._is_over or self._answered < asked
            return None if self._is_over else self._answer

    def end(self) -> None:
        """Give the connection up; a thread that still waits for a silent server ends with the process."""
        with self._news:
            self._is_ending = True
            self._news.notify_all()
        self._thread.join(_FAREWELL_SECONDS)

    def _keep(self) -> None:
        try:
            while (turn := self._next()) is not None:
                asked, question = turn
                answer = self._connection.scalar(text(question))
                with self._news:
                    if asked > self._answered:  # no beat: somebody waits for it
                        self._answered, self._answer = asked, answer
                        self._news.notify_all()
            self._connection.execute(text("SELECT pg_advisory_unlock_all()"))
            self._connection.close()
        except (SQLAlchemyError, OSError):
            self._connection.invalidate()
        finally:
            with self._news:
                self._is_over = True
                self._news.notify_all()

    def _next(self) -> tuple[int, str] | None:
        """Wait for somebody to ask, at most for one beat; None when all is over."""
        with self._news:
            self._news.wait_for(lambda: self._is_ending or self._is_over or self._asked > self._answered, _BEAT_SECONDS)
            if self._is_ending or self._is_over:
                return None
            return self._asked, self._question if self._asked > self._answered else _BEAT
