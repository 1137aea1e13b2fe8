"""`bcc-dropbox status`: how the worker is doing, as the database knows it; answers monitors by its exit code."""

import signal
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Never

import typer

from worker.cli.app import Json, env_file_of, open_present, parse_duration
from worker.cli.output import note, print_fields, print_json, print_rows
from worker.domain.errors import Unavailable

if TYPE_CHECKING:
    from worker.cli.status_report import StatusReport
    from worker.store.database import Database

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
    """Show the active and the standby workers, the backlog, the last poll, and recent outcomes."""
    from worker.settings import Settings  # noqa: PLC0415

    settings = Settings.load(env_file_of(ctx))
    database = open_present(settings)
    try:
        if watch:
            _watch(database, settings.mailbox_name, as_json=as_json)
        report = _look(database, settings.mailbox_name)
    except KeyboardInterrupt:
        raise typer.Exit from None
    finally:
        database.close()
    _show(report, as_json=as_json)
    if max_age is not None and (complaints := report.complaints(max_age)):
        for complaint in complaints:
            note(complaint)
        raise typer.Exit(1)


def _watch(database: "Database", mailbox: str | None, *, as_json: bool) -> Never:
    """Show it until interrupted; show an outage, and go on when the database answers again."""
    # A shell starts background commands of a script with SIGINT ignored, and Python then leaves it so.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    while True:
        try:
            report = _look(database, mailbox)
        except Unavailable as outage:
            _clear()
            note(f"error: {outage}; asked again every {_REFRESH_SECONDS} seconds")
        else:
            _clear()
            _show(report, as_json=as_json)
        time.sleep(_REFRESH_SECONDS)


def _look(database: "Database", mailbox: str | None) -> "StatusReport":
    from worker.cli.status_report import report_of  # noqa: PLC0415
    from worker.store.health import clock  # noqa: PLC0415
    from worker.store.schema import migrate  # noqa: PLC0415

    migrate(database)
    return report_of(database, mailbox, clock(database))


def _clear() -> None:
    typer.echo(_CLEAR if sys.stdout.isatty() else "", nl=False)


def _show(report: "StatusReport", *, as_json: bool) -> None:
    from worker.cli.status_report import room_fields, webhook_fields  # noqa: PLC0415

    if as_json:
        print_json(report.as_json())
        return
    if not report.mailboxes:
        typer.echo("no mailbox has been polled yet")
    for mailbox in report.mailboxes:
        print_fields(mailbox.fields(report.now))
        typer.echo()
    for webhook in report.webhooks:
        print_fields(webhook_fields(webhook, report.now))
        typer.echo()
    print_fields(room_fields(report.room))
    typer.echo()
    print_rows(("", "today", "this week"), report.rows())
