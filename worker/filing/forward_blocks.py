"""Reads the forward block that a mail client wrote into a text, and names its one sender or none (R28).

A wrong person is worse than no person: what is not the whole form of a known client is a `Doubt`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from worker.domain.addresses import Address
from worker.domain.messages import Carried, Content
from worker.domain.senders import sender_of
from worker.filing.forward_lines import (
    BRACKETED,
    RULE,
    Label,
    Line,
    addresses_in,
    is_attribution,
    is_phrase_of_forward,
    label_in,
    lines_of,
    mailbox_in,
    mailboxes_in,
    name_in,
    named_in,
    separator_in,
)
from worker.filing.forward_words import ENGLISH, LANGUAGES, Kind, Prefix, bare_subject, key_of, prefix_of, wrote

_MOST_BLOCKS = 50
"""How many header lines are tried as the start of a block."""
_MOST_BLOCK_LINES = 200
_BLANKS_BELOW_SEPARATOR = 4
_MOST_DEPTH = 1
"""A block may be quoted once, as Apple Mail does; a deeper one belongs to an older mail of the thread."""
_ATTRIBUTION_LINES = 3
"""Over how many lines clients wrap "On Tuesday, Jane Doe <jane@client.example> wrote:"."""
_OUTLOOK_PREFIX = "fw:"
"""What Outlook 2019 for Mac writes before the subject in every language."""
_NORDIC_MONTH = re.compile(
    "januar|februar|marts|mars|april|maj|mai|juni|juli|august|september|oktober|november|de[cs]ember"
)
_REPLIES_WITH_VS = frozenset({"fi", "et"})


class Doubt(StrEnum):
    """The reason why a text that holds somebody else's mail names no sender for certain."""

    QUOTED_REPLY = "quoted_reply"
    NO_BLOCK = "no_block"
    """Marked as a forward, yet without the header block of a known client."""
    SENDER_UNREADABLE = "sender_unreadable"
    """From holds no address, or more than one."""
    BLOCK_IN_TEXT = "block_in_text"
    NOT_MARKED = "not_marked"
    """A reply of the same client has the same block, and the subject does not say that this is a forward."""
    UNLIKE_SUBJECT = "unlike_subject"
    """The text has several blocks, and the first is of another mail than the subject."""
    TEXTS_DIFFER = "texts_differ"
    """The plain text and the HTML say different things."""


@dataclass(frozen=True, slots=True)
class Forward:
    """The mail that was forwarded, as the first forward block describes it. All of it is the owner's claim."""

    sender: Address
    recipients: tuple[Address, ...] | None = None
    """To and Cc; None where they cannot be read whole."""
    name: str = ""
    """The sender's name; empty where the texts give none, or not the same."""
    above: tuple[Address, ...] = ()
    """Whom the words above the block name: people, or the fields of a mail of an unknown client."""


Reading = Forward | Doubt | None


def read_texts(subject: str, texts: Sequence[str]) -> Reading:
    """Read the alternatives of one mail's text, which have to agree; None where nothing of another mail is there."""
    readings = [reading for text in texts if (reading := read_text(subject, text)) is not None]
    for reading in readings:
        if isinstance(reading, Doubt):
            return reading
    forwards = [reading for reading in readings if isinstance(reading, Forward)]
    if not forwards:
        return Doubt.NO_BLOCK if prefix_of(subject)[0] is Prefix.FORWARD else None
    if len({forward.sender for forward in forwards}) > 1:
        return Doubt.TEXTS_DIFFER
    stated = {forward.recipients for forward in forwards if forward.recipients is not None}
    names = {forward.name for forward in forwards}
    recipients = stated.pop() if len(stated) == 1 else None
    above = tuple(dict.fromkeys(address for forward in forwards for address in forward.above))
    return Forward(forwards[0].sender, recipients, names.pop() if len(names) == 1 else "", above)


def read_text(subject: str, text: str) -> Reading:
    """Read one text down to the first thing in it that is somebody else's mail."""
    return _Reader(subject, lines_of(text)).read()


