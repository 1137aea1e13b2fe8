"""Name the worker's folders on this server, and create them when they are missing."""

from contextlib import suppress
from dataclasses import dataclass

from worker.domain.errors import Refused
from worker.domain.outcomes import Folder
from worker.domain.servers import ImapAccess
from worker.imap.errors import SaidNo
from worker.imap.session import Session, folder_argument


@dataclass(frozen=True, slots=True)
class FolderReport:
    """A folder as `check` shows it; ``messages`` is None when the folder does not exist."""

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


def put_into(session: Session, command: str, uid_set: str, folder: str) -> None:
    """COPY or MOVE; creates the folder if that fails. Not every server says TRYCREATE when it is missing.

    Raises:
        Unavailable: the mail server is down, or does not do what it should.
    """
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
