"""Mail for the demo, with Delivered-To on top as the mail server would write it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

MAIL_SERVER = "mx.drop.example"


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail of a sales person; ``dropboxes`` are the Bcc recipients."""

    sender: str
    to: str
    subject: str
    dropboxes: tuple[str, ...]
    text: str = "Hello,\n\nas discussed on the phone.\n\nBest regards\n"
    cc: str = ""
    message_id: str = ""
    in_reply_to: str = ""
    attachment: tuple[str, bytes] | None = None
    extra: dict[str, str] = field(default_factory=dict)

    def as_delivered(self) -> bytes:
        """Return the message as the mailbox holds it; two dropboxes in one Bcc share this copy."""
        message = EmailMessage()
        message["From"] = self.sender
        message["To"] = self.to
        if self.cc:
            message["Cc"] = self.cc
        message["Subject"] = self.subject
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = self.message_id or make_msgid(domain="acme.example")
        if self.in_reply_to:
            message["In-Reply-To"] = message["References"] = self.in_reply_to
        for name, value in self.extra.items():
            message[name] = value
        message.set_content(self.text)
        if self.attachment:
            name, content = self.attachment
            message.add_attachment(content, maintype="application", subtype="pdf", filename=name)
        envelope = f"Delivered-To: {', '.join(self.dropboxes)}\r\n".encode()
        domain = self.sender.rpartition("@")[2].rstrip(">")
        stamp = f"Authentication-Results: {MAIL_SERVER}; dkim=pass header.d={domain}\r\n".encode()
        received = f"Received: from mail.acme.example by {MAIL_SERVER} with ESMTPS; {message['Date']}\r\n".encode()
        return envelope + stamp + received + message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
