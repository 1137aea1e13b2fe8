"""Mail that goes out: word to owners about mail that was not filed, and the codes that prove a sender address."""

from worker.domain.mail_server import MailServer, Security
from worker.mail.letters import code_letter, notice_letter
from worker.mail.notifier import Notifier, Round
from worker.mail.post import Post, Undeliverable

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
