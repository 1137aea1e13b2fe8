"""A whole message, decoded for lists and searches (R20), with the digest of its body (R19)."""

import hashlib
import re
from collections.abc import Iterable

from worker.domain.messages import Content, Head
from worker.domain.text import clean, decode_words, without_tokens
from worker.mime.body import read_body
from worker.mime.dates import read_date
from worker.mime.head import read_head
from worker.mime.html_text import text_of_html

_ID = re.compile(r"<[^<>\s]+>")
_USUAL_HEAD = 4 * 1024
"""Bytes. Where lines end in LF, a whole message would be searched in vain for an empty line that ends in CRLF."""
_PIECE = 1024 * 1024


def read_content(raw: bytes) -> Content:
    """Read a message; never raises. Bytes that cannot be decoded are replaced, fields that are absent are empty."""
    start = start_of_body(raw)
    head = read_head(raw[:start])
    body = read_body(head, raw, start)
    return Content(
        head=head,
        raw=raw,
        subject=subject_of(head),
        message_id=without_tokens(clean(head.first("message-id"))),
        thread_id=_thread_id(head),
        sent_at=read_date(head.first("date")),
        snippet=without_tokens(snippet_of(body.plain, body.html)),
        attachments=body.attachments,
        body_digest=_body_digest(raw, start),
    )


def subject_of(head: Head) -> str:
    """Return the topmost Subject, decoded, on one line, without a whole token; empty without a Subject."""
    return without_tokens(clean(decode_words(head.text("subject"))))


def start_of_body(raw: bytes) -> int:
    """Return where the body begins: behind the first empty line, which may be the very first."""
    if raw.startswith((b"\n", b"\r\n")):
        return raw.index(b"\n") + 1
    for end in (_USUAL_HEAD, 16 * _USUAL_HEAD, len(raw)):
        crlf = raw.find(b"\n\r\n", 0, end)
        lf = raw.find(b"\n\n", 0, crlf if crlf >= 0 else end)
        if lf >= 0:
            return lf + 2
        if crlf >= 0:
            return crlf + 3
    return len(raw)


def _thread_id(head: Head) -> str:
    """Return the ID of the message that began the thread: the first of References, else the one answered, else this."""
    for name in ("references", "in-reply-to", "message-id"):
        if found := _ID.search(head.first(name)):
            return without_tokens(clean(found[0]))
    return without_tokens(clean(head.first("message-id")))


def _body_digest(raw: bytes, start: int) -> bytes:
    """Digest the bytes below the header block without CR and empty last lines, in which two copies may differ."""
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


LENGTH = 200
_MOST_READ = 64 * 1024
"""How far the first words are looked for in an HTML part, style sheets included."""


def snippet_of(plain: Iterable[str], html: Iterable[str]) -> str:
    """Return the first words of the first plain text part that has any, else of an HTML part."""
    for text in plain:
        if words := clean(text, LENGTH):
            return words
    for text in html:
        if words := clean(text_of_html(text, most_read=_MOST_READ, most_shown=2 * LENGTH), LENGTH):
            return words
    return ""
