"""Messages in our own folders: moved back for a replay, removed with a person (R29) or when they are old (R30)."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from worker.domain.erasure import Shelved, WantedMail
from worker.domain.messages import Arrival, Head
from worker.domain.outcomes import Decided, Folder
from worker.domain.text import clean
from worker.filing import Rules, message_id_of, routed
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


class ReplayedShelves(Protocol):
    """The mailbox with its folders. Every method raises `Unavailable` when the server is down."""

    def messages(self, folder: Folder | None) -> Iterator[Arrival]:
        """Return all messages of one of our folders, or of the queue (None); none if there is no such folder."""

    def restore(self, uids: Sequence[int], folder: Folder) -> None:
        """Move messages out of one of our folders back into the queue."""


def replay(shelves: ReplayedShelves, wanted: Sequence[Decided]) -> list[Result]:
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


_NO_TOKEN: frozenset[int] = frozenset()

AccountsOf = Callable[[str], frozenset[int]]
"""Returns the account that a token was issued in, as a set that is empty for an unknown token."""


class Shelves(Protocol):
    """The mailbox with its folders. Every method raises `Unavailable` when the server is down."""

    def messages(self, folder: Folder | None) -> Iterator[Arrival]:
        """Return all messages of one of our folders, or of the queue (None); none if there is no such folder."""

    def remove(self, uids: list[int], folder: Folder | None) -> None:
        """Remove messages."""


class MailboxCopies:
    """The person's mail in one mailbox. Mail that came through another account's dropbox too stays."""

    def __init__(self, shelves: Shelves, rules: Rules, account_id: int, accounts_of: AccountsOf) -> None:
        self._shelves = shelves
        self._rules = rules
        self._account_id = account_id
        self._accounts_of = accounts_of

    def count(self, wanted: WantedMail) -> Mapping[str, int]:
        """Count the messages that would go, by folder."""
        return Counter({name: len(found) for name, _, found in self._found(wanted)})

    def remove(self, wanted: WantedMail) -> Mapping[str, int]:
        """Remove the messages and count them by folder.

        Raises:
            Unavailable: the mail server is down.
        """
        removed: Counter[str] = Counter()
        for name, folder, uids in self._found(wanted):
            self._shelves.remove(uids, folder)
            removed[name] = len(uids)
        return removed

    def _found(self, wanted: WantedMail) -> Iterator[tuple[str, Folder | None, list[int]]]:
        search = Search(dict(enumerate(wanted.decided)))
        for folder in (None, *Folder):
            arrivals = self._shelves.messages(folder)
            uids = [arrival.uid for arrival in arrivals if self._goes(arrival, wanted, search)]
            if uids:
                yield folder.value if folder else "queue", folder, uids

    def _goes(self, arrival: Arrival, wanted: WantedMail, search: Search) -> bool:
        head = read_head(arrival.head, is_complete=arrival.head_is_complete)
        if clean(head.first("message-id")) in wanted.kept:
            return False
        if not (wanted.person.takes_part_in(head) or search.places_of(arrival)):
            return False
        return self._is_of_no_other_account(head)

    def _is_of_no_other_account(self, head: Head) -> bool:
        tokens = routed(head, self._rules).tokens
        return _NO_TOKEN.union(*map(self._accounts_of, tokens)) <= {self._account_id}


_AT_ONCE = 200
"""Messages of one look. The time that a server takes to remove some grows with the folder, not with their number."""


class AgedShelves(Protocol):
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
    shelves: AgedShelves, decisions: Decisions, folder: Folder, before: datetime, stop: Callable[[], bool]
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
