"""Mail that goes out: word to owners about mail that was not filed, and the codes that prove a sender address."""

from worker.domain.mail_server import MailServer, Security
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
