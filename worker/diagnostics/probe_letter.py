"""The mail of `check --probe`: two secret addresses in its envelope, and in its head all that a forger would write."""

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


@dataclass(frozen=True, slots=True)
class Probe:
    """What one probe consists of. No user has any of its tokens: they are made for it and never issued."""

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
        """A probe of the mail server in front of these settings."""
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
    def recipients(self) -> list[str]:
        """The two addresses of the envelope."""
        return [self.dropbox.with_token(token) for token in self.canaries]

    def letter(self, now: datetime) -> bytes:
        """The whole message."""
        fields = [
            *self._forged_fields(now),
            f"From: {self.sender}",
            f"To: {self.sender}",
            "Subject: Probe of the BCC dropbox",
            f"Date: {format_datetime(now)}",
            f"Message-ID: {self.message_id}",
            "Auto-Submitted: auto-generated",
            f"{LOOP_MARK}: probe",
        ]
        text = "Sent by `bcc-dropbox check --probe`, which takes it out of the mailbox again. It may be deleted."
        return "\r\n".join([*fields, "", text, ""]).encode()

    def _forged_fields(self, now: datetime) -> list[str]:
        """As they would stand on top of a forger's mail: the worst is what looks most like our own server's."""
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
