"""The body of a message: its texts and its attachments.

Two parsers read it: the fast one first, the standard library where that one gives up. Names and charsets are read from
the fields of a part by this program, so that both parsers mean the same.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from typing import Any, cast

from fast_mail_parser import ParseError, PyLazyMimePart, parse_email_tree

from worker.domain.decoding import decode, decode_words
from worker.domain.messages import Attachment, Head
from worker.domain.text import clean, without_tokens

_MOST_ATTACHMENTS = 200
"""How many attachments are named. The rest counts as one, so that the sizes still add up."""
_MOST_NAME, _MOST_MEDIA_TYPE = 255, 127
_MOST_PARTS = 15_000
"""Lines that could begin a part. Each part costs the fast parser about 3 KB."""
_MOST_ENCODED_WORDS = 20_000
"""Encoded words in a parameter cost the fast parser time by the square of their number."""
_MOST_PARAMETERS = 1_000_000
"""Semicolons. Each parameter of a part costs the fast parser about 130 bytes."""
_MOST_AT_ONCE = 1024 * 1024
"""Bytes of a message in which all three are counted in one pass: that takes a copy."""
_MOST_LINE_CHECKS = 2_000_000
"""The standard library compares each line with each open boundary. So many take a second or two."""
_HIDE = (b"=?", b"=\x1a")
_SHOW = _HIDE[::-1]
"""Hides encoded words from the fast parser, which decodes them before it takes a field apart."""
_PLAIN_NAME = re.compile(r"[\w.+-]*", re.ASCII)
_IS_ATTACHMENT = re.compile(r"\s*attachment", re.IGNORECASE).match
_TEXTS = frozenset({"text/plain", "text/html"})
_MIME_FIELDS = ("content-type", "content-transfer-encoding", "content-disposition")
_MOST_FIELD = 4096


@dataclass(frozen=True, slots=True)
class Body:
    """Decoded texts in the order of the parts, and the attachments."""

    plain: tuple[str, ...] = ()
    html: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class _Decoded:
    content: bytes
    encoded_size: int = 0


class _Revealed:
    """A part of a message whose encoded words were hidden."""

    def __init__(self, node: PyLazyMimePart) -> None:
        self._node = node
        self.encoded_size = node.encoded_size

    @property
    def content(self) -> bytes:
        return (self._node.content or b"").replace(*_SHOW)


class _Part:
    """A part that holds something itself, from either parser. The fields are given by their values."""

    __slots__ = ("_content_type", "_holder", "is_shown", "media_type", "name")

    def __init__(
        self, media_type: str, content_type: str, disposition: str, holder: PyLazyMimePart | _Revealed | _Decoded
    ) -> None:
        self.media_type = media_type.lower() if media_type.count("/") == 1 else "text/plain"  # RFC 2045 §5.2
        self.name = _file_name(disposition, content_type)
        self.is_shown = self.media_type in _TEXTS and not _IS_ATTACHMENT(disposition)
        self._content_type = content_type
        self._holder = holder

    @property
    def text(self) -> str:
        return decode(self._holder.content or b"", _charset_of(self._content_type))

    @property
    def size(self) -> int:
        """The decoded size in bytes, by decoding: an encoding may lie about it."""
        try:
            return len(self._holder.content or b"")
        except ParseError:
            return (self._holder.encoded_size or 0) * 57 // 78  # broken base64: what so many bytes hold if it is whole


def read_body(head: Head, message: bytes, start: int) -> Body:
    """Read the parts of a message whose body begins at ``start``; never raises.

    A body that no parser can read is one attachment of its size. The parsers get only the fields that describe the
    body; all other fields are read once, by `read_head`. This copies the body once, and it may be long.
    """
    raw = parsable(head, message, start)
    if raw is None:
        return _unreadable(len(message) - start)
    try:
        return _body_of(_read_fast(raw))
    except ParseError:
        pass
    lines = raw.count(b"\n") + raw.count(b"\r") + 1  # it takes either for the end of one
    if lines * (raw.lower().count(b"boundary") + 1) > _MOST_LINE_CHECKS:
        return _unreadable(len(message) - start)
    try:
        return _body_of(_standard_parts(message_from_bytes(raw)))
    except Exception:  # noqa: BLE001 - of hostile mail it raises anything, RecursionError too
        return _unreadable(len(message) - start)


def parsable(head: Head, message: bytes, start: int) -> bytes | None:
    """Return what of a message a parser should be given, or None where its body would cost too much."""
    return None if _is_overdone(message, start) else _mime_fields(head) + memoryview(message)[start:]


def _is_overdone(message: bytes, start: int) -> bool:
    """Tell whether a message has more parts, encoded words or parameters than a parser should be given.

    They are counted only where the body is long enough to hold so many. Most are not, and most of the others hold few.
    """
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
    """Tell whether the words are there more often than that; to count one byte is much faster, and mostly enough."""
    return message.count(octet, start) > most and message.count(words, start) > most


def _mime_fields(head: Head) -> bytes:
    lines = [f"{name}: {head.text(name)[:_MOST_FIELD]}\r\n" for name in _MIME_FIELDS if name in head.names]
    return "".join([*lines, "\r\n"]).encode("utf-8", "replace")


def _unreadable(octets: int) -> Body:
    return Body(attachments=(Attachment("", "application/octet-stream", octets),))


def _body_of(parts: Iterable[_Part]) -> Body:
    """Sort the parts (R20): text without a file name is the body's, all else is attached."""
    plain: list[str] = []
    html: list[str] = []
    attached: list[_Part] = []
    for part in parts:
        if not part.is_shown or part.name:
            attached.append(part)
        else:
            (plain if part.media_type == "text/plain" else html).append(part.text)
    if not attached:
        return Body(tuple(plain), tuple(html))
    if not any(plain) and not any(html):  # the first words of a file that is shown
        plain = [part.text for part in attached if part.is_shown and part.media_type == "text/plain"]
        html = [part.text for part in attached if part.is_shown and part.media_type == "text/html"]
    attachments = (_attachment(part.name, part.media_type, part.size) for part in attached)
    return Body(tuple(plain), tuple(html), _bounded(attachments))


