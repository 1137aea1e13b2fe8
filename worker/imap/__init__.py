"""The IMAP mailbox: reading the queue, moving what is done, hearing of new mail."""

from worker.imap.access import ImapAccess, Mechanism, Tls
from worker.imap.folders import FolderReport
from worker.imap.idle import IdleState, IdleWatch
from worker.imap.imap import Backlog, ImapMailbox

__all__ = ["Backlog", "FolderReport", "IdleState", "IdleWatch", "ImapAccess", "ImapMailbox", "Mechanism", "Tls"]
