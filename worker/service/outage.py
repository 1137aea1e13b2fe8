"""How long to wait while something outside is down, and that its beginning and its end leave one line each."""

import random
import time
from collections import Counter
from enum import Enum
from typing import Any

import structlog

from worker.domain.errors import DatabaseUnavailable, LoginRefused, Unavailable
from worker.logs import Event

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
# A server that refuses a login may lock the account after a few more.
_FIRST_LOGIN_PAUSE, _LONGEST_LOGIN_PAUSE = 120.0, 900.0


class Side(Enum):
    """What is down: the events of its beginning, of each retry, and of its end."""

    MAILBOX = (Event.MAILBOX_LOST, Event.MAILBOX_RETRYING, Event.MAILBOX_CONNECTED)
    LOGIN = (Event.MAILBOX_LOGIN_REFUSED, Event.MAILBOX_RETRYING, Event.MAILBOX_CONNECTED)
    DATABASE = (Event.DATABASE_UNAVAILABLE, Event.DATABASE_RETRYING, Event.DATABASE_RECOVERED)

    @classmethod
    def of(cls, error: Unavailable) -> "Side":
        """Which side raised it."""
        match error:
            case LoginRefused():
                return cls.LOGIN
            case DatabaseUnavailable():
                return cls.DATABASE
            case _:
                return cls.MAILBOX


class Outage:
    """What is down now, if anything. One thread only."""

    def __init__(self) -> None:
        self._began: dict[Side, float] = {}
        self._failures: Counter[Side] = Counter()
        self._attempts = 0

    @property
    def lasts(self) -> bool:
        """Whether something is down."""
        return bool(self._began)

    @property
    def is_of_database(self) -> bool:
        """Whether the database is down."""
        return Side.DATABASE in self._began

    def failed(self, error: Unavailable, *, progressed: bool = False) -> float:
        """Count one more failure; gives the seconds to wait before the next try.

        ``progressed``: much was done before it failed, so the pauses begin anew.
        """
        side = Side.of(error)
        if progressed:
            self._failures.clear()
        pause = _pause(side, self._failures[side])
        self._failures[side] += 1
        self._attempts += 1
        began, retrying, _ = side.value
        log: Any = structlog.get_logger()
        if side not in self._began:
            self._began[side] = time.monotonic()
            log.warning(began, error=str(error))
        else:
            log.debug(retrying, error=str(error), attempt=self._attempts, pause=round(pause, 1))
        return pause

    def ended(self) -> None:
        """Everything answers again: one line for each side that was down, however it was."""
        now = time.monotonic()
        ends: dict[Event, float] = {}
        for side, began in self._began.items():
            _, _, end = side.value
            ends[end] = max(ends.get(end, 0.0), now - began)
        for end, seconds in ends.items():
            structlog.get_logger().info(end, seconds_down=round(seconds, 1), attempts=self._attempts)
        self._began.clear()
        self._failures.clear()
        self._attempts = 0


def _pause(side: Side, failures: int) -> float:
    """Doubled at each failure up to a cap, and scattered, so that many workers do not come back in one moment."""
    first, longest = (
        (_FIRST_LOGIN_PAUSE, _LONGEST_LOGIN_PAUSE) if side is Side.LOGIN else (_FIRST_PAUSE, _LONGEST_PAUSE)
    )
    return float(min(first * 2 ** min(failures, 10), longest) * random.uniform(0.7, 1.0))  # noqa: S311 - jitter
