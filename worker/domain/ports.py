"""The ports of the core: the mailbox that mail comes from, the store that knows and keeps, the parser of messages."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from worker.domain.messages import Arrival, Content, Head
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
    """An IMAP mailbox. Reading never changes it. Every method raises `Unavailable` when the server is down."""

    def open(self) -> Queue:
        """Connect if needed and select the queue afresh, in one round trip on a kept connection.

        Raises:
            LoginRefused: the server does not accept the user or the password.
        """

    def reopen(self) -> None:
        """Select the queue again, so that the server shows what is gone.

        Raises:
            Unavailable: also when the queue was created again, so that its UIDs mean other messages.
        """

    def uids(self, above: int, most: int) -> list[int]:
        """Search for up to ``most`` UIDs greater than ``above``, ascending, whatever their flags."""

    def heads(self, uids: Sequence[int]) -> list[Arrival]:
        """Fetch the heads with one FETCH; messages that are gone are absent."""

    def expect_heads(self, uids: Sequence[int]) -> None:
        """Send the request for the heads that are needed next, and do not wait for the answer."""

    def expect_bodies(self, uids: Sequence[int]) -> None:
        """Send the request for the bodies that are needed next, and do not wait for the answer."""

    def attachment_bytes(self, uids: Sequence[int]) -> Mapping[int, int]:
        """Return a lower bound for the decoded size of the attachments, from BODYSTRUCTURE, where the server says."""

    def bodies(self, uids: Sequence[int]) -> Mapping[int, bytes]:
        """Fetch whole messages byte for byte, with one FETCH; absent if gone or not given."""

    def move(self, uids: Sequence[int], folder: Folder) -> None:
        """Move messages to the folder and create it if needed. UIDs that are gone are skipped."""

    def close(self) -> None:
        """Log out, if the server still answers. Never raises."""


@dataclass(frozen=True, slots=True)
class Known:
    """The store's memory of UIDs that a poll has found in the queue."""

    decided: Mapping[int, Folder] = field(default_factory=dict)
    """Committed but not moved yet (the process crashed in between): only move these."""
    suspects: Mapping[int, int] = field(default_factory=dict)
    """UID to strikes. These were in work when a process crashed, or failed before; each is worked alone."""
    errors: Mapping[int, str] = field(default_factory=dict)
    """UID to the last error, for the decision on a quarantined message."""


Decide = Callable[[Mapping[int, AccountView]], Sequence[Filing]]
"""Decides what becomes of the messages, from what each account (by its ID) knows. Pure; may be called again."""


class Store(Protocol):
    """The database. Every method is one transaction and raises `Unavailable` when the database is down."""

    def known(self, queue: Queue, uids: Sequence[int]) -> Known:
        """Look the UIDs up. Marks of another process, which has crashed, become strikes and suspects here."""

    def mark(self, queue: Queue, uids: Sequence[int], *, alone: bool) -> None:
        """Mark the messages before any work on them: if the process crashes, marked messages become suspects.

        ``alone``: if it crashes, the one message of this batch gets a strike.
        """

    def release(self, queue: Queue, uids: Sequence[int]) -> None:
        """Remove the marks without a strike, after an outage."""

    def forget(self, queue: Queue, uids: Sequence[int]) -> None:
        """Remove all that is known of messages that a person has taken out of the queue."""

    def suspect(self, queue: Queue, uid: int, error: str) -> None:
        """Let later polls work on this message alone and last, without a strike: the server did not give it."""

    def strike(self, queue: Queue, uid: int, error: str) -> int:
        """Count one failure of the code on this message and remove its mark; return the strikes so far."""

    def issued(self, tokens: Collection[str]) -> Mapping[str, IssuedToken]:
        """Return those of the tokens that were ever issued, revoked ones included."""

    def file(self, queue: Queue, wanted: Mapping[int, Wanted], decide: Decide, now: datetime) -> Sequence[Filing]:
        """Call ``decide``, store all that it says together with the decisions, remove the marks; return what it said.

        The accounts are locked meanwhile, so that what was decided still holds when it is stored.

        Raises:
            Conflict: another worker has decided on one of the messages, or removed a record that is needed.
        """


class Parser(Protocol):
    """Reads the bytes of messages; accepts any bytes."""

    def read_head(self, raw: bytes, *, is_complete: bool = True) -> Head:
        """Read the header fields."""

    def read_content(self, raw: bytes) -> Content:
        """Read a whole message."""

    def subject_of(self, head: Head) -> str:
        """Return the decoded Subject."""
