"""A decided message, with the values by which `replay` finds it in its folder."""

from dataclasses import dataclass
from datetime import datetime

from worker.domain.outcomes import Outcome, Reason


@dataclass(frozen=True, slots=True)
class Decided:
    """A message as it was decided last. ``uid`` is its UID in the queue; in its folder it has another one."""

    uid: int
    outcome: Outcome
    reasons: tuple[Reason, ...]
    is_filed_for_all: bool
    """True when the mail is stored for every owner, so that a replay would change nothing."""
    message_id: str
    """Cut to the stored length; empty when there is none or the head could not be read."""
    size: int
    arrived_at: datetime
