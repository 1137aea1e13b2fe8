"""The body of a message: its texts and its attachments with their decoded sizes, by two parsers, the fast one first."""

from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from typing import TYPE_CHECKING, cast

from fast_mail_parser import ParseError, PyLazyAttachment, parse_email

from worker.domain.masking import without_tokens
from worker.domain.messages import Attachment, Head
from worker.domain.text import clean

if TYPE_CHECKING:
    from email.message import Message

MOST_ATTACHMENTS = 200
"""How many are named; the rest counts as one, so that the sizes still add up."""
_MOST_NAME, _MOST_MEDIA_TYPE = 255, 127
_MOST_PARTS = 15_000
"""Lines that could begin a part. Each part costs the fast parser some 3 KB."""
_MOST_ENCODED_WORDS = 20_000
"""In a parameter of a part's field they cost the fast parser time by the square of their number."""
_MOST_PARAMETERS = 1_000_000
"""Semicolons: each parameter of a part costs the fast parser some 130 octets."""
_MOST_AT_ONCE = 1024 * 1024
"""Octets of a message of which all three are counted in one pass: that takes a copy."""
_MOST_LINE_CHECKS = 2_000_000
"""The standard library compares each line with each boundary that is open: a second or two for this many."""
_MIME_FIELDS = frozenset({"content-type", "content-transfer-encoding", "content-disposition"})
_MOST_FIELD = 4096


@dataclass(frozen=True, slots=True)
class Body:
    """Decoded texts in the order of the parts, and the attachments."""

    plain: tuple[str, ...] = ()
    html: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()


def read_body(head: Head, message: bytes, start: int) -> Body:
    """Read the parts of a message whose body begins at ``start``; never raises.

    What no parser can read is one attachment of its size. Only the fields that tell how the body is made are shown to
    the parsers: of all others there is one reading. A body is copied once, for that; it may be long.
    """
    if _is_overdone(message, start):
        return _unreadable(len(message) - start)
    raw = _mime_fields(head) + memoryview(message)[start:]
    try:
        return _read_fast(raw)
    except ParseError:
        pass
    lines = raw.count(b"\n") + raw.count(b"\r") + 1  # it takes either for the end of one
    if lines * (raw.lower().count(b"boundary") + 1) > _MOST_LINE_CHECKS:
        return _unreadable(len(message) - start)
    try:
        return _read_standard(raw)
    except Exception:  # noqa: BLE001 - of hostile mail it raises anything, RecursionError too
        return _unreadable(len(message) - start)


def _is_overdone(message: bytes, start: int) -> bool:
    """Counted only where the body is long enough to hold so many: most are not, and most of the others hold few."""
    length = len(message)
    if length - start <= 2 * _MOST_ENCODED_WORDS:
        return False
    if length <= _MOST_AT_ONCE and length - len(message.translate(None, b"-?;")) <= _MOST_PARTS:
        return False
    return (
        _is_oftener(message, start, b"-", b"\n--", _MOST_PARTS)
        or _is_oftener(message, start, b"?", b"=?", _MOST_ENCODED_WORDS)
        or message.count(b";", start) > _MOST_PARAMETERS
    )


def _is_oftener(message: bytes, start: int, octet: bytes, words: bytes, most: int) -> bool:
    """One octet is counted many times as fast as two, and is mostly seldom enough."""
    return message.count(octet, start) > most and message.count(words, start) > most


def _mime_fields(head: Head) -> bytes:
    seen: dict[str, str] = {}
    for field in head.fields:
        if field.name in _MIME_FIELDS:
            seen.setdefault(field.name, " ".join(field.value[:_MOST_FIELD].split()))
    lines = [f"{name}: {value}\r\n" for name, value in seen.items()]
    return "".join([*lines, "\r\n"]).encode("utf-8", "replace")


def _unreadable(octets: int) -> Body:
    return Body(attachments=(Attachment("", "application/octet-stream", octets),))


def _read_fast(raw: bytes) -> Body:
    mail = parse_email(raw, mode="lazy")
    attachments = (_attachment(part.filename, part.mimetype, _decoded_size(part)) for part in mail.attachments)
    return Body(tuple(mail.text_plain), tuple(mail.text_html), _bounded(attachments))


def _decoded_size(part: PyLazyAttachment) -> int:
    """Exact, by decoding: that costs less than any arithmetic on encodings that lie is worth."""
    try:
        return len(part.content)
    except ParseError:
        return part.encoded_size * 57 // 78  # broken base64: what so many octets hold when they are whole


def _read_standard(raw: bytes) -> Body:
    plain: list[str] = []
    html: list[str] = []
    attachments: list[Attachment] = []
    for part in _leaves(message_from_bytes(raw)):
        _shorten(part)
        content = _payload(part)
        media_type = part.get_content_type()
        if part.get_content_disposition() == "attachment" or media_type not in {"text/plain", "text/html"}:
            attachments.append(_attachment(str(part.get_filename("")), media_type, len(content)))
        else:
            (plain if media_type == "text/plain" else html).append(_text(content, part))
    return Body(tuple(plain), tuple(html), _bounded(iter(attachments)))


def _leaves(part: "Message[str, str]") -> Iterator["Message[str, str]"]:
    """The parts that hold something themselves; a mail within a mail is one of them."""
    if part.get_content_maintype() == "multipart" and part.is_multipart():
        for inner in part.get_payload():
            yield from _leaves(cast("Message[str, str]", inner))
    else:
        yield part


def _shorten(part: "Message[str, str]") -> None:
    """Its parameters take the standard library time by the square of their length."""
    for name in _MIME_FIELDS:
        if len(str(part.get(name, ""))) > _MOST_FIELD:
            del part[name]


def _payload(part: "Message[str, str]") -> bytes:
    if part.is_multipart():
        return b"".join(cast("Message[str, str]", inner).as_bytes() for inner in part.get_payload())
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _text(content: bytes, part: "Message[str, str]") -> str:
    try:
        return content.decode(str(part.get_content_charset("utf-8")), "replace")
    except (LookupError, ValueError):
        return content.decode("utf-8", "replace")


def _attachment(name: str, media_type: str, size: int) -> Attachment:
    stated = without_tokens(clean(media_type.lower(), _MOST_MEDIA_TYPE)) or "application/octet-stream"
    return Attachment(without_tokens(clean(name, _MOST_NAME)), stated, size)


def _bounded(attachments: Iterator[Attachment]) -> tuple[Attachment, ...]:
    named = [attachment for _, attachment in zip(range(MOST_ATTACHMENTS), attachments, strict=False)]
    rest = [attachment.size for attachment in attachments]
    if rest:
        named.append(Attachment(f"{len(rest)} more", "application/octet-stream", sum(rest)))
    return tuple(named)
