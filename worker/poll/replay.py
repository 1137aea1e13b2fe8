"""Moves messages back into the queue, where the present rules decide on them again.

In its folder a message has another UID than it had in the queue. It is found by what no move changes: its size, and its
Message-ID or else its time of arrival. Copies that these do not tell apart go back together, which is harmless: what is
filed already is not filed twice (R19).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from worker.domain.messages import Arrival
from worker.domain.outcomes import Decided, Folder
from worker.domain.text import clean
from worker.mime import read_head

_ARRIVAL_SECONDS = 1.0
"""Two times of one arrival may differ by this much: INTERNALDATE has no fractions."""


class Result(StrEnum):
    """What became of one message that a person asked to replay."""

    RESTORED = "restored"
    """Moved back into the queue."""
    WAITING = "waiting"
    """Found in the queue already: the next poll decides."""
    KEPT = "kept"
    """Left alone: it is filed for each of its owners."""
    MISSING = "missing"
    """Not found: somebody has moved or deleted it."""


class Shelves(Protocol):
    """The mailbox with its folders. Every method raises `Unavailable` when the server is down."""

    def messages(self, folder: Folder | None) -> Iterator[Arrival]:
        """Return all messages of one of our folders, or of the queue (None); none if there is no such folder."""

    def restore(self, uids: Sequence[int], folder: Folder) -> None:
        """Move messages out of one of our folders back into the queue."""


def replay(shelves: Shelves, wanted: Sequence[Decided]) -> list[Result]:
    """Move the messages back; return what became of each, in the same order. A second call changes nothing.

    Raises:
        Unavailable: the mail server is down.
    """
    results = {place: Result.KEPT for place, message in enumerate(wanted) if message.is_filed_for_all}
    for folder in Folder:
        sought = {
            place: message
            for place, message in enumerate(wanted)
            if place not in results and message.outcome.folder is folder
        }
        found = _found(shelves.messages(folder), sought) if sought else {}
        shelves.restore(sorted({uid for uids in found.values() for uid in uids}), folder)
        results |= dict.fromkeys(found, Result.RESTORED)
    lost = {place: message for place, message in enumerate(wanted) if place not in results}
    results |= dict.fromkeys(_found(shelves.messages(None), lost) if lost else {}, Result.WAITING)
    return [results.get(place, Result.MISSING) for place in range(len(wanted))]


def _found(arrivals: Iterable[Arrival], sought: Mapping[int, Decided]) -> dict[int, list[int]]:
    """Return the UIDs that fit, by the place of the message in ``sought``."""
    search = Search(sought)
    found: defaultdict[int, list[int]] = defaultdict(list)
    for arrival in arrivals:
        for place in search.places_of(arrival):
            found[place].append(arrival.uid)
    return found


class Search:
    """Decided messages, each at a place, that are looked for among the messages of a folder."""

    def __init__(self, sought: Mapping[int, Decided]) -> None:
        self._by_size: defaultdict[int, dict[int, Decided]] = defaultdict(dict)
        for place, message in sought.items():
            self._by_size[message.size][place] = message

    def places_of(self, arrival: Arrival) -> list[int]:
        """Return the places of the decided messages that this one may be."""
        candidates = self._by_size.get(arrival.size)
        if not candidates:
            return []
        message_id = clean(read_head(arrival.head).first("message-id"))
        return [place for place, message in candidates.items() if _is_same(arrival, message_id, message)]


def _is_same(arrival: Arrival, message_id: str, message: Decided) -> bool:
    if message.message_id:
        return message_id.startswith(message.message_id)
    return abs((arrival.arrived_at - message.arrived_at).total_seconds()) < _ARRIVAL_SECONDS
