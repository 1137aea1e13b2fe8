"""The two narrow doors of the core: the mailbox that mail comes from, and the store that knows and keeps."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from worker.domain.messages import Arrival
from worker.domain.outcomes import Folder
from worker.domain.records import AccountView, Wanted
from worker.domain.tokens import IssuedToken
from worker.domain.verdicts import Filing


@dataclass(frozen=True, slots=True)
class Queue:
    """The queue folder as it was opened: ``name`` is ``user@host/folder``; a new ``uidvalidity`` means new UIDs."""

    name: str
    uidvalidity: int
    messages: int


class Mailbox(Protocol):
    """An IMAP mailbox. Reads never change it. Every method raises `Unavailable` when the server is down.

    ``move`` may be called from another thread than the reading methods, at the same time.
    """

    def open(self) -> Queue:
        """Select the queue afresh (one round trip on a kept connection); connects if needed. Raises `LoginRefused`."""

    def uids(self, above: int, most: int) -> list[int]:
        """Up to ``most`` UIDs greater than ``above``, ascending, whatever their flags."""

    def heads(self, uids: Sequence[int]) -> list[Arrival]:
        """One FETCH for all; messages that are gone are absent."""

    def expect_heads(self, uids: Sequence[int]) -> None:
        """Tell which heads will be asked for next, so that the server can be at work on them; waits for nothing."""

    def attachment_bytes(self, uids: Sequence[int]) -> Mapping[int, int]:
        """From BODYSTRUCTURE: the decoded octets of the attachments at the least; absent if the server cannot say."""

    def bodies(self, uids: Sequence[int]) -> Mapping[int, bytes]:
        """Whole messages byte for byte, in one FETCH; absent if gone or not given."""

    def move(self, uids: Sequence[int], folder: Folder) -> None:
        """Move to the folder, making it when absent. UIDs that are gone are passed over in silence."""

    def close(self) -> None:
        """Log out as far as the server still listens; never raises."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the store remembers of the UIDs that are about to be worked on."""

    decided: Mapping[int, Folder] = field(default_factory=dict)
    """Committed before, not moved yet (a crash in between): move only."""
    suspects: Mapping[int, int] = field(default_factory=dict)
    """UID to strikes: were in hand when a process died, or failed before; to be worked one at a time."""
    errors: Mapping[int, str] = field(default_factory=dict)
    """UID to the last error, for the decision of a quarantined message."""


Decide = Callable[[Mapping[int, AccountView]], Sequence[Filing]]
"""From what each account knows (by its id) to what becomes of the messages. Pure; it may be called again."""


class Store(Protocol):
    """The database. Every method is one transaction and raises `Unavailable` when the database is down."""

    def standing(self, queue: Queue, uids: Sequence[int]) -> Standing:
        """What is known of these UIDs. Marks left by another process (it died) become strikes and suspects here."""

    def take_in_hand(self, queue: Queue, uids: Sequence[int], *, alone: bool) -> None:
        """Mark as being worked on, before any work: what stays marked when this process dies is suspect.

        ``alone``: the one message of a batch of one; dying on it is a strike.
        """

    def release(self, queue: Queue, uids: Sequence[int]) -> None:
        """Take the marks off again without a strike: an outage is nobody's fault."""

    def forget(self, queue: Queue, uids: Sequence[int]) -> None:
        """They are no longer in the queue, and nobody decided on them: a person took them away."""

    def suspect(self, queue: Queue, uid: int, error: str) -> None:
        """Have this one worked alone and last from now on, without a strike: the server would not give it."""

    def strike(self, queue: Queue, uid: int, error: str) -> int:
        """Count one failure of the code on this message, take its mark off; returns the strikes so far."""

    def issued(self, tokens: Collection[str]) -> Mapping[str, IssuedToken]:
        """The tokens that were ever issued, revoked ones included; unknown ones are absent."""

    def file(self, queue: Queue, wanted: Mapping[int, Wanted], decide: Decide, now: datetime) -> Sequence[Filing]:
        """Store everything that ``decide`` says, with the decisions, and take the marks off; gives what it said.

        Nobody else files mail of these accounts in between, so that what is decided still holds when it is stored.

        Raises:
            Conflict: when somebody stored a decision on one of them first, or took away what they rest on.
        """
