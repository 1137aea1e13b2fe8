"""Mail and events that leave: notices to owners, codes that prove a sender address, and webhooks."""

from worker.domain.servers import MailServer, Security
from worker.outgoing.letters import code_letter, notice_letter
from worker.outgoing.notifier import Notifier, Round
from worker.outgoing.post import Post, Undeliverable

__all__ = [
    "MailServer",
    "Notifier",
    "Post",
    "Round",
    "Security",
    "Undeliverable",
    "code_letter",
    "notice_letter",
]
