"""Hearing of new mail at once (RFC 2177), on a connection and a thread of its own."""

import random
import threading
import time
from collections.abc import Callable
from enum import StrEnum

from worker.domain.errors import LoginRefused, Unavailable
from worker.mailbox.access import ImapAccess
from worker.mailbox.folders import queue_folder
from worker.mailbox.session import Session

RENEW_SECONDS = 8.5 * 60
"""NAT forgets a silent connection after ten minutes or more."""
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 300.0
_STOP_SECONDS = 2.0


class IdleState(StrEnum):
    """What the watch has to tell of itself."""

    WATCHING = "watching"
    LOST = "lost"
    """Comes back by itself."""
    ABSENT = "absent"
    """The server has no IDLE; the watch has ended."""


class IdleWatch:
    """Calls back whenever there may be new mail; connects anew, after growing and jittered pauses, when it has to.

    ``told`` gets each change of state with a line that explains it. Both callbacks come from the watch's thread, are
    quick and do not raise.
    """

    def __init__(
        self,
        access: ImapAccess,
        told: Callable[[IdleState, str], None] = lambda _state, _text: None,
        renew_seconds: float = RENEW_SECONDS,
    ) -> None:
        self._access = access
        self._told = told
        self._renew_seconds = renew_seconds
        self._stopping = threading.Event()
        self._session: Session | None = None
        self._thread: threading.Thread | None = None

    def start(self, on_mail: Callable[[], None]) -> None:
        """Begin to watch; calls ``on_mail`` also whenever mail may have come unheard, so once soon after the start."""
        self._thread = threading.Thread(target=self._watch, args=(on_mail,), name="idle", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the watch within two seconds, on a dead connection too: nobody waits for an answer to DONE."""
        self._stopping.set()
        if self._session is not None:
            self._session.interrupt()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)

    def _watch(self, on_mail: Callable[[], None]) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                self._session = Session(self._access)
                if not self._session.has("IDLE"):
                    self._told(IdleState.ABSENT, f"{self._access.server}: offers no IDLE")
                    return
                self._session.select(queue_folder(self._session, self._access))
                self._told(IdleState.WATCHING, f"{self._access.server}: watching {self._access.folder}")
                failures = 0
                self._listen(self._session, on_mail)
            except Unavailable as outage:
                if self._stopping.is_set():
                    return
                self._told(IdleState.LOST, str(outage))
                failures += 1
                self._stopping.wait(pause(failures, refused=isinstance(outage, LoginRefused)))
            finally:
                if self._session is not None:
                    self._session.close()

    def _listen(self, session: Session, on_mail: Callable[[], None]) -> None:
        """Until the connection is lost; renewed in time. What came while the server was not listening is asked for."""
        while not self._stopping.is_set():
            session.idle_begin()
            on_mail()
            until = time.monotonic() + self._renew_seconds
            while heard := session.idle_wait(max(0.0, until - time.monotonic())):
                if b"EXISTS" in heard:
                    on_mail()
            if not self._stopping.is_set():
                session.idle_end()


def pause(failures: int, *, refused: bool = False) -> float:
    """Seconds before the next attempt: doubled each time up to five minutes; never soon after a refused login."""
    longest = _LONGEST_PAUSE if refused else min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(failures - 1, 20))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
