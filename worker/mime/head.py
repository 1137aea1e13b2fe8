"""The header block (RFC 5322 §2.2), read in one way only: every decision rests on it.

Its Date in UTC (§3.3, §4.3); its Authentication-Results as authres reads them (RFC 8601), and organisational domains by
the public suffix list (R13).
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate
from functools import cache, lru_cache
from typing import Any

from worker.domain.authentication import AuthenticationResults, MethodResult
from worker.domain.decoding import without_comments
from worker.domain.messages import Field, Head

MOST_OCTETS = 4 * 1024 * 1024
"""Bytes of one header block that are read."""
MOST_LINES = 200_000
"""Lines of one header block. In a block with more, only as many bytes are read."""
MOST_FIELDS = 2000
"""Fields of one header block that are read."""
_MOST_FIELD_CHARACTERS = 256 * 1024
"""Characters of one field's value: room for a few thousand recipients."""

_FAULT = "\x1a"
"""SUB, the control character for an error. It makes an address invalid (R12), and is never shown."""
_QUESTION_IN_UTF8 = "\ufffd".encode().decode("cp1252")
"""U+FFFD that the sender wrote: such bytes are UTF-8."""
_END_OF_FIELD = re.compile(r"\n(?![ \t])")
_NAME = re.compile(r"([!-9;-~]*)[ \t]*")
_LONGEST_NAME_KEPT = 40
_PASSED_OVER = ("From ", " ", "\t")
"""Starts of lines that are ignored: an mbox separator that some servers leave in, and a folded first line."""


def read_head(raw: bytes, *, is_complete: bool = True) -> Head:
    """Read header fields, topmost first; never raises, whatever the bytes.

    As in a mail server, only LF ends a line: a CR alone is a fault within its line, never the start of another field.
    ``From :`` is the obsolete spelling of ``From:`` (RFC 5322 §4.5.1). A line that is no field ends the block.
    """
    most = MOST_OCTETS if raw.count(b"\n", 0, MOST_OCTETS) <= MOST_LINES else MOST_LINES
    block = raw[:most].replace(b"\r\n", b"\n").replace(b"\r", _FAULT.encode())
    text = block.decode("utf-8", "replace")
    fields, is_whole = _read_fields(text)
    if "\ufffd" in text:
        guesses, _ = _read_fields(block.decode("cp1252", "replace"))
        fields = [_with_guess(*pair) for pair in zip(fields, guesses, strict=True)]
    return Head(tuple(fields), is_complete=is_complete and is_whole and len(raw) <= most)


def _read_fields(block: str) -> tuple[list[Field], bool]:
    """Return the fields, and whether these are all."""
    lines = _END_OF_FIELD.split(block, MOST_FIELDS + 1)  # the last one is what stands behind the last end
    return list(_fields(lines[:MOST_FIELDS])), len(lines) <= MOST_FIELDS + 1


def _with_guess(field: Field, guess: Field) -> Field:
    is_broken = "\ufffd" in field.value and _QUESTION_IN_UTF8 not in guess.value
    return field._replace(guess=guess.value) if is_broken else field


def _fields(lines: Iterable[str]) -> Iterator[Field]:
    for line in lines:
        stated, colon, value = line.partition(":")
        name = (_kept_name if len(stated) <= _LONGEST_NAME_KEPT else _name)(stated) if colon else None
        if name:
            yield Field(name, _unfolded(value.lstrip(" \t")))
        elif name is None and not line.startswith(_PASSED_OVER):
            return


def _name(stated: str) -> str | None:
    """Return the name in lower case, or None if it cannot be the name of a field."""
    found = _NAME.fullmatch(stated)
    return found[1].lower() if found else None


_kept_name = lru_cache(maxsize=1024)(_name)
"""Mail has the same few dozen names again and again."""


def _unfolded(value: str) -> str:
    """Drop the ends of lines, not the white space after them (RFC 5322 §2.2.3). A cut value ends in a fault."""
    value = value.replace("\n", "")
    return value if len(value) <= _MOST_FIELD_CHARACTERS else value[:_MOST_FIELD_CHARACTERS] + _FAULT


