"""The mails of `check --probe`: one to two secret addresses, with forged fields, and a few with a forged sender."""

from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime, make_msgid

from worker.domain.addresses import Address
from worker.domain.messages import LOOP_MARK
from worker.domain.routing import DEFAULT_TOKEN_HEADERS
from worker.domain.tokens import DropboxAddress, new_token
from worker.settings import Settings

_NOT_FORGED = frozenset({"received", "to", "cc"})
"""Received is written by itself; To and Cc are the sender's to write."""
FORGED_DOMAIN = "example.com"
"""The domain of the forged senders: reserved for examples (RFC 2606), with a DMARC record that says `reject`."""
_RESULT_IN_A_TAG = f"x=3B=20dmarc=3Dpass=20header.from=3D{FORGED_DOMAIN}=20header.z=3D"
"""A result, encoded as the i= of a signature may be. Some servers write it decoded into Authentication-Results."""


@dataclass(frozen=True, slots=True)
class Forgery:
    """A mail with a forged sender, in a shape that has fooled a mail server before, and its SMTP commands."""

    shape: str
    message_id: str
    letter: bytes
    mail_from: str
    helo: str


@dataclass(frozen=True, slots=True)
class Probe:
    """The parts of one probe. No user has any of its tokens: they are made for it and never issued."""

    dropbox: DropboxAddress
    sender: Address
    message_id: str
    canaries: tuple[str, str]
    forged: str
    """The token that only the forged fields name."""
    token_headers: tuple[str, ...]
    received_by: str | None
    authserv_id: str | None

    @classmethod
    def made(cls, settings: Settings, sender: Address) -> "Probe":
        """Return a new probe of the mail server in front of these settings."""
        return cls(
            settings.require_address(),
            sender,
            make_msgid("bcc-dropbox-probe", sender.domain),
            (new_token(), new_token()),
            new_token(),
            settings.token_headers,
            settings.received_by,
            settings.authserv_id,
        )

    @property
    def mark(self) -> str:
        """The end of the Message-ID of each mail of this probe."""
        return self.message_id.removeprefix("<")

    @property
    def recipients(self) -> list[str]:
        """The two addresses of the envelope."""
        return [self.dropbox.with_token(token) for token in self.canaries]

    def letter(self, now: datetime) -> bytes:
        """Return the whole message to both recipients."""
        forged = "".join(f"{field}\r\n" for field in self._forged_fields(now))
        return (forged + self._text(f"From: {self.sender}", self.message_id, now)).encode()

    def forgeries(self, now: datetime) -> list[Forgery]:
        """Return mails with a forged sender: by a tag of a DKIM signature, by MAIL FROM, and by HELO."""
        sender, domain = f"<{self.sender}>", self.sender.domain
        name, value = (self._signature(f"{tag}={_RESULT_IN_A_TAG}@{domain}") for tag in ("1i", "i"))
        shapes = [
            ("the name of a DKIM tag", name, sender, domain),
            ("the value of a DKIM tag", value, sender, domain),
            ("MAIL FROM", "", f'<"probe@{FORGED_DOMAIN}"@{domain}>', domain),
            ("MAIL FROM", "", f"<probe@{FORGED_DOMAIN}(@{domain}>", domain),
            ("HELO", "", "<>", f"{FORGED_DOMAIN}(.{domain}"),
            ("HELO", "", "<>", f"{FORGED_DOMAIN}/.{domain}"),
        ]
        return [self._forgery(number, now, *shape) for number, shape in enumerate(shapes)]

    def _forgery(  # noqa: PLR0913, PLR0917 - what a forgery is made of
        self, number: int, now: datetime, shape: str, signature: str, mail_from: str, helo: str
    ) -> Forgery:
        message_id = f"<{number}.{self.mark}"
        letter = signature + self._text(f"From: probe@{FORGED_DOMAIN}", message_id, now)
        return Forgery(shape, message_id, letter.encode(), mail_from, helo)

    def _signature(self, tag: str) -> str:
        """Write a signature that is not right: some servers report its tags nevertheless."""
        return (
            f"DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d={self.sender.domain}; s=bcc-dropbox-probe;\r\n"
            f" {tag};\r\n h=from; bh={b64encode(bytes(32)).decode()}; b={b64encode(bytes(256)).decode()}\r\n"
        )

    def _forged_fields(self, now: datetime) -> list[str]:
        """Return the fields that a forger would put on top. The worst look most like those of our own server."""
        address = self.dropbox.with_token(self.forged)
        ours = self.received_by or self.dropbox.base.domain
        names = dict.fromkeys(
            name for name in (*self.token_headers, *DEFAULT_TOKEN_HEADERS) if name.lower() not in _NOT_FORGED
        )
        verdict = f"dmarc=pass reason={self.forged} header.from={self.sender.domain}"
        return [
            f"Received: from {ours} by {ours}\r\n with ESMTP id probe\r\n for <{address}>; {format_datetime(now)}",
            *(f"{name}: {address}" for name in names),
            f"Authentication-Results: {self.authserv_id or ours};\r\n {verdict}",
        ]

    def _text(self, sender: str, message_id: str, now: datetime) -> str:
        fields = [
            sender,
            f"To: {self.sender}",
            "Subject: Probe of the BCC dropbox",
            f"Date: {format_datetime(now)}",
            f"Message-ID: {message_id}",
            "Auto-Submitted: auto-generated",
            f"{LOOP_MARK}: probe",
        ]
        text = "Sent by `bcc-dropbox check --probe`, which takes it out of the mailbox again. It may be deleted."
        return "\r\n".join([*fields, "", text, ""])
