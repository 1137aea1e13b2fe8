"""Ask for heads and bodies by FETCH, and read the answers, odd ones included."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from imapclient.response_parser import parse_fetch_response

from worker.domain.errors import Refused
from worker.domain.messages import Arrival

Answer = dict[bytes, Any]
"""One message's FETCH items, names in upper case."""
Line = tuple[bytes, bytes] | bytes
"""A line with the literal that follows it, a line without one, or the text behind the last literal."""

_USUAL = re.compile(
    rb"[0-9]+ \(UID ([1-9][0-9]{0,9})"
    rb'(?: INTERNALDATE "([ 0-3][0-9])-([A-Z][a-z]{2})-([0-9]{4}) ([0-9:]{8}) ([+-][0-9]{4})"'
    rb" RFC822\.SIZE ([0-9]{1,10}))?"
    rb" (BODY\[(?:HEADER\.FIELDS \([A-Z0-9_. -]+\))?\](?:<0>)?) \{[0-9]+\}"
)
"""Items in the order in which they were asked for, the literal last (RFC 9051 §7.5.2)."""
_PIECES = 2
_MONTHS = b"JanFebMarAprMayJunJulAugSepOctNovDec"


def read_answers(lines: Sequence[Line | None]) -> dict[int, Answer]:
    """Parse the answers, by UID. imapclient takes ten times as long for each, so it parses only unusual ones.

    Raises:
        ProtocolError: when imapclient cannot parse an answer (or ValueError, TypeError, IndexError, RecursionError).
    """
    answers: dict[int, Answer] = {}
    odd: list[Line | None] = []
    for answer in _one_by_one(lines):
        usual = _usual(answer)
        if usual is None:
            odd += answer
        else:
            answers.setdefault(usual[0], {}).update(usual[1])
    if odd:
        for uid, told in parse_fetch_response(odd, normalise_times=False).items():
            answers.setdefault(uid, {}).update(told)
    return answers


def _one_by_one(lines: Sequence[Line | None]) -> Iterator[Sequence[Line | None]]:
    """Split into answers: each ends with the text behind its last literal."""
    start = 0
    for end, line in enumerate(lines, 1):
        if not isinstance(line, tuple):
            yield lines[start:end]
            start = end
    if start < len(lines):
        yield lines[start:]


def _usual(answer: Sequence[Line | None]) -> tuple[int, Answer] | None:
    if len(answer) != _PIECES or answer[1] != b")" or not isinstance(answer[0], tuple):
        return None
    line, literal = answer[0]
    found = _USUAL.fullmatch(line)
    if found is None:
        return None
    uid, day, month, year, time, zone, size, name = found.groups()
    told: Answer = {name: literal}
    if day is not None:
        try:
            number = _MONTHS.index(month) // 3 + 1
            date = f"{year.decode()}-{number:02}-{int(day):02}T{time.decode()}{zone.decode()}"
            told |= {b"INTERNALDATE": datetime.fromisoformat(date), b"RFC822.SIZE": int(size)}
        except ValueError:
            return None
    return int(uid), told


_PLACES = 7
"""Items at the start of every part but a multipart: type, subtype, parameters, ID, description, encoding, size."""
_LEAST_DECODED = {b"BASE64": (45, 62), b"QUOTED-PRINTABLE": (25, 78)}
"""Decoded bytes per encoded bytes at worst: base64 in lines of 60, the shortest in use; every byte as =XX."""


def attachment_octets(structure: Any) -> int:
    """Return the minimum of decoded bytes. Does not recurse; parts that RFC 9051 does not allow count as empty."""
    total = 0
    waiting = [structure]
    while waiting:
        part = waiting.pop()
        if not isinstance(part, tuple) or not part:
            continue
        if isinstance(part[0], list | tuple):  # a multipart: imapclient puts its parts into a list
            waiting.extend(part[0] if isinstance(part[0], list) else (piece for piece in part if _is_part(piece)))
        elif _is_message(part):
            waiting.append(part[_PLACES + 1])
        else:
            total += _decoded_bytes(part)
    return total


def _is_part(piece: object) -> bool:
    return isinstance(piece, tuple) and bool(piece) and isinstance(piece[0], bytes | tuple | list)


