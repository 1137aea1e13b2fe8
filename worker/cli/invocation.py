"""What a command works with: the settings, and the database where it is an administrator's command."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:  # these take longer to import than many commands take to run
    from worker.settings import Settings
    from worker.store.administration.office import Office


@dataclass(frozen=True, slots=True)
class Invocation:
    """What stood before the command."""

    env_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Desk:
    """The settings and the open database."""

    settings: "Settings"
    office: "Office"


def env_file_of(ctx: typer.Context) -> Path | None:
    """The file named with ``--env-file``."""
    return ctx.obj.env_file if isinstance(ctx.obj, Invocation) else None


@contextmanager
def open_desk(ctx: typer.Context, account: str | None = None) -> Iterator[Desk]:
    """Open the database, bring it to the present schema, close it in the end.

    Raises:
        SettingsError: when a setting is wrong.
        Unavailable: when the database is down.
    """
    from worker.settings import Settings  # noqa: PLC0415
    from worker.store.administration.office import Office  # noqa: PLC0415
    from worker.store.database import Database  # noqa: PLC0415
    from worker.store.schema import migrate  # noqa: PLC0415

    settings = Settings.load(env_file_of(ctx))
    url = settings.database_url.get_secret_value()
    database = Database.open(url, statement_seconds=settings.statement_seconds)
    try:
        migrate(database)
        yield Desk(settings, Office(database, account))
    finally:
        database.close()