def _read_fast(raw: bytes) -> list[_Part]:
    """Read the parts with the fast parser, and again where it may have taken an encoded word for a parameter's text."""
    parts = list(_fast_parts(parse_email_tree(raw, mode="lazy")))
    if all(_PLAIN_NAME.fullmatch(part.name) for part in parts) or _HIDE[0] not in raw:
        return parts
    return list(_fast_parts(parse_email_tree(raw.replace(*_HIDE), mode="lazy"), is_hidden=True))


def _fast_parts(node: PyLazyMimePart, *, is_hidden: bool = False) -> Iterator[_Part]:
    """Yield the parts that hold something themselves."""
    children = node.children
    if children and not node.is_message:
        for inner in children:
            yield from _fast_parts(inner, is_hidden=is_hidden)
        return
    media_type = node.content_type
    if media_type.lower().startswith("multipart/") and not node.is_message:
        raise ParseError("a multipart without parts")
    headers = node.headers
    content_type = _value(headers, "Content-Type")
    disposition = _value(headers, "Content-Disposition") if node.disposition is not None else ""
    if is_hidden:
        yield _Part(media_type, _revealed(content_type), _revealed(disposition), _Revealed(node))
    else:
        yield _Part(media_type, content_type, disposition, node)


def _revealed(value: str) -> str:
    return value.replace("=\x1a", "=?")


def _value(headers: dict[str, list[str]], name: str) -> str:
    if values := headers.get(name):
        return values[0]
    return next((values[0] for key, values in headers.items() if key.lower() == name.lower()), "")


def _standard_parts(part: "Message[str, str]") -> Iterator[_Part]:
    """Yield the parts that hold something themselves; a mail within a mail is one of them."""
    if part.get_content_maintype() == "multipart" and part.is_multipart():
        for inner in part.get_payload():
            yield from _standard_parts(cast("Message[str, str]", inner))
        return
    _shorten(part)
    fields = {name.lower(): _octets(value) for name, value in reversed(list(part.raw_items()))}
    content_type, disposition = (decode(fields.get(name, b"")) for name in ("content-type", "content-disposition"))
    yield _Part(part.get_content_type(), content_type, disposition, _Decoded(_payload(part)))


def _octets(value: object) -> bytes:
    return str(value).encode("utf-8", "surrogateescape")


def _shorten(part: "Message[str, str]") -> None:
    """Drop overlong fields: their parameters take the standard library time by the square of their length."""
    for name in _MIME_FIELDS:
        if len(str(part.get(name, ""))) > _MOST_FIELD:
            del part[name]


def _payload(part: "Message[str, str]") -> bytes:
    if part.is_multipart():
        return b"".join(cast("Message[str, str]", inner).as_bytes() for inner in part.get_payload())
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _attachment(name: str, media_type: str, size: int) -> Attachment:
    stated = without_tokens(clean(media_type, _MOST_MEDIA_TYPE)) or "application/octet-stream"
    return Attachment(without_tokens(clean(name, _MOST_NAME)), stated, size)


def _bounded(attachments: Iterator[Attachment]) -> tuple[Attachment, ...]:
    named = [attachment for _, attachment in zip(range(_MOST_ATTACHMENTS), attachments, strict=False)]
    rest = [attachment.size for attachment in attachments]
    if rest:
        named.append(Attachment(f"{len(rest)} more", "application/octet-stream", sum(rest)))
    return tuple(named)


_MOST_OF_A_FIELD = 4096
"""Characters of a field. The standard library takes time by the square of its length."""
_PLAIN_FILE_NAME = re.compile(
    r"\s*+(?:attachment|inline)\s*+;\s*+filename=(?:\"([^\"\\=?%;\x7f-\U0010ffff]++)\"|([\w.-]++))\s*+;?\s*+",
    re.ASCII | re.IGNORECASE,
)
"""A Content-Disposition as most programs write it."""


_PLAIN_CHARSET = re.compile(r";\s*+charset=\"?([\w.:-]++)\"?\s*+(?:;|\Z)", re.ASCII | re.IGNORECASE)


def _file_name(disposition: str, content_type: str) -> str:
    """Return the file name of a part, decoded; an empty string if it has none."""
    if disposition:
        if plain := _PLAIN_FILE_NAME.fullmatch(disposition):
            return plain[1] or plain[2]
        if name := _parameter(disposition, "filename"):
            return name
    return _parameter(content_type, "name")


def _charset_of(content_type: str) -> str:
    """Return the label of the charset, or an empty string."""
    plain = _PLAIN_CHARSET.search(content_type)
    return plain[1] if plain else _parameter(content_type, "charset")


def _parameter(value: str, name: str) -> str:
    """Return a parameter of a field's value, decoded, or an empty string. ``name`` is in lower case."""
    if name not in value.lower():
        return ""
    field: Message[str, str] = Message()
    field["X"] = " ".join(value[:_MOST_OF_A_FIELD].splitlines())
    stated: list[Any] = [each for key, each in field.get_params([], "X") if key.lower() == name]
    for each in stated:
        if isinstance(each, tuple):  # RFC 2231: charset, language, bytes as Latin-1. It goes before a plain one.
            charset, _, text = each
            return decode(text.encode("latin-1", "replace"), charset or "")
    return decode_words(stated[0].strip('"')) if stated else ""
