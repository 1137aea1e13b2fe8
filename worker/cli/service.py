"""`bcc-dropbox run` and `poll`: the worker itself, for ever or once."""

import signal
from contextlib import closing
from typing import TYPE_CHECKING

import typer

from worker.cli.invocation import env_file_of
from worker.cli.options import Json
from worker.cli.output import print_fields, print_json
from worker.domain.errors import Refused

if TYPE_CHECKING:  # importing it takes longer than the help of these commands
    from worker.poll import PollReport


def run(ctx: typer.Context) -> None:
    """Empty the mailbox for ever: each minute, and at once where the server offers IDLE.

    SIGTERM ends it after the batch in hand, SIGHUP reads the env file again.
    """
    from worker.bootstrap import start_log  # noqa: PLC0415
    from worker.service.process import keep_little  # noqa: PLC0415
    from worker.service.running import Service  # noqa: PLC0415
    from worker.settings import Settings  # noqa: PLC0415

    env_file = env_file_of(ctx)
    settings = Settings.load_for_filing(env_file)
    start_log(settings)
    keep_little()
    raise typer.Exit(Service(settings, load=lambda: Settings.load_for_filing(env_file)).run())


def poll(ctx: typer.Context, as_json: Json = False) -> None:
    """Poll the mailbox once, deliver the events that are due, then exit; shows how many messages ended how."""
    from worker.bootstrap import compose, start_log, warn_of_forgery  # noqa: PLC0415
    from worker.service.deliveries import deliver_once  # noqa: PLC0415
    from worker.service.hanging import Deadline  # noqa: PLC0415
    from worker.service.process import keep_little  # noqa: PLC0415
    from worker.service.turns import Turns  # noqa: PLC0415
    from worker.settings import Settings  # noqa: PLC0415

    settings = Settings.load_for_filing(env_file_of(ctx))
    start_log(settings)
    keep_little()
    stop = _StopSignal()
    deadline = Deadline(settings.poll_deadline_seconds)
    with closing(compose(settings, deadline)) as parts:
        turns = Turns(parts, reached=lambda: warn_of_forgery(settings))
        with deadline.watched():
            turns.prepare(upgrading=deadline.pause)
            deadline.progress()
            report = turns.take(lambda: stop.came)
        if report is None:
            raise Refused(
                "another worker empties this mailbox: its log shows what it does, `bcc-dropbox status` how it goes"
            )
        deliver_once(settings, parts.database, lambda: stop.came)
    _show(report, as_json=as_json)
    if report.outage is not None:
        raise report.outage


def _show(report: "PollReport", *, as_json: bool) -> None:
    counts = {str(outcome): count for outcome, count in report.counts.items()}
    if as_json:
        print_json(counts)
    else:
        print_fields(counts.items())


class _StopSignal:
    """A poll that is told to stop ends after the batch in hand."""

    def __init__(self) -> None:
        self.came = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, _number: int, _frame: object) -> None:
        self.came = True