_MOST_OF_A_DATE = 100
"""Characters; a date has about thirty."""
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
_USUAL = re.compile(
    r"(?:[A-Z][a-z]{2}, )?([0-9]{1,2}) ([A-Z][a-z]{2}) ([12][0-9]{3})"
    r" ([0-9]{2}:[0-9]{2}:[0-9]{2}) ([+-][0-9]{2}[0-5][0-9])(?: \([A-Z]{1,5}\))?"
)
_COMMENT = re.compile(r"\([^()]*\)")
_TIME = re.compile(r"([0-9]{1,2}[:.][0-9]{2}(?:[:.][0-9]{2})?)(?:[.,][0-9]+)?")
_OFFSET = re.compile(r"(?:UTC|GMT|UT)?([+-])([0-9]{1,2}):?([0-9]{2})?", re.IGNORECASE)
_YEAR = re.compile(r"[12][0-9]{3}")
_THREE_DIGITS = (100, 999)
"""Years since 1900 (RFC 5322 §4.3)."""
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]")
_ZONES = {
    **dict.fromkeys(("UT", "UTC", "GMT", "Z"), 0),
    "EDT": -4,
    "EST": -5,
    "CDT": -5,
    "CST": -6,
    "MDT": -6,
    "MST": -7,
    "PDT": -7,
    "PST": -8,
    "WET": 0,
    "WEST": 1,
    "CET": 1,
    "CEST": 2,
    "MET": 1,
    "MEST": 2,
    "MEZ": 1,
    "MESZ": 2,
    "EET": 2,
    "EEST": 3,
    "JST": 9,
    "MSK": 3,
}
"""Hours from UTC by name: those of RFC 5322 §4.3, and others that have one meaning in mail."""


def read_date(text: str) -> datetime | None:
    """Return the time in UTC; None if it cannot be read, or if its offset from UTC is unknown."""
    if (usual := _USUAL.fullmatch(text)) and (time := _read_usual(*usual.groups())):
        return time
    try:
        return _read_any(" ".join(_COMMENT.sub(" ", text[:_MOST_OF_A_DATE]).split()))
    except (TypeError, ValueError, OverflowError, IndexError):
        return None


