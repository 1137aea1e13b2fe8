"""How long mail, decisions and events are kept (R30)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self


@dataclass(frozen=True, slots=True)
class Bounds:
    """What was decided, reported or stored before these moments is removed; None keeps it for ever."""

    rejected: datetime | None
    events: datetime | None
    emails: datetime | None

    @classmethod
    def at(cls, now: datetime, *, rejected: int | None, events: int | None, emails: int | None) -> Self:
        """Return the bounds at this moment for these numbers of days."""
        return cls(*(None if days is None else now - timedelta(days=days) for days in (rejected, events, emails)))


@dataclass(frozen=True, slots=True)
class Shelved:
    """A message in one of our folders, by what its decision knows of it too."""

    message_id: str
    """Empty if the message has no Message-ID: then size and arrival tell it apart."""
    size: int
    arrived_at: datetime