@dataclass(slots=True)
class _Block:
    """The header lines of one forwarded mail. ``end`` is the first line below them."""

    senders: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    subject: str | None = None
    sent: str | None = None
    languages: frozenset[str] | None = None
    """Those whose words the labels are; None where all of them are English."""
    end: int = 0

    @property
    def is_whole(self) -> bool:
        return bool(self.senders) and not (self.sent is None and self.subject is None)

    def choose(self, label: Label) -> Kind | None:
        """Return the field that a label names in this block's language; English words occur in all languages."""
        for kind, languages in label.kinds.items():
            if ENGLISH in languages:
                return kind
            if common := languages if self.languages is None else languages & self.languages:
                self.languages = common
                return kind
        return None

    def keep(self, kind: Kind, value: str) -> None:
        """Add one field."""
        match kind:
            case Kind.SENDER:
                self.senders.append(value)
            case Kind.SENT:
                self.sent = self.sent or value
            case Kind.SUBJECT:
                self.subject = self.subject or value
            case Kind.TO:
                self.recipients.append(value)
            case Kind.OTHER:
                pass


class _Reader:
    """One pass over the lines of a text."""

    def __init__(self, subject: str, lines: Sequence[Line]) -> None:
        self._subject = subject
        self._prefix = prefix_of(subject)[0]
        self._lines = lines
        self._labels = [label_in(line.text) for line in lines]
        self._tried = 0

    def read(self) -> Reading:
        """Return what the first foreign line belongs to."""
        for at, line in enumerate(self._lines):
            if not line.text:
                continue
            if (found := self._found_at(at)) is not None:
                return self._below_words(found, at)
            if line.depth:
                return Doubt.QUOTED_REPLY
            if self._tried >= _MOST_BLOCKS:
                return Doubt.BLOCK_IN_TEXT
        return None

    def _below_words(self, found: Reading, at: int) -> Reading:
        """Look for the block of an unknown client above: then the first known block is of an older mail."""
        if not isinstance(found, Forward):
            return found
        if any(self._is_own_subject(line.text) for line in self._lines[:at]):
            return Doubt.BLOCK_IN_TEXT
        return replace(found, above=named_in(self._lines[:at]))

    def _is_own_subject(self, text: str) -> bool:
        """Tell whether a line is the subject of this mail below a label, in whatever language."""
        stated, colon, value = text.partition(":")
        if not colon or len(value) > 2 * len(self._subject) or prefix_of(text)[0]:
            return False
        own = bare_subject(self._subject)
        return bool(stated and own) and bare_subject(value.strip("* ")) == own

    def _found_at(self, at: int) -> Reading:
        text = self._lines[at].text
        if (separator := separator_in(text)) is not None:
            return self._below_separator(at, *separator)
        if RULE.fullmatch(text):
            below = self._skip_blanks(at)
            return self._block_at(below) if self._begins_block(below) else None
        if self._begins_block(at):
            above = self._lines[at - 1].text if at else ""
            is_forward = is_phrase_of_forward(above)
            return Doubt.BLOCK_IN_TEXT if above and not is_forward else self._block_at(at, is_forward=is_forward)
        if end := self._attribution_end(at):
            return self._attributed(at, end)
        return None

    def _below_separator(self, at: int, is_forward: bool, rest: str) -> Reading:  # noqa: FBT001 - the separator's
        if rest:
            return self._judged(_one_line_block(rest), is_forward=is_forward)
        below = self._skip_blanks(at)
        if self._begins_block(below):
            return self._block_at(below, is_forward=is_forward)
        if is_forward and (end := self._attribution_end(below)):
            return _attributed_sender(self._joined(below, end))
        return Doubt.NO_BLOCK if is_forward or self._prefix is Prefix.FORWARD else None

    def _skip_blanks(self, at: int) -> int:
        """Return the first line with text below ``at``, or the last of the few lines that may be blank."""
        below = at + 1
        while below < min(at + _BLANKS_BELOW_SEPARATOR, len(self._lines) - 1) and not self._lines[below].text:
            below += 1
        return below

    def _begins_block(self, at: int) -> bool:
        """Tell whether a header line stands here that makes a block with those below it."""
        if at >= len(self._lines) or self._labels[at] is None or self._tried >= _MOST_BLOCKS:
            return False
        self._tried += 1
        return self._block(at).is_whole

    def _block_at(self, at: int, *, is_forward: bool = False) -> Reading:
        block = self._block(at)
        if self._lines[at].depth > _MOST_DEPTH:
            return Doubt.QUOTED_REPLY
        if not is_forward and self._disagrees(block):
            return Doubt.UNLIKE_SUBJECT
        return self._judged(block, is_forward=is_forward)

    def _judged(self, block: _Block, *, is_forward: bool) -> Reading:
        if not block.is_whole:
            return Doubt.NO_BLOCK
        prefix = self._prefix
        if prefix is Prefix.EITHER:
            prefix = _prefix_beside(block)
        if prefix is Prefix.REPLY:
            return Doubt.QUOTED_REPLY
        if not is_forward and prefix is not Prefix.FORWARD:
            return Doubt.NOT_MARKED
        return _one_sender(block.senders, block.recipients)

    def _disagrees(self, block: _Block) -> bool:
        """Tell whether the block is of another mail than the subject, and another block may be the right one.

        The owner may quote the fields of some mail in the words above the block.
        """
        stated, own = bare_subject(block.subject or ""), bare_subject(self._subject)
        if stated and own and (stated.startswith(own) or own.startswith(stated)):
            return False
        return self._is_other_block_below(block.end)

    def _is_other_block_below(self, start: int) -> bool:
        return any(
            separator_in(self._lines[at].text) is not None or self._begins_block(at) or self._tried >= _MOST_BLOCKS
            for at in range(start, len(self._lines))
        )

    def _block(self, start: int) -> _Block:
        """Collect the header lines from ``start`` on; one blank line may stand between two of them."""
        block = _Block(end=start)
        seen: set[str] = set()
        at = start
        while (label := self._label_at(at, start)) is not None:
            kind = block.choose(label)
            if kind is None:
                break
            name = label.key if kind in {Kind.TO, Kind.OTHER} else kind.value
            if name in seen and not self._is_second_sender(kind, at):
                break
            seen.add(name)
            following = self._next_label(at, start)
            block.keep(kind, self._value(at, following, label))
            block.end = following or at + 1
            at = following or len(self._lines)
        return block

    def _is_second_sender(self, kind: Kind, at: int) -> bool:
        """Tell whether a From stands right below another field; below a blank line it begins another block."""
        return kind is Kind.SENDER and bool(self._lines[at - 1].text)

    def _label_at(self, at: int, start: int) -> Label | None:
        if at >= len(self._lines) or self._lines[at].depth != self._lines[start].depth:
            return None
        return self._labels[at]

    def _next_label(self, at: int, start: int) -> int:
        """Return the next header line of the block, or 0: folded lines and one blank line may come before it."""
        blanks = 0
        for below in range(at + 1, min(start + _MOST_BLOCK_LINES, len(self._lines))):
            line = self._lines[below]
            if not line.text:
                blanks += 1
            elif self._label_at(below, start) is not None:
                return below
            if blanks > 1 or (line.text and (blanks or line.depth != self._lines[start].depth)):
                return 0
        return 0

    def _value(self, at: int, following: int, label: Label) -> str:
        """Return a field's value with its folded lines, which only another header line below them shows to be its."""
        folded = (self._lines[below].text for below in range(at + 1, following))
        return " ".join([label.value, *folded]).strip()

    def _attribution_end(self, at: int) -> int:
        """Return the line below an attribution ("On Tuesday, Jane wrote:") that begins here, or 0."""
        for end in range(at + 1, min(at + _ATTRIBUTION_LINES, len(self._lines)) + 1):
            if not self._lines[end - 1].text:
                return 0
            if self._lines[end - 1].text.endswith(":"):
                return end if is_attribution(self._joined(at, end)) else 0
        return 0

    def _joined(self, at: int, end: int) -> str:
        return " ".join(line.text for line in self._lines[at:end])

    def _attributed(self, at: int, end: int) -> Reading:
        """Judge an attribution: Outlook 2019 for Mac writes one above a forward too, and does not quote the mail."""
        text = self._joined(at, end)
        below = self._skip_blanks(end - 1)
        is_quoted = below >= len(self._lines) or bool(self._lines[at].depth or self._lines[below].depth)
        is_outlooks = key_of(self._subject).startswith(_OUTLOOK_PREFIX) and bool(BRACKETED.search(text))
        if is_quoted or not is_outlooks or not wrote().search(text) or self._is_other_block_below(end):
            return Doubt.QUOTED_REPLY
        return _attributed_sender(text)


