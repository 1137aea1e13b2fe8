"""How long to wait while something outside is down, and that its beginning and its end leave one line each."""

import random
import time
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
    """The outage that lasts now, if any. One thread only."""

    def __init__(self) -> None:
        self._side: Side | None = None
        self._began = 0.0
        self._failures = 0

    @property
    def lasts(self) -> bool:
        """Whether something is down."""
        return self._side is not None

    def failed(self, error: Unavailable) -> float:
        """Count one more failure; gives the seconds to wait before the next try."""
        side = Side.of(error)
        if side is not self._side:
            self._began = time.monotonic() if self._side is None else self._began
            self._side, self._failures = side, 0
        pause = _pause(side, self._failures)
        self._failures += 1
        began, retrying, _ = side.value
        log: Any = structlog.get_logger()
        if self._failures == 1:
            log.warning(began, error=str(error))
        else:
            log.debug(retrying, error=str(error), attempt=self._failures, pause=round(pause, 1))
        return pause

    def ended(self) -> None:
        """Everything answers again."""
        if self._side is None:
            return
        _, _, end = self._side.value
        seconds = round(time.monotonic() - self._began, 1)
        structlog.get_logger().info(end, seconds_down=seconds, attempts=self._failures)
        self._side = None


def _pause(side: Side, failures: int) -> float:
    """Doubled at each failure up to a cap, and scattered, so that many workers do not come back in one moment."""
    first, longest = (
        (_FIRST_LOGIN_PAUSE, _LONGEST_LOGIN_PAUSE) if side is Side.LOGIN else (_FIRST_PAUSE, _LONGEST_PAUSE)
    )
    return float(min(first * 2 ** min(failures, 10), longest) * random.uniform(0.7, 1.0))  # noqa: S311 - jitter
