"""Where there is no MOVE and a process died in the midst of a COPY: which messages stand in the folder already."""

import hashlib
from collections import Counter
from collections.abc import Collection, Hashable, Iterator

from worker.imap.queue import fetch_each
from worker.imap.session import Session

_ITEMS = "(UID INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER])"
_AT_ONCE = 200
_OTHERS = 500
"""How many messages others may have put into the folder since the process died."""


def copied_before(session: Session, uids: Collection[int], folder: str) -> set[int]:
    """Those of the selected folder's messages whose copy is among the last of the other one.

    A COPY is done whole or not at all (RFC 9051 §6.4.7), and what was copied last stands last. The selected folder is
    selected again in the end.
    """
    if not uids or session.selected is None or session.count(folder) is None:
        return set()
    queue = session.selected.name
    begun = dict(_identities(session, uids))
    there = session.select(folder).messages
    last = session.search([f"{max(1, there - len(begun) - _OTHERS)}:*"]) if there else []
    copies = Counter(identity for _, identity in _identities(session, last))
    session.select(queue)
    found: set[int] = set()
    for uid, identity in begun.items():
        if copies[identity]:
            copies[identity] -= 1
            found.add(uid)
    return found


def _identities(session: Session, uids: Collection[int]) -> Iterator[tuple[int, Hashable]]:
    """By UID: what a copy has in common with its original."""
    ordered = sorted(uids)
    for first in range(0, len(ordered), _AT_ONCE):
        answers = fetch_each(lambda: session, ordered[first : first + _AT_ONCE], _ITEMS)
        for uid, answer in answers.items():
            head = answer.get(b"BODY[HEADER]")
            digest = hashlib.blake2b(head if isinstance(head, bytes) else b"").digest()
            yield uid, (answer.get(b"RFC822.SIZE"), answer.get(b"INTERNALDATE"), digest)