def _one_line_block(text: str) -> _Block:
    """Read the block that Yahoo writes without line ends: ``From: Jane <j@client.example>To: …Sent: …Subject: …``."""
    block = _Block()
    label = label_in(text)
    if label is None or block.choose(label) is not Kind.SENDER:
        return block
    sender, angle, rest = label.value.replace(" :", ":").partition(">")
    block.senders.append(sender + angle)
    rows = [row for row in LANGUAGES if block.languages is None or row.code in block.languages]
    if any(f"{word}:" in rest for row in rows for word in f"{row.sent}|{row.subject}".split("|")):
        block.sent = ""
    return block


def _prefix_beside(block: _Block) -> Prefix | None:
    """Return what VS means in a subject: by the language of the block, or of the date where the block is English."""
    if block.languages is None:
        return Prefix.FORWARD if _NORDIC_MONTH.search((block.sent or "").lower()) else None
    return Prefix.REPLY if block.languages & _REPLIES_WITH_VS else Prefix.FORWARD


def _one_sender(senders: Sequence[str], recipients: Sequence[str] = ()) -> Forward | Doubt:
    sender = mailbox_in(senders[0]) if len(senders) == 1 else None
    return Forward(sender, mailboxes_in(recipients), name_in(senders[0])) if sender else Doubt.SENDER_UNREADABLE


