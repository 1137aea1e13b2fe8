"""Mail and events that leave: notices to owners, codes that prove a sender address, and webhooks."""

from worker.domain.servers import MailServer, Security
from worker.outgoing.letters import Notifier, Round, code_letter, notice_letter
from worker.outgoing.post import Post, Undeliverable

__all__ = ["MailServer", "Notifier", "Post", "Round", "Security", "Undeliverable", "code_letter", "notice_letter"]
