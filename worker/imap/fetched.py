"""FETCH answers as imaplib hands them over: the form that a backlog is made of at once, all others by imapclient."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from imapclient.response_parser import parse_fetch_response

Answer = dict[bytes, Any]
"""One message's FETCH items, names in upper case."""
Line = tuple[bytes, bytes] | bytes
"""A line with the literal that follows it, or a line, or its rest behind the last literal."""

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
    """By UID, each with what was told of it; imapclient takes ten times as long for each.

    Raises:
        ProtocolError: an answer that imapclient cannot read (or ValueError, TypeError, IndexError, RecursionError).
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
    """Whatever stands behind the last literal ends an answer."""
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
