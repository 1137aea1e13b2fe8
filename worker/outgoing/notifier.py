"""Sends the notices that wait, after each poll; a mail server that is down delays them and loses none."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from worker.domain.errors import Unavailable
from worker.domain.verdicts import Notice, Outbox
from worker.outgoing.letters import notice_letter
from worker.outgoing.post import Post, Undeliverable

_ROUND_SECONDS = 20.0
"""A mail server that is slow keeps nobody's mail waiting: the rest is sent after the next poll."""


@dataclass(frozen=True, slots=True)
class Round:
    """The result of one round: notices sent, notices that the mail server refused (with its text), and the outage."""

    sent: tuple[Notice, ...] = ()
    refused: tuple[tuple[Notice, str], ...] = ()
    outage: Unavailable | None = None


class Notifier:
    """The step after the poll. Not for two threads at once; any number of processes may share an outbox."""

    def __init__(self, outbox: Outbox, post: Post) -> None:
        self._outbox = outbox
        self._post = post
        self._unsettled: list[tuple[Notice, str | None]] = []

    def send_waiting(self, stop: Callable[[], bool] = lambda: False) -> Round:
        """Send until no notice waits, time is up, ``stop()`` is true, or an outage ends it.

        Never raises `Unavailable`: the result holds it.
        """
        ends: list[tuple[Notice, str | None]] = []
        outage: Unavailable | None = None
        began = time.monotonic()
        try:
            while time.monotonic() < began + _ROUND_SECONDS and not stop():
                self._settle()
                notice = self._outbox.take(datetime.now(UTC))
                if notice is None:
                    break
                end = notice, self._send(notice)
                ends.append(end)
                self._unsettled.append(end)
            self._settle()
        except Unavailable as error:
            outage = error
        return Round(
            tuple(notice for notice, refusal in ends if refusal is None),
            tuple((notice, refusal) for notice, refusal in ends if refusal is not None),
            outage,
        )

    def _send(self, notice: Notice) -> str | None:
        """Send one notice; return None when it was sent, else why it never will be."""
        try:
            letter = notice_letter(notice, self._post.sender, datetime.now(UTC))
        except Exception as error:  # noqa: BLE001 - a notice that cannot be written must not hold up the others
            return f"the letter cannot be written ({type(error).__name__})"
        try:
            self._post.deliver(letter, notice.login, bounces=False)
        except Undeliverable as error:
            return str(error)
        except Unavailable:
            self._outbox.put_back(notice)
            raise
        return None

    def _settle(self) -> None:
        """Record what was sent. A record that the database did not take is written again before anything else."""
        while self._unsettled:
            notice, refusal = self._unsettled[0]
            self._outbox.settle(notice, datetime.now(UTC), refusal)
            del self._unsettled[0]
