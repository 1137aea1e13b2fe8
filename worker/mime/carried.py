"""The mails within a mail: as attachments, byte for byte, and as text that a client wrote (R28)."""

from collections.abc import Iterable

from fast_mail_parser import ParseError, PyLazyAttachment, parse_email

from worker.domain.messages import MOST_ORIGINALS, Carried, Content, Original
from worker.mime.body import parsable, read_body
from worker.mime.content import read_content, start_of_body
from worker.mime.html_text import text_of_html

_MAILS = frozenset({"message/rfc822", "message/global"})
"""RFC 2046 §5.2.1, and RFC 6532 §3.7 for mail in UTF-8."""
_MOST_HTML = 512 * 1024
"""Characters of HTML in which the block is looked for, style sheets included."""
_LEAST_HTML = 1024
"""As what a small part counts."""
_MOST_TEXT = 64 * 1024
_MOST_ENCODED_WORDS = 20_000
"""In one parameter they cost the parser time by the square of their number."""


def read_carried(content: Content) -> Carried:
    """Read a message again for the mails within it; never raises."""
    start = start_of_body(content.raw)
    body = read_body(content.head, content.raw, start)
    texts = ("\n\n".join(body.plain), _text_of(body.html))
    mails, left_out = _attached(content, start, MOST_ORIGINALS)
    originals: list[Original] = []
    room = MOST_ORIGINALS - len(mails)
    for mail in mails:
        inner, _ = _attached(mail, start_of_body(mail.raw), room)
        originals.append(Original(mail, inner))
        room -= len(inner)
    return Carried(tuple(text for text in texts if text.strip()), tuple(originals), left_out)


def _text_of(parts: Iterable[str]) -> str:
    """Return the first text of HTML parts; all of them together are read as far as one may be."""
    texts: list[str] = []
    room = _MOST_HTML
    for html in parts:
        if room <= 0:
            break
        texts.append(text_of_html(html, most_read=room, most_shown=_MOST_TEXT))
        room -= max(len(html), _LEAST_HTML)
    return "\n\n".join(texts)


def _attached(content: Content, start: int, most: int) -> tuple[tuple[Content, ...], int]:
    """Return the attached mails, and how many of them are left out."""
    parts = _mail_parts(content, start)
    known = max(len(parts), sum(attachment.media_type in _MAILS for attachment in content.attachments))
    mails = tuple(read_content(raw) for raw in [part for part in parts if part][:most])
    return mails, known - len(mails)


def _mail_parts(content: Content, start: int) -> list[bytes]:
    """Take out the attached mails; one whose bytes are not certain is empty."""
    raw = parsable(content.head, content.raw, start)
    if raw is None or raw.count(b"=?") > _MOST_ENCODED_WORDS:
        return []
    try:
        mail = parse_email(raw, mode="lazy")
    except ParseError:
        return []
    found = {place: _bytes_of(part) for place, part in enumerate(mail.attachments) if part.mimetype.lower() in _MAILS}
    lossy = {warning.part_path for warning in mail.warnings}
    return [b"" if f"attachments[{place}]" in lossy else decoded for place, decoded in found.items()]


def _bytes_of(part: PyLazyAttachment) -> bytes:
    try:
        return part.content
    except ParseError:  # broken base64
        return b""
