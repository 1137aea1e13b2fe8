"""The IMAP mailbox: reading the queue, moving what is done, hearing of new mail."""

from worker.mailbox.access import ImapAccess, Mechanism, Tls
from worker.mailbox.folders import FolderReport
from worker.mailbox.idle import IdleState, IdleWatch
from worker.mailbox.imap import Backlog, ImapMailbox

__all__ = ["Backlog", "FolderReport", "IdleState", "IdleWatch", "ImapAccess", "ImapMailbox", "Mechanism", "Tls"]
