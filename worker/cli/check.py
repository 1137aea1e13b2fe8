"""`bcc-dropbox check`: tests settings, database and mailbox, and says how to repair what fails."""

from datetime import timedelta
from typing import Annotated

import typer

from worker.cli.durations import parse_duration
from worker.cli.invocation import env_file_of
from worker.cli.options import Json
from worker.cli.output import note, print_json

_WAIT = timedelta(seconds=60)


def check(
    ctx: typer.Context,
    probe: Annotated[
        bool,
        typer.Option("--probe", help="Also send a mail to two addresses that nobody has, and see how it comes back."),
    ] = False,
    wait: Annotated[
        timedelta | None,
        typer.Option(parser=parse_duration, metavar="TIME", help="How long to wait for the probe. [default: 60s]"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Try everything the worker needs; exit 1 when something does not work."""
    from worker.cli.check_table import print_findings  # noqa: PLC0415
    from worker.diagnostics import check_all  # noqa: PLC0415

    if probe:
        note("a probe is sent through the mail server and awaited in the mailbox")
    findings = check_all(env_file_of(ctx), (wait or _WAIT) if probe else None)
    if as_json:
        print_json([finding.as_json() for finding in findings])
    else:
        print_findings(findings)
    if any(finding.has_failed for finding in findings):
        raise typer.Exit(1)
