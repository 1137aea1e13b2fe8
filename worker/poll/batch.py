"""The batches of one poll, from waiting to fetched or failed; and the suspects, each of which is a batch of its own."""

import random
import traceback
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from worker.domain.errors import DropboxError, Unavailable
from worker.domain.messages import Arrival, Head
from worker.domain.ports import Known
from worker.domain.text import clean, without_tokens
from worker.domain.verdicts import Filing
from worker.filing import Candidate

STRIKES = 3
"""A message with so many failures of the code is quarantined."""

_LEAST_PIECE = 8
"""Messages: with fewer, a few large ones would cause a FETCH for each message behind them."""

_MOST_WITHHELD = 10
"""With more withheld messages in one poll, treat the server as down. The next poll begins with others."""

_MOST_FAILED = 10
"""With more failed messages and none filed, the program itself is broken, or something that it rests on."""


@dataclass(frozen=True, slots=True)
class Batch:
    """UIDs that are worked on together. If the process crashes on one that is ``alone``, its message gets a strike."""

    uids: tuple[int, ...]
    is_alone: bool = False
    strikes: int = 0
    """Of a suspect that was found so."""
    error: str = ""

    def halves(self) -> tuple["Batch", ...]:
        """Split a batch that failed, down to the one message that is worked alone."""
        if len(self.uids) == 1:
            return (Batch(self.uids, is_alone=True),)
        middle = len(self.uids) // 2
        return Batch(self.uids[:middle]), Batch(self.uids[middle:])


def batches_of(uids: Sequence[int], size: int) -> Iterator[Batch]:
    """Split UIDs into batches of so many."""
    return (Batch(tuple(uids[start : start + size])) for start in range(0, len(uids), size))


@dataclass(frozen=True, slots=True)
class ReadHead:
    """A message of which the head was read."""

    arrival: Arrival
    head: Head


@dataclass(frozen=True, slots=True)
class Fetched:
    """One batch as it was fetched and read: the rejections by the heads, and the candidates with their bodies."""

    batch: Batch
    gone: tuple[int, ...]
    rejections: tuple[Filing, ...]
    candidates: tuple[Candidate, ...] = field(repr=False)
    left_over: tuple[int, ...]
    """Their bodies did not fit into the batch."""
    alone: ReadHead | None = None
    """The head of the one message, if the batch is alone."""

    @property
    def uids(self) -> tuple[int, ...]:
        """The messages that were fetched, or found to be gone."""
        later = set(self.left_over)
        return tuple(uid for uid in self.batch.uids if uid not in later)

    @property
    def octets(self) -> int:
        """The size of all its bodies."""
        return sum(len(candidate.content.raw) for candidate in self.candidates)

    def rest(self) -> tuple[Batch, ...]:
        """Split what did not fit into pieces most of which will fit: each piece fetches its heads once more."""
        return tuple(batches_of(self.left_over, max(_LEAST_PIECE, 2 * len(self.candidates))))


@dataclass(frozen=True, slots=True)
class Failed:
    """A batch that the code failed on, or that the server withheld; without ``error`` it was not even tried."""

    batch: Batch
    error: Exception | None
    alone: ReadHead | None = None

    @property
    def uid(self) -> int:
        """The one message of a batch that is alone."""
        return self.batch.uids[0]

    @property
    def uids(self) -> tuple[int, ...]:
        """The messages of the batch."""
        return self.batch.uids

    def rest(self) -> tuple[Batch, ...]:
        """Split the batch, unless its message was alone."""
        return () if self.batch.is_alone else self.batch.halves()


class Todo:
    """The batches that wait for their turn; a batch that is put back goes first."""

    def __init__(self, batches: Iterable[Batch]) -> None:
        self._source = iter(batches)
        self._next: deque[Batch] = deque()

    def peek(self) -> Batch | None:
        """Return the next batch and leave it there."""
        if not self._next:
            self._next.extend(batch for batch in [next(self._source, None)] if batch)
        return self._next[0] if self._next else None

    def take(self) -> Batch | None:
        """Return the next batch."""
        return self._next.popleft() if self.peek() else None

    def put_back(self, batches: Sequence[Batch]) -> None:
        """Let these be the next ones, in their order."""
        self._next.extendleft(reversed(batches))


@dataclass(frozen=True, slots=True)
class Suspects:
    """The suspects of one poll, by UID, and the messages that failed in it."""

    batches: dict[int, Batch] = field(default_factory=dict)
    failed: dict[int, Failed] = field(default_factory=dict)
    """The code failed on these."""
    withheld: dict[int, Failed] = field(default_factory=dict)
    """The server did not give these."""

    def add(self, known: Known, silent: Iterable[int]) -> None:
        """Remember the suspects that the store knows, and those during whose fetch the server fell silent."""
        for uid in silent:
            self.batches[uid] = Batch((uid,), is_alone=True, error="the server fell silent")
        for uid, strikes in known.suspects.items():
            self.batches[uid] = Batch((uid,), is_alone=True, strikes=strikes, error=known.errors.get(uid, ""))

    def in_turn(self) -> Iterator[Batch]:
        """Return those with the fewest strikes first, so that a message that crashes the process comes last.

        After them come the withheld ones in random order: however many there are, each has its turn in some poll.
        """
        withheld = [batch for batch in self.batches.values() if batch.error and not batch.strikes]
        others = [batch for batch in self.batches.values() if batch.strikes or not batch.error]
        random.shuffle(withheld)
        yield from sorted(others, key=lambda batch: (batch.strikes, batch.uids))
        yield from withheld

    def add_failed(self, failed: Failed, *, has_progressed: bool) -> None:
        """Remember that the code failed on this message.

        Raises:
            Unavailable: it failed on too many.
        """
        self.failed[failed.uid] = failed
        if len(self.failed) > _MOST_FAILED and not has_progressed:
            text = f"this program fails on every message, at last with {error_text(failed)}"
            raise Unavailable(text) from failed.error

    def add_withheld(self, failed: Failed) -> None:
        """Remember that the server did not give this message.

        Raises:
            Unavailable: it withheld too many.
        """
        self.withheld[failed.uid] = failed
        if len(self.withheld) > _MOST_WITHHELD and failed.error:
            raise failed.error

    def outage(self, *, has_progressed: bool) -> Unavailable | None:
        """Return the last error if the server withheld several messages and gave none: then it is down."""
        if len(self.withheld) < 2 or has_progressed:  # noqa: PLR2004 - several
            return None
        last = list(self.withheld.values())[-1].error
        return last if isinstance(last, Unavailable) else None


def error_text(failed: Failed) -> str:
    """Describe the error on one line; return an empty text if the process crashed.

    A foreign error's own text may quote the mail, so only its place is given.
    """
    error = failed.error
    if error is None or isinstance(error, Unavailable):
        return str(error or failed.batch.error)
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({PurePath(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    text = str(error) if isinstance(error, DropboxError) else ""
    return without_tokens(clean(f"{type(error).__name__}{': ' if text else ''}{text}{place}", most=300))
