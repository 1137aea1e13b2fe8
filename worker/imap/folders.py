"""The worker's folders on this server: named and made, their UIDs and messages read, messages moved between them."""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby

from worker.domain.errors import Refused, Unavailable, Withheld
from worker.domain.outcomes import Folder
from worker.domain.servers import ImapAccess
from worker.imap.answers import Answer
from worker.imap.connection import ConnectionLost, SaidNo, Unreadable
from worker.imap.session import Session, folder_argument

MOST_CHARACTERS = 6000
"""Longest set. Some servers drop the connection at a command of 16 KB; RFC 7162 §4 guarantees 8 KB."""


def uid_sets(uids: Collection[int], most_characters: int = MOST_CHARACTERS) -> Iterator[str]:
    """Write the UIDs as ranges, ascending, in as few sets as fit into commands."""
    held: list[str] = []
    length = 0
    for piece in _ranges(uids):
        if held and length + len(piece) + 1 > most_characters:
            yield ",".join(held)
            held, length = [], 0
        held.append(piece)
        length += len(piece) + 1
    if held:
        yield ",".join(held)


def members(uid_set: str) -> Iterator[int]:
    """Return the UIDs in a set, ascending as `uid_sets` writes them."""
    for piece in uid_set.split(","):
        first, _, last = piece.partition(":")
        yield from range(int(first), int(last or first) + 1)


def _ranges(uids: Collection[int]) -> Iterator[str]:
    for _, run in groupby(enumerate(sorted(set(uids))), key=lambda placed: placed[1] - placed[0]):
        consecutive = [uid for _, uid in run]
        first, last = consecutive[0], consecutive[-1]
        yield f"{first}:{last}" if last > first else str(first)


@dataclass(frozen=True, slots=True)
class FolderReport:
    """A folder as `check` shows it; without a number of ``messages`` it does not exist."""

    name: str
    messages: int | None


def queue_folder(session: Session, access: ImapAccess) -> str:
    """Return the queue's name: INBOX is the same on all servers (RFC 9051 §5.1), other names get the server's prefix.

    Raises:
        Refused: when it is one of the worker's own folders: filed mail would come back as new mail, again and again.
    """
    if access.folder.upper() == "INBOX":
        return "INBOX"
    name = _below(session.prefix(), access.folder)
    if name in {own_folder(session, folder) for folder in Folder}:
        raise Refused(f"{access.server}: {name} is where done mail is moved to, and cannot be where new mail arrives")
    return name


def own_folder(session: Session, folder: Folder) -> str:
    """Return the folder's name on the server: Courier and Cyrus refuse a name without their prefix."""
    return _below(session.prefix(), folder)


def _put_into(session: Session, command: str, uid_set: str, folder: str) -> None:
    """Copy or move messages; create the folder if that fails. Not every server says TRYCREATE when it is missing."""
    try:
        session.command(command, uid_set, folder_argument(folder))
    except SaidNo:
        with suppress(SaidNo):  # it exists: it is full or read-only, or another worker has just created it
            session.create(folder)
        session.command(command, uid_set, folder_argument(folder))


def report(session: Session, access: ImapAccess) -> list[FolderReport]:
    """Return the queue and the worker's own folders.

    Raises:
        Unavailable: the mail server is down, or does not do what it should.
    """
    names = [queue_folder(session, access), *(own_folder(session, folder) for folder in Folder)]
    return [FolderReport(name, session.count(name)) for name in names]


def _below(prefix: str, name: str) -> str:
    return str(name) if name.startswith(prefix) else prefix + name


_WIDEST = 50_000
"""Messages per SEARCH: imaplib accepts lines up to one megabyte, and a UID takes up to eleven bytes."""
_MOST_FAILURES = 100
"""FETCHes that may fail in one call before the server counts as broken."""
_MOST_LOST = 20
"""Lost connections per call: enough to find one message among thousands at which the server hangs up."""


def uids_above(session: Session, above: int, most: int) -> list[int]:
    """Return the first ``most`` UIDs above ``above``; searches by sequence numbers, which have no gaps.

    Raises:
        Unavailable: the mail server is down, or does not do what it should.
    """
    found: list[int] = []
    first, width = 1, min(most, _WIDEST)
    while first <= session.present() and len(found) < most:
        floor = found[-1] if found else above
        last = first + width - 1
        window = f"{first}:{last}" if last < session.present() else f"{first}:*"
        told = session.expunged()
        # floor + 1:* always names the last message, also when its UID is lower (RFC 9051 §9, seq-range).
        answer = session.search([window, "UID", f"{floor + 1}:*"] if floor else [window])
        found += [uid for uid in answer if uid > floor]
        first = max(1, last + 1 - (session.expunged() - told))  # later messages have moved up
        width = min(width * 2, _WIDEST)
    return found[:most]


