"""`bcc-dropbox run` and `poll`: the worker itself, for ever or once."""

from typing import TYPE_CHECKING

import typer

from worker.cli.invocation import env_file_of
from worker.cli.options import Json
from worker.cli.output import print_fields, print_json
from worker.domain.errors import Refused

if TYPE_CHECKING:  # importing it takes longer than the help of these commands
    from worker.poll import PollReport


def run(ctx: typer.Context) -> None:
    """Run the service: poll each minute, and at once where the server offers IDLE.

    SIGTERM stops it after the current batch. SIGHUP reads the env file again.
    """
    from worker.bootstrap import start_log  # noqa: PLC0415
    from worker.service.process import keep_little  # noqa: PLC0415
    from worker.service.service import Service  # noqa: PLC0415
    from worker.settings import Settings  # noqa: PLC0415

    env_file = env_file_of(ctx)
    settings = Settings.load_for_filing(env_file)
    start_log(settings)
    keep_little()
    raise typer.Exit(Service(settings, load=lambda: Settings.load_for_filing(env_file)).run())


def poll(ctx: typer.Context, as_json: Json = False) -> None:
    """Poll the mailbox once, deliver the events that are due, then exit; shows how many messages ended how."""
    from worker.bootstrap import start_log  # noqa: PLC0415
    from worker.service.process import keep_little  # noqa: PLC0415
    from worker.service.service import Service  # noqa: PLC0415
    from worker.settings import Settings  # noqa: PLC0415

    settings = Settings.load_for_filing(env_file_of(ctx))
    start_log(settings)
    keep_little()
    report = Service(settings).poll()
    if report is None:
        raise Refused(
            "another worker empties this mailbox: its log shows what it does, `bcc-dropbox status` how it goes"
        )
    _show(report, as_json=as_json)
    if report.outage is not None:
        raise report.outage


def _show(report: "PollReport", *, as_json: bool) -> None:
    counts = {str(outcome): count for outcome, count in report.counts.items()}
    if as_json:
        print_json(counts)
    else:
        print_fields(counts.items())
