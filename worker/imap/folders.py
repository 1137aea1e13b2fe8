"""Where our folders stand on this server, and that they are there before a message comes."""

from contextlib import suppress
from dataclasses import dataclass

from worker.domain.errors import Refused
from worker.domain.outcomes import Folder
from worker.imap.access import ImapAccess
from worker.imap.errors import SaidNo
from worker.imap.session import Session, folder_argument


@dataclass(frozen=True, slots=True)
class FolderReport:
    """One of our folders as `check` shows it; ``messages`` is None while there is no such folder."""

    name: str
    messages: int | None


def queue_folder(session: Session, access: ImapAccess) -> str:
    """INBOX is INBOX everywhere (RFC 9051 §5.1); any other name goes below the server's prefix.

    Raises:
        Refused: when it is one of our own folders: what is moved there would come back as new mail, for ever.
    """
    if access.folder.upper() == "INBOX":
        return "INBOX"
    name = _below(session.prefix(), access.folder)
    if name in {own_folder(session, folder) for folder in Folder}:
        raise Refused(f"{access.server}: {name} is where done mail is moved to, and cannot be where new mail arrives")
    return name


def own_folder(session: Session, folder: Folder) -> str:
    """The name on the server: Courier and Cyrus refuse one without their prefix."""
    return _below(session.prefix(), folder)


def put_into(session: Session, command: str, uid_set: str, folder: str) -> None:
    """COPY or MOVE; makes the folder if that is what was missing. Servers do not always say so by TRYCREATE."""
    try:
        session.command(command, uid_set, folder_argument(folder))
    except SaidNo:
        with suppress(SaidNo):  # it is there: full, read-only, or made by another worker just now
            session.create(folder)
        session.command(command, uid_set, folder_argument(folder))


def report(session: Session, access: ImapAccess) -> list[FolderReport]:
    """The queue and the three folders beside it."""
    names = [queue_folder(session, access), *(own_folder(session, folder) for folder in Folder)]
    return [FolderReport(name, session.count(name)) for name in names]


def _below(prefix: str, name: str) -> str:
    return str(name) if name.startswith(prefix) else prefix + name
