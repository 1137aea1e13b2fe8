"""A message as the core sees it: its header fields in order, and what its body holds."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from worker.domain.mailboxes import MOST_FIELDS, MailboxList, read_mailboxes

LOOP_MARK = "X-BCC-Dropbox-Loop"
"""The field that every mail sent by this worker carries, so that it is never taken for correspondence (R23)."""


class Field(NamedTuple):
    """One header field: name in lower case, value unfolded, undecodable octets as U+FFFD, encoded words left alone."""

    name: str
    value: str

    def __repr__(self) -> str:
        return f"Field({self.name!r})"


@dataclass(frozen=True)
class Head:
    """Header fields, topmost first. ``is_complete`` is False when only the top of an overlong head was read."""

    fields: tuple[Field, ...]
    is_complete: bool = True

    def all(self, name: str) -> list[str]:
        """The values of every field of that name (lower case), topmost first."""
        return list(self._values.get(name, ()))

    def first(self, name: str) -> str:
        """The value of the topmost field of that name (lower case), or an empty string."""
        return next(iter(self._values.get(name, ())), "")

    @cached_property
    def addressees(self) -> MailboxList:
        """The To and Cc mailboxes in order, each once."""
        found = [read_mailboxes(value) for name in ("to", "cc") for value in self.all(name)[:MOST_FIELDS]]
        return MailboxList(
            tuple(dict.fromkeys(address for each in found for address in each.addresses)),
            tuple(fault for each in found for fault in each.faults),
        )

    @cached_property
    def _values(self) -> dict[str, list[str]]:
        """By name: the rules ask for the same few fields again and again."""
        values: dict[str, list[str]] = {}
        for name, value in self.fields:
            values.setdefault(name, []).append(value)
        return values


@dataclass(frozen=True, slots=True)
class Attachment:
    """Name, media type and decoded size in octets of one attachment."""

    name: str
    media_type: str
    size: int


@dataclass(frozen=True)
class Content:
    """What a whole message holds, decoded for lists and searches; its texts are free of controls (R20)."""

    head: Head
    raw: bytes = field(repr=False)
    subject: str
    message_id: str
    thread_id: str
    sent_at: datetime | None
    snippet: str = field(repr=False)
    attachments: tuple[Attachment, ...]
    body_digest: bytes

    @property
    def attachment_bytes(self) -> int:
        """What the attachments add up to, decoded (R21)."""
        return sum(attachment.size for attachment in self.attachments)

    @cached_property
    def fingerprint(self) -> bytes:
        """What makes two messages the same: Message-ID, From, Date, Subject and body together (R19).

        The first four octets are the time it was sent: new mail then lands at one edge of the unique index instead of
        all over it, which is what keeps filing fast beside millions of stored mails.
        """
        digest = hashlib.blake2b(self.body_digest, digest_size=20)
        for name in ("message-id", "from", "date", "subject"):
            for value in self.head.all(name):
                digest.update(b"\0" + name.encode() + b"\0" + " ".join(value.split()).encode("utf-8", "replace"))
        seconds = int(self.sent_at.timestamp()) if self.sent_at else 0
        return min(max(seconds, 0), 0xFFFFFFFF).to_bytes(4, "big") + digest.digest()


@dataclass(frozen=True, slots=True)
class Arrival:
    """What the mailbox tells of a message before its body is read.

    ``arrived_at`` is the server's INTERNALDATE (aware, UTC), ``size`` its RFC822.SIZE in octets, ``head`` the raw
    octets of the fields that were asked for, cut after a bound if they are overlong.
    """

    uid: int
    arrived_at: datetime
    size: int
    head: bytes = field(repr=False)
    head_is_complete: bool = True
