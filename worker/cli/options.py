"""Options that many commands share, and the durations that people type: ``90s``, ``30m``, ``12h``, ``7d``, ``2w``."""

import re
from datetime import timedelta
from typing import Annotated

import typer

DEFAULT_LIMIT = 100

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
AccountName = Annotated[
    str | None, typer.Option("--account", metavar="NAME", help="The account, where there are several.")
]
Acting = Annotated[
    str | None, typer.Option("--as", metavar="USER", help="Who does it; the user's profile must permit it.")
]
Limit = Annotated[int, typer.Option("--limit", min=0, metavar="N", help="Show at most so many; 0 for all.")]
User = Annotated[str, typer.Argument(metavar="USER", help="The user's login, an e-mail address.")]


_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST = timedelta(days=3650)


def parse_duration(text: str) -> timedelta:
    """Read a duration.

    Raises:
        BadParameter: for anything else, and for more than ten years.
    """
    match = re.fullmatch(r"(\d{1,9})\s*([smhdw])", text.strip().lower())
    span = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None
    if span is None or span > _LONGEST:
        raise typer.BadParameter("a number and a unit is wanted, like 90s, 30m, 12h, 7d or 2w, ten years at the most")
    return span
