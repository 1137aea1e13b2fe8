"""Removes old messages from our own folders, some hundred at a time (R30)."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Protocol

from worker.domain.erasure import Shelved
from worker.domain.messages import Arrival
from worker.domain.outcomes import Folder
from worker.filing import message_id_of
from worker.mime import read_head

_AT_ONCE = 200
"""Messages of one look. The time that a server takes to remove some grows with the folder, not with their number."""


class Shelves(Protocol):
    """The mailbox with its folders. Every method raises `Unavailable` when the server is down."""

    def first(self, folder: Folder, above: int, most: int) -> list[Arrival]:
        """Return the first messages with UIDs above that number; none where there is no such folder."""

    def remove(self, uids: Sequence[int], folder: Folder) -> None:
        """Delete messages of a folder."""


class Decisions(Protocol):
    """What the database knows of the messages in a folder."""

    def kept(self, messages: Collection[Shelved], since: datetime) -> set[Shelved]:
        """Return the messages that stay. Raises `Unavailable` when the database is down."""


def remove_old(
    shelves: Shelves, decisions: Decisions, folder: Folder, before: datetime, stop: Callable[[], bool]
) -> int:
    """Remove the messages of a folder that were decided before then, and return how many they were.

    A message that arrived before then and of which no decision is known goes too. The look ends at the first messages
    that are too young: they came into the folder in the order of their decisions.

    Raises:
        Unavailable: the mail server or the database is down.
    """
    above = removed = 0
    while not stop():
        arrivals = shelves.first(folder, above, _AT_ONCE)
        old = {arrival.uid: _shelved(arrival) for arrival in arrivals if arrival.arrived_at < before}
        if not old:
            return removed
        kept = decisions.kept(old.values(), before)
        going = sorted(uid for uid, message in old.items() if message not in kept)
        if going:
            shelves.remove(going, folder)
        removed += len(going)
        above = arrivals[-1].uid
    return removed


def _shelved(arrival: Arrival) -> Shelved:
    return Shelved(message_id_of(read_head(arrival.head)), arrival.size, arrival.arrived_at)