def _is_message(part: tuple[Any, ...]) -> bool:
    """Return whether the part is a message; its attachments count too."""
    return _upper(part[0]) == b"MESSAGE" and len(part) > _PLACES + 1 and isinstance(part[_PLACES + 1], tuple)


def _decoded_bytes(part: tuple[Any, ...]) -> int:
    if len(part) < _PLACES or not isinstance(part[6], int):
        return 0
    if _upper(part[0]) == b"TEXT" and not _is_attached(part):
        return 0
    decoded, encoded = _LEAST_DECODED.get(_upper(part[5]), (1, 1))
    return max(0, part[6] * decoded // encoded - 2)


def _is_attached(part: tuple[Any, ...]) -> bool:
    """Return whether the part is an attachment. The disposition's place depends on the type, so look for its form."""
    return any(
        isinstance(extension, tuple) and extension and _upper(extension[0]) == b"ATTACHMENT"
        for extension in part[_PLACES:]
    )


def _upper(value: object) -> bytes:
    return value.upper() if isinstance(value, bytes) else b""


MOST_HEAD = 65536
"""Bytes of a head that are read; the deciding fields rarely take a hundredth of that."""
DECIDING_FIELDS = (
    "Return-Path",
    "Received",
    "Authentication-Results",
    "From",
    "To",
    "Cc",
    "Message-ID",
    "Auto-Submitted",
)
"""Content-Type, the loop mark and vacation marks are read from the whole message: they would add a tenth to each head,
and matter for rare mail only."""
_ASKED = frozenset({b"INTERNALDATE", b"RFC822.SIZE"})
"""An answer with neither item is an unsolicited change of flags."""
BODY_ITEMS = "(UID BODY.PEEK[])"
_WHOLE = re.compile(rb"BODY\[\](<0>)?$|RFC822(\.PEEK)?$")
_FIELD_NAME = re.compile(r"[A-Za-z0-9_.-]+")


def head_items(more_fields: Iterable[str]) -> str:
    """Return the items of a FETCH for heads: ``more_fields``, then the `DECIDING_FIELDS`, each once.

    Raises:
        Refused: when a name cannot be that of a header field.
    """
    names: dict[str, str] = {}
    for name in (*more_fields, *DECIDING_FIELDS):
        if not _FIELD_NAME.fullmatch(name):
            raise Refused(f"{name!r} is no name of a header field")
        names.setdefault(name.lower(), name)
    fields = " ".join(names.values())
    return f"(UID INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS ({fields})]<0.{MOST_HEAD}>)"


def arrivals(answers: dict[int, Answer], uids: Sequence[int], now: datetime) -> list[Arrival]:
    """Return the messages in the answers, in the order of ``uids``.

    A message without a date counts as arrived ``now``, and one without a size as small, so that neither leads to a
    rejection. A missing head makes the head incomplete.
    """
    return [_arrival(uid, answers[uid], now) for uid in uids if _ASKED.intersection(answers.get(uid, ()))]


def _arrival(uid: int, answer: Answer, now: datetime) -> Arrival:
    head = _head(answer)
    size = answer.get(b"RFC822.SIZE")
    return Arrival(
        uid,
        arrived_at=_arrived(answer.get(b"INTERNALDATE"), now),
        size=size if isinstance(size, int) else 0,
        head=head or b"",
        head_is_complete=head is not None and len(head) < MOST_HEAD,
    )


def body(answer: Answer) -> bytes | None:
    """Return the whole message, under whichever item name the server sent it."""
    named = (_sent(value) for key, value in answer.items() if _WHOLE.match(key))
    return next((sent for sent in named if sent is not None), None)


def _head(answer: Answer) -> bytes | None:
    for key, value in answer.items():
        if key.startswith((b"BODY[HEADER", b"RFC822.HEADER")):
            return _sent(value)
    return None


def _sent(value: object) -> bytes | None:
    """Return the bytes that were sent: imapclient turns unquoted digits into a number."""
    return str(value).encode() if isinstance(value, int) else value if isinstance(value, bytes) else None


def _arrived(stated: object, now: datetime) -> datetime:
    if not isinstance(stated, datetime):
        return now
    try:
        return (stated if stated.tzinfo else stated.replace(tzinfo=UTC)).astimezone(UTC)
    except (OverflowError, ValueError):  # a zone that leads out of the calendar
        return now