def _attributed_sender(text: str) -> Forward | Doubt:
    """Return the one address in an attribution."""
    addresses = addresses_in(text)
    return Forward(addresses[0]) if len(set(addresses)) == 1 else Doubt.SENDER_UNREADABLE


@dataclass(frozen=True, slots=True)
class Forwarded:
    """The attached mails, and what the text says of another mail: a sender, a doubt, or nothing (None)."""

    carried: Carried
    reading: Reading

    @property
    def contents(self) -> Iterator[Content]:
        """All attached mails."""
        for original in self.carried.originals:
            yield original.content
            yield from original.inner

    @property
    def addresses(self) -> Iterator[Address]:
        """Everybody whose record may be asked for."""
        yield from self._senders
        for content in self.contents:
            yield from content.head.addressees.addresses
        if isinstance(self.reading, Forward):
            yield self.reading.sender
            yield from self.reading.recipients or ()

    @property
    def is_open(self) -> bool:
        """True when the text forwards a mail that is not among the attached ones.

        A client that writes the mail into the text keeps the mails that were attached to it.
        """
        if not isinstance(self.reading, Forward) or not self.carried.has_originals:
            return False
        return self.reading.sender not in self._senders

    @property
    def _senders(self) -> Iterator[Address]:
        senders = (sender_of(content.head).address for content in self.contents)
        return (sender for sender in senders if sender)


def forwarded_in(content: Content, carried: Carried) -> Forwarded | None:
    """Read what a message carries as a forward; None where it is nothing like one."""
    reading = read_texts(content.subject, carried.texts)
    return None if reading is None and not carried.has_originals else Forwarded(carried, reading)
