"""What a command works with: the settings, the database of an administrator's command, and the options of many."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.domain.errors import DatabaseMissing

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.crm.work import Crm
    from worker.settings import Settings
    from worker.store.database import Database


@dataclass(frozen=True, slots=True)
class Invocation:
    """What stood before the command."""

    env_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Desk:
    """The settings and the open database."""

    settings: "Settings"
    crm: "Crm"


def env_file_of(ctx: typer.Context) -> Path | None:
    """Return the file named with ``--env-file``."""
    return ctx.obj.env_file if isinstance(ctx.obj, Invocation) else None


@contextmanager
def open_desk(ctx: typer.Context, account: str | None = None) -> Iterator[Desk]:
    """Open the existing database, migrate it, and close it at the end.

    Raises:
        SettingsError: when a setting is wrong.
        Unavailable: when the database is down, or its file is missing: a mistyped path must not create one.
    """
    with _opened(ctx, account, open_present) as desk:
        yield desk


@contextmanager
def open_first_desk(ctx: typer.Context, account: str | None = None) -> Iterator[Desk]:
    """Open the database for a first command such as `user add`; creates a missing SQLite file.

    Raises:
        SettingsError: when a setting is wrong.
        Unavailable: when the database is down.
    """
    with _opened(ctx, account, _open) as desk:
        yield desk


def open_present(settings: "Settings") -> "Database":
    """Open the database that the settings name.

    Raises:
        Unavailable: when it is a file that does not exist.
    """
    try:
        return _open(settings, create=False)
    except DatabaseMissing as error:
        raise DatabaseMissing(
            f"{error}: is BCC_DROPBOX_DATABASE_URL right? The first `bcc-dropbox user add`, or the worker, makes it"
        ) from error


def _open(settings: "Settings", *, create: bool = True) -> "Database":
    from worker.store.database import Database  # noqa: PLC0415

    url = settings.database_url.get_secret_value()
    return Database.open(url, statement_seconds=settings.statement_seconds, create=create)


@contextmanager
def _opened(ctx: typer.Context, account: str | None, opening: "Callable[[Settings], Database]") -> Iterator[Desk]:
    from worker.crm.work import Crm  # noqa: PLC0415
    from worker.settings import Settings  # noqa: PLC0415
    from worker.store.schema import migrate  # noqa: PLC0415

    settings = Settings.load(env_file_of(ctx))
    database = opening(settings)
    try:
        migrate(database)
        yield Desk(settings, Crm(database, account))
    finally:
        database.close()


DEFAULT_LIMIT = 100

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
AccountName = Annotated[
    str | None, typer.Option("--account", metavar="NAME", help="The account, where there are several.")
]
Acting = Annotated[
    str | None, typer.Option("--as", metavar="USER", help="Who does it; the user's profile must permit it.")
]
Limit = Annotated[int, typer.Option("--limit", min=0, max=10**9, metavar="N", help="Show at most so many; 0 for all.")]
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
