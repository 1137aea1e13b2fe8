"""Removes a person's mail from the queue and from our folders (R29)."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from worker.domain.erasure import WantedMail
from worker.domain.messages import Arrival, Head
from worker.domain.outcomes import Folder
from worker.domain.text import clean
from worker.filing import Rules, routed
from worker.mime import read_head
from worker.poll.replay import Search

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
