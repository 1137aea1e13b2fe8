"""The IMAP mailbox: read the queue, move what is done, watch for new mail."""

from worker.domain.servers import ImapAccess, Mechanism, Tls
from worker.imap.folders import FolderReport
from worker.imap.idle import IdleState, IdleWatch
from worker.imap.mailbox import Backlog, ImapMailbox

__all__ = ["Backlog", "FolderReport", "IdleState", "IdleWatch", "ImapAccess", "ImapMailbox", "Mechanism", "Tls"]
