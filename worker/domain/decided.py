"""What is kept of a message that came to its end, as far as it takes to find it again."""

from dataclasses import dataclass
from datetime import datetime

from worker.domain.outcomes import Outcome, Reason


@dataclass(frozen=True, slots=True)
class Decided:
    """A message as it was decided last. ``uid`` is the one it had in the queue; in its folder it has another."""

    uid: int
    outcome: Outcome
    reasons: tuple[Reason, ...]
    is_filed_for_all: bool
    """Stored for every owner it was meant for: nothing is left to be decided."""
    message_id: str
    """Cut to what is stored of it; empty where there is none, or where the head could not be read."""
    size: int
    arrived_at: datetime
