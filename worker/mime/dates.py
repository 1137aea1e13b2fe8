"""The Date of a message (RFC 5322 §3.3, obsolete forms §4.3), as a time in UTC."""

import re
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate

_MOST = 100
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
        return _read_any(" ".join(_COMMENT.sub(" ", text[:_MOST]).split()))
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
