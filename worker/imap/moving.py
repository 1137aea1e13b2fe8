"""Moving messages on any server: by MOVE (RFC 6851), else by what it stands for."""

from collections.abc import Collection

from worker.imap.copies import copied_before
from worker.imap.folders import put_into
from worker.imap.session import Session
from worker.imap.uidset import members, uid_sets

COPYING = "$BccDropboxCopying"
"""The keyword of a message that is about to be copied: when this process dies, the folder tells whether it was."""
COPIED = "$BccDropboxCopied"
"""The keyword of a message that stands in its folder already but could not be removed from the queue yet."""


def move(session: Session, uids: Collection[int], folder: str, copied: set[int]) -> None:
    """Move within the selected folder's server; UIDs that are gone are passed over in silence.

    ``copied`` remembers, between calls, what was copied and may still be there; it belongs to the selected folder.
    """
    if session.has("MOVE"):
        for uid_set in uid_sets(uids):
            put_into(session, "MOVE", uid_set, folder)
        return
    _copy_once(session, uids, folder, copied)
    remove(session, uids, copied)


def _copy_once(session: Session, uids: Collection[int], folder: str, copied: set[int]) -> None:
    r"""Never by \Deleted alone: that flag may be a person's, and what they flagged was not copied by us."""
    keeps_keywords = _keeps_keywords(session)
    for uid_set in uid_sets(_not_copied(session, uids, folder, copied)):
        if keeps_keywords:
            session.command("STORE", uid_set, "+FLAGS.SILENT", f"({COPYING})")
        put_into(session, "COPY", uid_set, folder)
        copied.update(members(uid_set))
        if keeps_keywords:
            session.command("STORE", uid_set, "+FLAGS.SILENT", f"({COPIED})")


def _not_copied(session: Session, uids: Collection[int], folder: str, copied: set[int]) -> set[int]:
    """The keywords outlive this process; ``copied`` serves where the server keeps none."""
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

    Without UIDPLUS there is only the EXPUNGE of all that is flagged: not while others have flagged something.

    What is then left stays flagged ``\Deleted``; the next move of the same UIDs copies nothing and tries again.
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