def fetch_each(
    session: Callable[[], Session], uids: Collection[int], items: str, given: Mapping[int, Answer] | None = None
) -> dict[int, Answer]:
    """Fetch all with one FETCH; if that fails, halve the set again and again until the bad message is alone.

    The bad message is absent from the result. ``session`` returns a live session with the queue selected. Answers that
    are ``given`` are not asked for again.

    Raises:
        Withheld: when the server refuses or hangs up and sends nothing at all.
    """
    answers = dict(given or {})
    failures = lost = 0
    missing = sorted(set(uids) - answers.keys())
    waiting: list[Sequence[int]] = [missing] if missing else []
    while waiting:
        part = waiting.pop()
        failure = _fetch(session(), part, items, answers)
        if failure is None:
            continue
        failures += 1
        lost += isinstance(failure, ConnectionLost)
        if failures > _MOST_FAILURES or lost > _MOST_LOST:
            raise failure
        rest = [uid for uid in part if uid not in answers]
        if 0 < len(rest) < len(part):
            waiting.append(rest)
        elif len(rest) > 1:
            waiting += [rest[len(rest) // 2 :], rest[: len(rest) // 2]]
        elif rest and not waiting and not answers and isinstance(failure, Withheld):
            raise failure
    return answers


def _fetch(session: Session, uids: Sequence[int], items: str, answers: dict[int, Answer]) -> Unavailable | None:
    """Fetch the UIDs into ``answers``; return the failure that kept some of them out."""
    wanted = set(uids)
    refused: SaidNo | None = None
    for uid_set in uid_sets(uids):
        try:
            fetched = session.fetch(uid_set, items)
        except (Unreadable, ConnectionLost) as error:
            return error
        # Other UIDs are unsolicited answers.
        answers.update((uid, answer) for uid, answer in fetched.answers.items() if uid in wanted)
        refused = refused or fetched.refused
    return refused


_COPYING = "$BccDropboxCopying"
"""Keyword of a message that is about to be copied: after a crash, the folder shows whether it was."""
_COPIED = "$BccDropboxCopied"
"""Keyword of a message that was copied but not yet removed from the queue."""


def move(session: Session, uids: Collection[int], folder: str, copied: set[int]) -> None:
    """Move messages of the selected folder; removed UIDs are ignored.

    ``copied`` keeps between calls the UIDs of this folder that were copied and may still be there.

    Raises:
        Unavailable: the mail server is down, or does not do what it should.
    """
    if session.has("MOVE"):
        for uid_set in uid_sets(uids):
            _put_into(session, "MOVE", uid_set, folder)
        return
    _copy_once(session, uids, folder, copied)
    remove(session, uids, copied)


def _copy_once(session: Session, uids: Collection[int], folder: str, copied: set[int]) -> None:
    r"""Copy each message once. Does not rely on \Deleted: a person may have set that flag."""
    keeps_keywords = _keeps_keywords(session)
    for uid_set in uid_sets(_not_copied(session, uids, folder, copied)):
        if keeps_keywords:
            session.command("STORE", uid_set, "+FLAGS.SILENT", f"({_COPYING})")
        _put_into(session, "COPY", uid_set, folder)
        copied.update(members(uid_set))
        if keeps_keywords:
            session.command("STORE", uid_set, "+FLAGS.SILENT", f"({_COPIED})")


def _not_copied(session: Session, uids: Collection[int], folder: str, copied: set[int]) -> set[int]:
    """Return the UIDs to copy. Keywords survive a crash; ``copied`` is for servers that keep none."""
    fresh = set(uids) - copied
    if _keeps_keywords(session):
        begun: set[int] = set()
        for uid_set in uid_sets(fresh):
            fresh.difference_update(session.search(["UID", uid_set, "KEYWORD", _COPIED]))
            begun.update(session.search(["UID", uid_set, "KEYWORD", _COPYING]))
        fresh -= _copied_before(session, fresh & begun, folder)
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
        criteria += ["UNKEYWORD", _COPIED]
    return bool(set(session.search(criteria)) - set(uids) - copied)


def _keeps_keywords(session: Session) -> bool:
    return session.selected is not None and session.selected.keeps_keywords


_ITEMS = "(UID INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER])"
_AT_ONCE = 200
_OTHERS = 500
"""Messages that others may have put into the folder since the crash."""


def _copied_before(session: Session, uids: Collection[int], folder: str) -> set[int]:
    """Return the UIDs in the selected folder whose copy is among the last messages of ``folder``.

    A COPY is done completely or not at all (RFC 9051 §6.4.7), and copies are the last messages of a folder. At the
    end the first folder is selected again.

    Raises:
        Unavailable: the mail server is down, or does not do what it should, or the first folder was created again.
    """
    if not uids or session.selected is None or session.count(folder) is None:
        return set()
    queue = session.selected
    begun = dict(_identities(session, uids))
    there = session.select(folder).messages
    try:
        last = session.search([f"{max(1, there - len(begun) - _OTHERS)}:*"]) if there else []
        copies = Counter(identity for _, identity in _identities(session, last))
    finally:
        session.selected = None  # whatever fails, nobody takes this folder for the queue
    if session.select(queue.name).uidvalidity != queue.uidvalidity:
        raise Unavailable(f"the folder {queue.name} was created again")
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
