"""Watch for new mail by IDLE (RFC 2177), on a connection and a thread of its own."""

import math
import threading
import time
from collections.abc import Callable
from enum import StrEnum

from worker.domain.errors import LoginRefused, Unavailable
from worker.domain.servers import ImapAccess
from worker.imap.folders import queue_folder
from worker.imap.session import Session
from worker.logs import described
from worker.retries import Backoff
from worker.wire import Wire

_RENEW_SECONDS = 8.5 * 60
"""NAT forgets a silent connection after ten minutes or more."""
_LONGEST_PAUSE = 300.0
_STOP_SECONDS = 2.0
_LASTING_SECONDS = 60.0
"""After a connection of this length (seconds) the pauses start from the shortest again."""


class IdleState(StrEnum):
    """State of the watch."""

    WATCHING = "watching"
    LOST = "lost"
    """The connection was lost; the watch reconnects."""
    FAILED = "failed"
    """This program failed; the watch reconnects."""
    ABSENT = "absent"
    """The server has no IDLE; the watch has ended."""


class IdleWatch:
    """Calls back whenever there may be new mail; reconnects with growing, jittered pauses.

    ``told`` gets each change of state with a line that explains it. Both callbacks run on the watch's thread, and must
    be quick and not raise.
    """

    def __init__(
        self,
        access: ImapAccess,
        told: Callable[[IdleState, str], None] = lambda _state, _text: None,
        renew_seconds: float = _RENEW_SECONDS,
    ) -> None:
        self._access = access
        self._told = told
        self._renew_seconds = renew_seconds
        self._stopping = threading.Event()
        self._wire = Wire()
        self._listens_since = math.inf
        self._thread: threading.Thread | None = None

    def start(self, on_mail: Callable[[], None]) -> None:
        """Start the watch. Calls ``on_mail`` also when mail may have been missed, so once soon after the start."""
        self._thread = threading.Thread(target=self._watch, args=(on_mail,), name="idle", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the watch within two seconds, on a dead connection too: it does not wait for an answer to DONE."""
        self._stopping.set()
        self._wire.cut()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)

    def _watch(self, on_mail: Callable[[], None]) -> None:
        backoff, of_login = Backoff(longest=_LONGEST_PAUSE), Backoff.of_login()
        while not self._stopping.is_set():
            try:
                if not self._attend(on_mail):
                    return
            except Exception as failure:  # noqa: BLE001 - without this thread new mail would wait for each poll, unnoticed
                if self._stopping.is_set():
                    return
                self._told(IdleState.LOST if isinstance(failure, Unavailable) else IdleState.FAILED, described(failure))
                if time.monotonic() - self._listens_since > _LASTING_SECONDS:
                    backoff.reset()
                    of_login.reset()
                self._stopping.wait((of_login if isinstance(failure, LoginRefused) else backoff).pause())

    def _attend(self, on_mail: Callable[[], None]) -> bool:
        """Listen on one connection until it is lost; return False when the watch should end."""
        self._wire, self._listens_since = Wire(), math.inf
        if self._stopping.is_set():  # checked after the wire is set: `stop` sets the flag first and then cuts the wire
            return False
        session = Session(self._access, self._wire)
        try:
            if not session.has("IDLE"):
                self._told(IdleState.ABSENT, f"{self._access.server}: offers no IDLE")
                return False
            session.select(queue_folder(session, self._access))
            self._told(IdleState.WATCHING, f"{self._access.server}: watching {self._access.folder}")
            self._listen(session, on_mail)
        finally:
            session.close()
        return True

    def _listen(self, session: Session, on_mail: Callable[[], None]) -> None:
        """Listen until the connection is lost; renew IDLE in time, and each time call back for mail that was missed."""
        while not self._stopping.is_set():
            session.idle_begin()
            self._listens_since = min(self._listens_since, time.monotonic())
            on_mail()
            until = time.monotonic() + self._renew_seconds
            while heard := session.idle_wait(max(0.0, until - time.monotonic())):
                if b"EXISTS" in heard:
                    on_mail()
            if not self._stopping.is_set():
                session.idle_end()
