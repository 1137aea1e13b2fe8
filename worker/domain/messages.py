"""A message as the core sees it: header fields in order, what its body holds, and other people's mail in it (R28)."""

import hashlib
from collections.abc import Callable, KeysView
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from worker.domain.address_lists import MOST_FIELDS, AddressList, joined, read_recipients

LOOP_MARK = "X-BCC-Dropbox-Loop"
"""The field that every mail sent by this worker carries, so that it is never taken for correspondence (R23)."""


class Field(NamedTuple):
    """One header field: name in lower case, value unfolded, encoded words left alone."""

    name: str
    value: str
    """Bytes that are no UTF-8 are U+FFFD: what is decided by the value rests on no guess."""
    guess: str | None = None
    """Where the value has such bytes: the value as windows-1252, which is likely right for text that people read."""

    def __repr__(self) -> str:
        return f"Field({self.name!r})"


@dataclass(frozen=True)
class Head:
    """Header fields, topmost first. ``is_complete`` is False when only the top of an overlong head was read."""

    fields: tuple[Field, ...]
    is_complete: bool = True

    def all(self, name: str) -> list[str]:
        """Return the values of every field of that name (lower case), topmost first."""
        return [each.value for each in self._by_name.get(name, ())]

    def first(self, name: str) -> str:
        """Return the value of the topmost field of that name (lower case), or an empty string."""
        return self._by_name[name][0].value if name in self._by_name else ""

    @property
    def names(self) -> KeysView[str]:
        """The names of the fields, in lower case."""
        return self._by_name.keys()

    def text(self, name: str) -> str:
        """Return the topmost value of that name (lower case) as people read it, or an empty string."""
        return next((each.guess or each.value for each in self._by_name.get(name, ())), "")

    @cached_property
    def addressees(self) -> AddressList:
        """The To and Cc addresses in order, each once."""
        return joined(
            [
                read_recipients(each.guess).in_ascii() if each.guess else read_recipients(each.value)
                for name in ("to", "cc")
                for each in self._by_name.get(name, ())[:MOST_FIELDS]
            ]
        )

    @cached_property
    def _by_name(self) -> dict[str, list[Field]]:
        """The fields by name: the rules ask for the same few fields again and again."""
        by_name: dict[str, list[Field]] = {}
        for each in self.fields:
            by_name.setdefault(each.name, []).append(each)
        return by_name


@dataclass(frozen=True, slots=True)
class Attachment:
    """Name, media type and decoded size in bytes of one attachment."""

    name: str
    media_type: str
    size: int


@dataclass(frozen=True)
class Content:
    """The content of a whole message, decoded for lists and searches; its texts are free of controls (R20)."""

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
        """The decoded bytes of all attachments together (R21)."""
        return sum(attachment.size for attachment in self.attachments)

    @cached_property
    def fingerprint(self) -> bytes:
        """A digest of what makes two messages the same: Message-ID, From, Date, Subject and body together (R19).

        The first four bytes are the time it was sent: new mail then lands at one edge of the unique index instead of
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
    """A message as the mailbox describes it before its body is read.

    ``arrived_at`` is the server's INTERNALDATE (aware, UTC), ``size`` its RFC822.SIZE in bytes, ``head`` the raw
    bytes of the fields that were asked for, cut after a bound if they are overlong.
    """

    uid: int
    arrived_at: datetime
    size: int
    head: bytes = field(repr=False)
    head_is_complete: bool = True


MOST_ORIGINALS = 50
"""How many attached mails of one forward are filed."""


class Forwards(StrEnum):
    """The forwards that are filed: all, only mails that are attached, or none."""

    ALL = "all"
    ATTACHED = "attached"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Original:
    """A mail that is attached, byte for byte, and the mails that are attached to it in turn."""

    content: Content
    inner: tuple[Content, ...] = ()


@dataclass(frozen=True, slots=True)
class Carried:
    """The texts of a mail, which are alternatives of each other, and the mails that are attached to it."""

    texts: tuple[str, ...] = field(default=(), repr=False)
    originals: tuple[Original, ...] = ()
    left_out: int = 0
    """Attached mails that cannot be taken out byte for byte, and those above `MOST_ORIGINALS`."""

    @property
    def has_originals(self) -> bool:
        """True when any mail is attached."""
        return bool(self.originals) or self.left_out > 0


ReadCarried = Callable[[Content], Carried]