def _read_usual(day: str, month: str, year: str, time: str, offset: str) -> datetime | None:
    """Read the form that nearly all mail has, at a tenth of the time."""
    try:
        number = _MONTHS.index(month) // 3 + 1
        return datetime.fromisoformat(f"{year}-{number:02}-{day:0>2}T{time}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _read_any(text: str) -> datetime | None:
    """Split the offset off, which the standard library guesses where it cannot read it, and let it read the rest."""
    if _ISO.match(text):
        iso = datetime.fromisoformat(text.replace(" +", "+").replace(" -", "-"))
        return iso.astimezone(UTC) if iso.tzinfo else None
    time = _TIME.search(text)
    if time is None:
        return None
    before, words = text[: time.start()], text[time.end() :].split()
    year = next((word for word in words[:2] if _YEAR.fullmatch(word)), "")
    if year:  # date(1), asctime: ``Mon Nov 23 10:00:00 CET 2026``
        words.remove(year)
    offset = _offset(words[0]) if words else None
    stated = parsedate(f"{before}{year} {time[1]} +0000")
    if offset is None or stated is None:
        return None
    year_stated, month, day, hour, minute, second = stated[:6]
    if _THREE_DIGITS[0] <= year_stated <= _THREE_DIGITS[1]:
        year_stated += 1900
    second = min(second, 59)  # a leap second
    return datetime(year_stated, month, day, hour, minute, second, tzinfo=offset).astimezone(UTC)


def _offset(zone: str) -> timezone | None:
    if zone.upper() in _ZONES:
        return timezone(timedelta(hours=_ZONES[zone.upper()]))
    found = _OFFSET.fullmatch(zone)
    if found is None or int(found[3] or 0) > 59:  # noqa: PLR2004 - minutes
        return None
    ahead = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
    return timezone(ahead if found[1] == "+" else -ahead)


_LONGEST_RESULTS = 16 * 1024
"""authres takes time by the square of the length; receiving servers write one or two thousand characters."""
_MARK = re.compile(r'"[^"]*"|[()"]')

_OWN_WORD = re.compile(r"[\s;][A-Za-z0-9-]+=[A-Za-z]+\Z")
"""What the server itself writes before a comment: ``dmarc=pass(p=REJECT)``."""
_UNQUOTED = re.compile(r"(?<==)(\[[0-9A-Za-z:.]+\]|[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)(?=[\s;]|\Z)")
"""An IPv6 address or an address literal, which RFC 8601 wants within quotes and Exim writes without."""
_WITHIN_QUOTES = re.compile(r'"[^"]*"')
_RESULT = re.compile(
    r"\s*[\w-]+\s*(?:/\s*[0-9]+\s*)?=\s*[\w-]+"
    r"(?:\s+[\w-]+\s*(?:\.\s*[\w-]+\s*=\s*\S*|=\s*[^\s@]+))*+\s*"
)
"""A result and its properties. authres passes over any other words, and they can be part of a stranger's address."""
_BEFORE_COMMENT, _BEHIND_MARK = ("", " ", "\t", ";"), ("", " ", "\t", ";")
_SIGNER = "header.d"
_OF_ENVELOPE = "smtp."


def read_results(value: str) -> AuthenticationResults | None:
    """Read one Authentication-Results field; None when it cannot be read in one way only."""
    value = value.strip()
    return _results_in(value) if 0 < len(value) <= _LONGEST_RESULTS else None


@lru_cache(maxsize=512)  # each field is asked for twice: with the heads of a batch and with its bodies
def _results_in(value: str) -> AuthenticationResults | None:
    if not _has_plain_marks(value):
        return None
    try:
        found = _authres().parse_value(_with_results(_UNQUOTED.sub(r'"\1"', value)))
    except Exception:  # noqa: BLE001 - its own errors, and RecursionError or TypeError of hostile values
        return None
    results = tuple(_method_result(result) for result in found.results)
    if value.lower().count(_SIGNER) != sum(_SIGNER in result.properties for result in results):
        return None  # one that stands there twice, or that authres passed over
    if any(result.method == "dkim" and _OF_ENVELOPE in " ".join(result.properties) for result in results):
        return None  # the end of another result, which a stranger's text has cut in two
    return AuthenticationResults(found.authserv_id, results)


def _has_plain_marks(value: str) -> bool:
    """Tell whether comments and quotes are the server's own.

    A server may copy a stranger's local part or host name. A bracket or a quote in it then begins or ends what the
    server wrote. So brackets and quotes are accepted only in the places where servers write them.
    """
    if "\\" in value or not value.replace("\t", " ").isprintable():
        return False
    depth = 0
    for found in _MARK.finditer(value):
        piece, before, behind = found[0], value[: found.start()][-80:], value[found.end() : found.end() + 1]
        if piece[0] == '"':
            if depth or before[-1:] != "=" or behind not in _BEHIND_MARK:
                return False
        elif piece == "(":
            if not (depth or before[-1:] in _BEFORE_COMMENT or _OWN_WORD.search(before)):
                return False
            depth += 1
        else:
            depth -= 1
            if depth < 0 or not (depth or behind in _BEHIND_MARK):
                return False
    return depth == 0 and _has_plain_results(value)


def _has_plain_results(value: str) -> bool:
    stated = without_comments(_WITHIN_QUOTES.sub("x", value)).split(";")[1:]
    return all(_RESULT.fullmatch(each) or each.strip().lower() in {"none", ""} for each in stated)


def _with_results(value: str) -> str:
    """Add the "none" of RFC 8601 §2.2, which Exim leaves out where it has checked nothing."""
    bare = value.rstrip("; \t\r\n")
    return value if ";" in bare else f"{bare}; none"


def _method_result(result: Any) -> MethodResult:
    """Drop a property that is stated twice with different values: one of them may be somebody else's."""
    stated: dict[str, set[str]] = {}
    for each in result.properties:
        stated.setdefault(f"{each.type}.{each.name}", set()).add(str(each.value or ""))
    properties = {name: value for name, (value, *others) in stated.items() if not others}
    return MethodResult(result.method, result.result, properties)


@lru_cache(maxsize=4096)
def organisational_domain(domain: str) -> str:
    """Return the registrable part of an IDNA domain (RFC 7489 §3.2), or the domain itself if it is a public suffix."""
    return str(_public_suffixes().privatesuffix(domain) or domain)


@cache
def _public_suffixes() -> Any:
    from publicsuffixlist import PublicSuffixList  # noqa: PLC0415 - 10,000 lines, and only R13 asks for them

    return PublicSuffixList()


@cache
def _authres() -> Any:
    import authres  # noqa: PLC0415 - only R13 asks for it
    from authres import dmarc  # noqa: PLC0415

    return authres.FeatureContext(dmarc)
