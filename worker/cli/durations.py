"""Spans of time as people type them: ``90s``, ``30m``, ``12h``, ``7d``, ``2w``."""

import re
from datetime import timedelta

import typer

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST = timedelta(days=3650)


def parse_duration(text: str) -> timedelta:
    """Read one.

    Raises:
        BadParameter: for anything else, and for more than ten years.
    """
    match = re.fullmatch(r"(\d{1,9})\s*([smhdw])", text.strip().lower())
    span = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None
    if span is None or span > _LONGEST:
        raise typer.BadParameter("a number and a unit is wanted, like 90s, 30m, 12h, 7d or 2w, ten years at the most")
    return span
