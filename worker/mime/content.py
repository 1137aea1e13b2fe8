"""A whole message, decoded for lists and searches (R20), with the digest of its body (R19)."""

import hashlib
import re
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import decode_header
from email.utils import parsedate_to_datetime

from worker.domain.masking import without_tokens
from worker.domain.messages import Content, Head
from worker.domain.text import clean
from worker.mime.body import read_body
from worker.mime.head import read_head
from worker.mime.snippet import snippet_of

_ID = re.compile(r"<[^<>\s]+>")
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
_USUAL_DATE = re.compile(
    r"(?:[A-Z][a-z]{2}, )?([0-9]{1,2}) ([A-Z][a-z]{2}) ([12][0-9]{3})"
    r" ([0-9]{2}:[0-9]{2}:[0-9]{2}) ([+-][0-9]{4})(?: \([A-Z]{1,5}\))?"
)
_PIECE = 1024 * 1024
_MOST_ENCODED = 8 * 1024


def read_content(raw: bytes) -> Content:
    """Read a message; never raises. What cannot be decoded is replaced, what is absent is empty."""
    start_of_body = _start_of_body(raw)
    head = read_head(raw[:start_of_body])
    body = read_body(head, raw, start_of_body)
    return Content(
        head=head,
        raw=raw,
        subject=subject_of(head),
        message_id=without_tokens(clean(head.first("message-id"))),
        thread_id=_thread_id(head),
        sent_at=_sent_at(head.first("date")),
        snippet=without_tokens(snippet_of(body.plain, body.html)),
        attachments=body.attachments,
        body_digest=_body_digest(raw, start_of_body),
    )


def subject_of(head: Head) -> str:
    """The topmost Subject as it is shown: decoded, on one line, without a whole token; empty where there is none."""
    return without_tokens(clean(_decoded(head.first("subject"))))


def _start_of_body(raw: bytes) -> int:
    """Behind the first empty line; one may stand at the very start."""
    if raw.startswith((b"\n", b"\r\n")):
        return raw.index(b"\n") + 1
    crlf = raw.find(b"\n\r\n")
    lf = raw.find(b"\n\n", 0, crlf if crlf >= 0 else len(raw))
    if lf >= 0:
        return lf + 2
    return crlf + 3 if crlf >= 0 else len(raw)


def _thread_id(head: Head) -> str:
    """The message that began the thread: the first of References, else the one answered, else this one."""
    for name in ("references", "in-reply-to", "message-id"):
        if found := _ID.search(head.first(name)):
            return without_tokens(clean(found[0]))
    return without_tokens(clean(head.first("message-id")))


def _sent_at(date: str) -> datetime | None:
    if usual := _USUAL_DATE.fullmatch(date):
        return _as_usual(*usual.groups())
    try:
        stated = parsedate_to_datetime(date[:100])
        return stated.replace(tzinfo=UTC) if stated.tzinfo is None else stated.astimezone(UTC)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None


def _as_usual(day: str, month: str, year: str, time: str, offset: str) -> datetime | None:
    """The library's own reading of the form that nearly all mail has, at a tenth of its time."""
    try:
        number = _MONTHS.index(month) // 3 + 1
        return datetime.fromisoformat(f"{year}-{number:02}-{day:0>2}T{time}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _decoded(text: str) -> str:
    """Encoded words (RFC 2047) as the text they stand for; what is broken stays as it is written."""
    if "=?" not in text:
        return text
    try:
        chunks = decode_header(text[:_MOST_ENCODED])
    except (HeaderParseError, ValueError):
        return text
    return "".join(_in_charset(chunk, charset) for chunk, charset in chunks)


def _in_charset(chunk: bytes | str, charset: str | None) -> str:
    if isinstance(chunk, str):
        return chunk
    if charset is None:  # between encoded words; decode_header writes it so
        return chunk.decode("raw-unicode-escape", "replace")
    try:
        return chunk.decode(charset, "replace")
    except (LookupError, ValueError):
        return chunk.decode("utf-8", "replace")


def _body_digest(raw: bytes, start: int) -> bytes:
    """Of the octets below the header block; CR and empty last lines are what two ways of one mail differ in."""
    digest = hashlib.sha256()
    held = 0
    for position in range(start, len(raw), _PIECE):
        piece = raw[position : position + _PIECE].replace(b"\r", b"")
        text = piece.rstrip(b"\n")
        if text:
            digest.update(b"\n" * held)
            digest.update(text)
            held = 0
        held += len(piece) - len(text)
    return digest.digest()
