"""What a FETCH asks for, and its answers read as the core wants them, oddities of servers included."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from worker.domain.errors import Refused
from worker.domain.messages import Arrival
from worker.imap.fetched import Answer

MOST_HEAD = 65536
"""Octets of a head that are read; the fields that decide rarely take a hundredth of it."""
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
"""Content-Type, our own loop mark and vacation marks are left to the whole message. They tell of rare mail, and would
be a tenth of what each head costs on the wire."""
_ASKED = frozenset({b"INTERNALDATE", b"RFC822.SIZE"})
"""Without either, an answer is a change of flags that nobody asked for."""
BODY_ITEMS = "(UID BODY.PEEK[])"
_WHOLE = re.compile(rb"BODY\[\](<0>)?$|RFC822(\.PEEK)?$")
_FIELD_NAME = re.compile(r"[A-Za-z0-9_.-]+")


def head_items(more_fields: Iterable[str]) -> str:
    """The items of one FETCH for heads; those beyond the `DECIDING_FIELDS` come first, each name once.

    Raises:
        Refused: no name of a header field.
    """
    names: dict[str, str] = {}
    for name in (*more_fields, *DECIDING_FIELDS):
        if not _FIELD_NAME.fullmatch(name):
            raise Refused(f"{name!r} is no name of a header field")
        names.setdefault(name.lower(), name)
    fields = " ".join(names.values())
    return f"(UID INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS ({fields})]<0.{MOST_HEAD}>)"


def arrivals(answers: dict[int, Answer], uids: Sequence[int], now: datetime) -> list[Arrival]:
    """The messages that the server told of, in the order asked for.

    Where it keeps quiet about the date, a message counts as arrived ``now``; about the size, as small: neither then
    proves anything against it. Where it keeps the head back, the head is incomplete.
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
    """The whole message, under whichever name the server gives it."""
    named = (_octets(value) for key, value in answer.items() if _WHOLE.match(key))
    return next((octets for octets in named if octets is not None), None)


def _head(answer: Answer) -> bytes | None:
    for key, value in answer.items():
        if key.startswith((b"BODY[HEADER", b"RFC822.HEADER")):
            return _octets(value)
    return None


def _octets(value: object) -> bytes | None:
    """What was sent: imapclient makes a number of an unquoted string that looks like one."""
    return str(value).encode() if isinstance(value, int) else value if isinstance(value, bytes) else None


def _arrived(stated: object, now: datetime) -> datetime:
    if not isinstance(stated, datetime):
        return now
    try:
        return (stated if stated.tzinfo else stated.replace(tzinfo=UTC)).astimezone(UTC)
    except (OverflowError, ValueError):  # a zone that leads out of the calendar
        return now
