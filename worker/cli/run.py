"""`bcc-dropbox run`, `poll`, `check`, `vacuum` and `demo`: the worker itself, for ever, once, or on a trial."""

import contextlib
import io
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from textwrap import TextWrapper
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.app import Json, env_file_of, open_desk, parse_duration
from worker.cli.output import note, print_fields, print_json, print_one, progress_bar, size_text
from worker.domain.errors import Refused
from worker.domain.text import clean

if TYPE_CHECKING:
    from worker.diagnostics.checks import Finding
    from worker.store.room import Vacuum


def run(ctx: typer.Context) -> None:
    """Run the service: poll each minute, and at once where the server offers IDLE.

    SIGTERM stops it after the current batch. SIGHUP reads the env file again.
    """
    from worker.bootstrap import start_log
    from worker.service.loop import Service
    from worker.service.supervisor import pace_collector
    from worker.settings import Settings

    env_file = env_file_of(ctx)
    settings = Settings.load_for_filing(env_file)
    start_log(settings)
    pace_collector()
    raise typer.Exit(Service(settings, load=lambda: Settings.load_for_filing(env_file)).run())


def poll(ctx: typer.Context, as_json: Json = False) -> None:
    """Poll the mailbox once, deliver the events that are due, then exit; shows how many messages ended how."""
    from worker.bootstrap import start_log
    from worker.service.loop import Service
    from worker.service.supervisor import pace_collector
    from worker.settings import Settings

    settings = Settings.load_for_filing(env_file_of(ctx))
    start_log(settings)
    pace_collector()
    report = Service(settings).poll()
    if report is None:
        raise Refused(
            "another worker empties this mailbox: its log shows what it does, `bcc-dropbox status` how it goes"
        )
    print_one({str(outcome): count for outcome, count in report.counts.items()}, as_json=as_json)
    if report.outage is not None:
        raise report.outage


_PROBE_WAIT = timedelta(seconds=60)


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
    from worker.diagnostics import check_all

    if probe:
        note("a probe is sent through the mail server and awaited in the mailbox")
    findings = check_all(env_file_of(ctx), (wait or _PROBE_WAIT) if probe else None)
    if as_json:
        print_json([finding.as_json() for finding in findings])
    else:
        print_findings(findings)
    if any(finding.has_failed for finding in findings):
        raise typer.Exit(1)


_COLOURS = {"warn": typer.colors.YELLOW, "fail": typer.colors.RED}
_HEADINGS = ("checked", "result", "seen")
_RESULT_WIDTH = len("result")
_GAP = "  "
_INDENT = 4 * " "
_NARROWEST = 24
"""Characters that the last column gets at least, on however narrow a terminal."""


def print_findings(findings: "Sequence[Finding]") -> None:
    """Print the findings: coloured and wrapped on a terminal, one line per text elsewhere. Nothing is cut."""
    on_terminal = sys.stdout.isatty()
    columns = shutil.get_terminal_size().columns if on_terminal else None
    coloured = on_terminal and "NO_COLOR" not in os.environ
    first = max(len(text) for text in (_HEADINGS[0], *(finding.what for finding in findings)))
    typer.echo(_GAP.join((_HEADINGS[0].ljust(first), _HEADINGS[1].ljust(_RESULT_WIDTH), _HEADINGS[2])))
    for finding in findings:
        for line in _lines(finding, first, columns, coloured=coloured):
            typer.echo(line)


def _lines(finding: "Finding", first: int, columns: int | None, *, coloured: bool) -> Iterator[str]:
    result = finding.result.ljust(_RESULT_WIDTH)
    if coloured and finding.result in _COLOURS:
        result = typer.style(result, fg=_COLOURS[finding.result], bold=True)
    indent = first + _RESULT_WIDTH + 2 * len(_GAP)
    seen = list(_wrapped(finding.seen, columns, indent))
    yield _GAP.join((finding.what.ljust(first), result, seen[0]))
    yield from (" " * indent + line for line in seen[1:])
    if finding.mending:
        ending = ":" if finding.settings else ""
        yield from (_INDENT + line for line in _wrapped(finding.mending + ending, columns, len(_INDENT)))
    yield from (2 * _INDENT + clean(setting) for setting in finding.settings)


def _wrapped(text: str, columns: int | None, indent: int) -> Sequence[str]:
    shown = clean(text)
    if columns is None:
        return [shown]
    wrapper = TextWrapper(max(columns - indent, _NARROWEST), break_long_words=False, break_on_hyphens=False)
    return wrapper.wrap(shown) or [""]


def vacuum(
    ctx: typer.Context,
    full: Annotated[
        bool, typer.Option("--full", help="Rewrite an SQLite file of an early release. The worker waits meanwhile.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Give room that removed mail has left back to the disk, in small steps: the worker may run."""
    from worker.store.room import Vacuum, size_of

    with open_desk(ctx) as desk:
        database = desk.crm.database
        before = size_of(database)
        room = Vacuum(database)
        if full and database.is_sqlite:
            _require_room(before.used, before.disk_free)
            room.rewrite()
        elif room.can_step():
            _step(room, "tables" if database.file is None else "pages")
        else:
            raise Refused(
                "this SQLite file was made by an early release and cannot give room back in steps: "
                "run `bcc-dropbox vacuum --full` once, at a quiet hour (about a minute for each 5 GB; mail waits)"
            )
        after = size_of(database)
    given = max(0, before.used - after.used)
    if as_json:
        print_json({"before_bytes": before.used, "after_bytes": after.used, "freed_bytes": given})
    else:
        print_fields(
            [("before", size_text(before.used)), ("after", size_text(after.used)), ("freed", size_text(given))]
        )


def _step(room: "Vacuum", what: str) -> None:
    steps = room.steps()
    first = next(steps, None)
    if first is None:
        note("nothing to give back")
        return
    with progress_bar(what, first[1]) as progress:
        progress(first[0])
        for done, _total in steps:
            progress(done)


def _require_room(size: int, free: int | None) -> None:
    """Refuse when the disk cannot hold the second copy that SQLite writes, and its log."""
    if free is not None and free < 2 * size:
        raise Refused(f"rewriting the file needs {size_text(2 * size)} of free disk; there are {size_text(free)}")


def demo() -> None:
    """Show everything on an embedded mailbox and a temporary database; keep nothing."""
    from worker.demo import tell

    tell(_Commands(), typer.echo)


class _Commands:
    """Runs command lines within this process: a new one for each would take longer than the demonstration."""

    def run(self, arguments: Sequence[str]) -> None:
        """Run one and let it show what it answers."""
        from worker.cli.app import app, command_of

        sys.stdout.flush()
        command_of(app)(list(arguments), prog_name="bcc-dropbox", standalone_mode=False)
        sys.stdout.flush()

    def ask(self, arguments: Sequence[str]) -> Any:
        """Run one with ``--json`` and give the answer instead of showing it."""
        answer = io.StringIO()
        with contextlib.redirect_stdout(answer):
            self.run([*arguments, "--json"])
        return json.loads(answer.getvalue())
