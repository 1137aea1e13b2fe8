"""`bcc-dropbox status`: how the worker is doing, as the database knows it; answers monitors by its exit code."""

import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.durations import parse_duration
from worker.cli.invocation import env_file_of
from worker.cli.options import Json
from worker.cli.output import print_fields, print_json, print_rows

if TYPE_CHECKING:
    from worker.cli.standing import Standing

_REFRESH_SECONDS = 2
_CLEAR = "\x1b[2J\x1b[H"


def status(
    ctx: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every two seconds.")] = False,
    max_age: Annotated[
        timedelta | None,
        typer.Option(
            "--max-age",
            parser=parse_duration,
            metavar="TIME",
            help="Exit 1 when the last good poll is older than this, like 5m.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show which worker empties the mailbox and which stand by, backlog, last poll, and how mail ended lately."""
    from worker.cli.standing import standing_of  # noqa: PLC0415
    from worker.settings import Settings  # noqa: PLC0415
    from worker.store.database import Database  # noqa: PLC0415
    from worker.store.schema import migrate  # noqa: PLC0415

    settings = Settings.load(env_file_of(ctx))
    url = settings.database_url.get_secret_value()
    database = Database.open(url, statement_seconds=settings.statement_seconds)
    try:
        migrate(database)
        standing = standing_of(database, settings.mailbox_name, datetime.now(UTC))
        _show(standing, as_json=as_json)
        while watch:
            time.sleep(_REFRESH_SECONDS)
            standing = standing_of(database, settings.mailbox_name, datetime.now(UTC))
            typer.echo(_CLEAR if sys.stdout.isatty() else "", nl=False)
            _show(standing, as_json=as_json)
    except KeyboardInterrupt:
        raise typer.Exit from None
    finally:
        database.close()
    if max_age is not None and not standing.is_healthy(max_age):
        raise typer.Exit(1)


def _show(standing: "Standing", *, as_json: bool) -> None:
    if as_json:
        print_json(standing.as_json())
        return
    if not standing.mailboxes:
        typer.echo("no mailbox has been polled yet")
    for mailbox in standing.mailboxes:
        print_fields(mailbox.fields(standing.now))
        typer.echo()
    print_rows(("", "today", "this week"), standing.rows())
