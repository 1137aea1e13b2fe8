"""A whole message, decoded for lists and searches (R20), with its body's digest (R19) and the mails within it (R28)."""

import hashlib
import re
from collections.abc import Iterable
from html.parser import HTMLParser

from fast_mail_parser import ParseError, PyLazyAttachment, parse_email

from worker.domain.decoding import decode_words
from worker.domain.messages import MOST_ORIGINALS, Carried, Content, Head, Original
from worker.domain.text import clean, without_tokens
from worker.mime.body import parsable, read_body
from worker.mime.head import read_date, read_head

_HTML_PIECE = 4 * 1024
_MOST_UNPARSED = 64 * 1024
"""The parser reads a tag that does not end again with each piece."""
_UNSEEN = frozenset({"script", "style", "title", "head", "template", "noscript"})
_LINES = frozenset({"br", "div", "tr", "li", "dt", "dd", "section", "article", "header", "footer"})
_PARAGRAPHS = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "pre"})
_CELLS = frozenset({"td", "th"})
_RULE = "_" * 32
_MAILTO = "mailto:"


def text_of_html(html: str, *, most_read: int, most_shown: int) -> str:
    """Return the first ``most_shown`` visible characters, or a few more, out of ``most_read`` characters of HTML.

    The last line may be cut.
    """
    reader = _TextOfHtml()
    read = min(len(html), most_read)
    try:
        for start in range(0, read, _HTML_PIECE):
            reader.feed(html[start : start + _HTML_PIECE])
            if reader.shown > most_shown or len(reader.rawdata) > _MOST_UNPARSED:
                break
        else:
            # The parser of Python 3.14 keeps text back until as much again has come. Its close() is no help: on 3.11
            # that shows a comment without an end as text.
            reader.feed(" " * read)
    except (AssertionError, ValueError):  # of ``<![<`` and of a character number with thousands of digits
        pass
    return reader.text()


class _TextOfHtml(HTMLParser):
    """Collects lines; a block quotation becomes ``>``, a ruled line becomes underscores."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.shown = 0
        self._lines: list[str] = []
        self._line: list[str] = []
        self._depth = 0
        self._unseen_within: str | None = None
        self._link: str | None = None

    def text(self) -> str:
        """Return what was collected so far."""
        self._end_line()
        return "\n".join(self._lines)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """End a line where a block begins, or leave out what is not shown."""
        if tag in _UNSEEN:
            self._unseen_within = self._unseen_within or tag
        elif tag == "body":
            self._unseen_within = None
        elif tag == "a":
            self._link = _address_of(dict(attrs).get("href"))
        elif tag == "blockquote":
            self._end_paragraph()
            self._depth += 1
        elif tag == "hr" or (tag == "div" and _is_ruled(dict(attrs).get("style") or "")):
            self._end_paragraph()
            self._show(_RULE)
            self._end_line()
        else:
            self._break_at(tag)

    def handle_endtag(self, tag: str) -> None:
        """End a line where a block ends."""
        if tag == self._unseen_within:
            self._unseen_within = None
        elif tag == "a":
            self._show_link()
        elif tag == "blockquote":
            self._end_paragraph()
            self._depth = max(0, self._depth - 1)
        elif tag != "br":
            self._break_at(tag)

    def handle_data(self, data: str) -> None:
        """Collect text between tags; white space in HTML is one space."""
        if self._unseen_within is None:
            self._show(data)

    def _show(self, data: str) -> None:
        self._line.append(data)
        self.shown += len(data.strip())

    def _show_link(self) -> None:
        """Add the address that a link leads to where the text does not name it."""
        if self._link and self._link.lower() not in "".join(self._line).lower():
            self._show(f" <{self._link}>")
        self._link = None

    def _break_at(self, tag: str) -> None:
        if tag in _LINES:
            self._end_line(keeps_empty=tag == "br")
        elif tag in _PARAGRAPHS:
            self._end_paragraph()
        elif tag in _CELLS:
            self._line.append(" ")

    def _end_line(self, *, keeps_empty: bool = False) -> None:
        written = "".join(self._line)
        line = " ".join(written.split())
        self._line.clear()
        if line or keeps_empty or "\xa0" in written:  # a block that holds &nbsp; alone is an empty line
            self._lines.append(f"{'> ' * min(self._depth, 3)}{line}")

    def _end_paragraph(self) -> None:
        self._end_line()
        if self._lines and self._lines[-1]:
            self._lines.append("")


def _is_ruled(style: str) -> bool:
    """Tell whether a block has a line above it, as Outlook draws one above the mail that it forwards."""
    return any("solid" in each for each in style.lower().split(";") if each.strip().startswith("border-top:"))


def _address_of(href: str | None) -> str | None:
    if href is None or not href.lower().startswith(_MAILTO):
        return None
    return href[len(_MAILTO) :].partition("?")[0].strip() or None


_ID = re.compile(r"<[^<>\s]+>")
_USUAL_HEAD = 4 * 1024
"""Bytes. Where lines end in LF, a whole message would be searched in vain for an empty line that ends in CRLF."""
_PIECE = 1024 * 1024


def read_content(raw: bytes) -> Content:
    """Read a message; never raises. Bytes that cannot be decoded are replaced, fields that are absent are empty."""
    start = _start_of_body(raw)
    head = read_head(raw[:start])
    body = read_body(head, raw, start)
    return Content(
        head=head,
        raw=raw,
        subject=subject_of(head),
        message_id=without_tokens(clean(head.first("message-id"))),
        thread_id=_thread_id(head),
        sent_at=read_date(head.first("date")),
        snippet=without_tokens(_snippet_of(body.plain, body.html)),
        attachments=body.attachments,
        body_digest=_body_digest(raw, start),
    )


def subject_of(head: Head) -> str:
    """Return the topmost Subject, decoded, on one line, without a whole token; empty without a Subject."""
    return without_tokens(clean(decode_words(head.text("subject"))))


def _start_of_body(raw: bytes) -> int:
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


def _snippet_of(plain: Iterable[str], html: Iterable[str]) -> str:
    """Return the first words of the first plain text part that has any, else of an HTML part."""
    for text in plain:
        if words := clean(text, LENGTH):
            return words
    for text in html:
        if words := clean(text_of_html(text, most_read=_MOST_READ, most_shown=2 * LENGTH), LENGTH):
            return words
    return ""


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
    start = _start_of_body(content.raw)
    body = read_body(content.head, content.raw, start)
    texts = ("\n\n".join(body.plain), _text_of(body.html))
    mails, left_out = _attached(content, start, MOST_ORIGINALS)
    originals: list[Original] = []
    room = MOST_ORIGINALS - len(mails)
    for mail in mails:
        inner, _ = _attached(mail, _start_of_body(mail.raw), room)
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
