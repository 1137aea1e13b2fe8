"""Move messages: by MOVE (RFC 6851), or by COPY, STORE and EXPUNGE on servers without it."""

import hashlib
from collections import Counter
from collections.abc import Collection, Hashable, Iterator

from worker.imap.folders import put_into
from worker.imap.queue import fetch_each
from worker.imap.session import Session
from worker.imap.uidset import members, uid_sets

COPYING = "$BccDropboxCopying"
"""Keyword of a message that is about to be copied: after a crash, the folder shows whether it was."""
COPIED = "$BccDropboxCopied"
"""Keyword of a message that was copied but not yet removed from the queue."""


def move(session: Session, uids: Collection[int], folder: str, copied: set[int]) -> None:
    """Move messages of the selected folder; removed UIDs are ignored.

    ``copied`` keeps between calls the UIDs of this folder that were copied and may still be there.

    Raises:
        Unavailable: the mail server is down, or does not do what it should.
    """
    if session.has("MOVE"):
        for uid_set in uid_sets(uids):
            put_into(session, "MOVE", uid_set, folder)
        return
    _copy_once(session, uids, folder, copied)
    remove(session, uids, copied)


def _copy_once(session: Session, uids: Collection[int], folder: str, copied: set[int]) -> None:
    r"""Copy each message once. Does not rely on \Deleted: a person may have set that flag."""
    keeps_keywords = _keeps_keywords(session)
    for uid_set in uid_sets(_not_copied(session, uids, folder, copied)):
        if keeps_keywords:
            session.command("STORE", uid_set, "+FLAGS.SILENT", f"({COPYING})")
        put_into(session, "COPY", uid_set, folder)
        copied.update(members(uid_set))
        if keeps_keywords:
            session.command("STORE", uid_set, "+FLAGS.SILENT", f"({COPIED})")


def _not_copied(session: Session, uids: Collection[int], folder: str, copied: set[int]) -> set[int]:
    """Return the UIDs to copy. Keywords survive a crash; ``copied`` is for servers that keep none."""
    fresh = set(uids) - copied
    if _keeps_keywords(session):
        begun: set[int] = set()
        for uid_set in uid_sets(fresh):
            fresh.difference_update(session.search(["UID", uid_set, "KEYWORD", COPIED]))
            begun.update(session.search(["UID", uid_set, "KEYWORD", COPYING]))
        fresh -= copied_before(session, fresh & begun, folder)
    return fresh


def remove(session: Session, uids: Collection[int], copied: set[int]) -> None:
    r"""Remove messages from the selected folder.

    Without UIDPLUS, EXPUNGE removes every message with ``\Deleted``, so it is not sent while others have set that flag.
    The messages then keep the flag; the next move of the same UIDs copies nothing and tries again.

    Raises:
        Unavailable: the mail server is down, or does not do what it should.
    """
    for uid_set in uid_sets(uids):
        session.command("STORE", uid_set, "+FLAGS.SILENT", r"(\Deleted)")
    if session.has("UIDPLUS"):
        for uid_set in uid_sets(uids):
            session.command("EXPUNGE", uid_set)
        copied.difference_update(uids)
    elif not _flagged_by_others(session, uids, copied):
        session.expunge_all()
        copied.clear()


def _flagged_by_others(session: Session, uids: Collection[int], copied: set[int]) -> bool:
    criteria = ["DELETED"]
    if _keeps_keywords(session):
        criteria += ["UNKEYWORD", COPIED]
    return bool(set(session.search(criteria)) - set(uids) - copied)


def _keeps_keywords(session: Session) -> bool:
    return session.selected is not None and session.selected.keeps_keywords


_ITEMS = "(UID INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER])"
_AT_ONCE = 200
_OTHERS = 500
"""Messages that others may have put into the folder since the crash."""


def copied_before(session: Session, uids: Collection[int], folder: str) -> set[int]:
    """Return the UIDs in the selected folder whose copy is among the last messages of ``folder``.

    A COPY is done completely or not at all (RFC 9051 §6.4.7), and copies are the last messages of a folder. At the
    end the first folder is selected again.

    Raises:
        Unavailable: the mail server is down, or does not do what it should.
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
    """Return for each UID the properties that a copy shares with its original."""
    ordered = sorted(uids)
    for first in range(0, len(ordered), _AT_ONCE):
        answers = fetch_each(lambda: session, ordered[first : first + _AT_ONCE], _ITEMS)
        for uid, answer in answers.items():
            head = answer.get(b"BODY[HEADER]")
            digest = hashlib.blake2b(head if isinstance(head, bytes) else b"").digest()
            yield uid, (answer.get(b"RFC822.SIZE"), answer.get(b"INTERNALDATE"), digest)
