"""Keeping and forgetting: how long mail is kept (R30), and who is erased from where (R29)."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Self

from worker.domain.address_lists import read_recipients
from worker.domain.decoding import decode_words
from worker.domain.messages import Head
from worker.domain.outcomes import Decided

NAMING_FIELDS = ("from", "to", "cc", "bcc", "reply-to", "sender", "return-path")
"""The header fields, in lower case, whose addresses take part in a mail."""
_ERASED = "[erased]"
"""What replaces the address in the subject and snippet of other people's mail."""


@dataclass(frozen=True)
class Person:
    """The addresses of the person who is erased, as address keys."""

    keys: frozenset[str]

    def is_named_in(self, texts: Iterable[str]) -> bool:
        """Tell whether one of the texts holds one of the addresses, in whatever spelling or encoding."""
        return bool(self.keys) and any(self._is_in(text) for text in texts)

    def takes_part_in(self, head: Head) -> bool:
        """Tell whether one of the address fields names the person."""
        return self.is_named_in(value for name in NAMING_FIELDS for value in head.all(name))

    def struck_out(self, text: str) -> str:
        """Return the text with each of the addresses replaced."""
        return self._pattern.sub(_ERASED, text)

    def _is_in(self, text: str) -> bool:
        if self._pattern.search(text) or ("=?" in text and self._pattern.search(decode_words(text))):
            return True
        return "@" in text and not self.keys.isdisjoint(each.key for each in read_recipients(text).addresses)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        spellings = sorted({spelling for key in self.keys for spelling in _spellings(key)})
        return re.compile(rf"(?<![\w.+-])(?:{'|'.join(map(re.escape, spellings))})(?![\w-]|\.\w)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class WantedMail:
    """The copies in the mailbox's folders that go: mail of the person, and messages of these decisions."""

    person: Person
    decided: Sequence[Decided]
    kept: frozenset[str]
    """Message-IDs of emails that stay, because they are other people's too."""


def texts_in(value: Any) -> Iterator[str]:
    """Yield every text within a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts_in(each)


def _spellings(key: str) -> Iterator[str]:
    """Yield the address as it is compared and, for an IDNA domain, as people write it."""
    yield key
    local, _, domain = key.rpartition("@")
    if "xn--" in domain:
        yield f"{local}@{'.'.join(map(_u_label, domain.split('.')))}"


def _u_label(label: str) -> str:
    try:
        return label[4:].encode("ascii").decode("punycode") if label.startswith("xn--") else label
    except UnicodeError:
        return label


@dataclass(frozen=True, slots=True)
class Bounds:
    """The moments before which decisions, events and emails are removed; None keeps them for ever."""

    rejected: datetime | None
    events: datetime | None
    emails: datetime | None

    @classmethod
    def at(cls, now: datetime, *, rejected: int | None, events: int | None, emails: int | None) -> Self:
        """Return the bounds at this moment for these numbers of days."""
        return cls(*(None if days is None else now - timedelta(days=days) for days in (rejected, events, emails)))


@dataclass(frozen=True, slots=True)
class Shelved:
    """A message in one of our folders, by what its decision knows of it too."""

    message_id: str
    """Empty if the message has no Message-ID: then size and arrival tell it apart."""
    size: int
    arrived_at: datetime
