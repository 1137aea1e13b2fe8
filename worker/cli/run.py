"""`bcc-dropbox run`, `poll`, `demo` and `vacuum`: the worker itself, for ever, once, or on an embedded mailbox."""

import contextlib
import io
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.app import Json, env_file_of, open_desk
from worker.cli.output import note, print_fields, print_json, print_one, progress_bar, size_text
from worker.domain.errors import Refused

if TYPE_CHECKING:
    from worker.store.room import Vacuum


def run(ctx: typer.Context) -> None:
    """Run the service: poll each minute, and at once where the server offers IDLE.

    SIGTERM stops it after the current batch. SIGHUP reads the env file again.
    """
    from worker.bootstrap import start_log
    from worker.service.loop import Service
    from worker.service.supervisor import keep_little
    from worker.settings import Settings

    env_file = env_file_of(ctx)
    settings = Settings.load_for_filing(env_file)
    start_log(settings)
    keep_little()
    raise typer.Exit(Service(settings, load=lambda: Settings.load_for_filing(env_file)).run())


def poll(ctx: typer.Context, as_json: Json = False) -> None:
    """Poll the mailbox once, deliver the events that are due, then exit; shows how many messages ended how."""
    from worker.bootstrap import start_log
    from worker.service.loop import Service
    from worker.service.supervisor import keep_little
    from worker.settings import Settings

    settings = Settings.load_for_filing(env_file_of(ctx))
    start_log(settings)
    keep_little()
    report = Service(settings).poll()
    if report is None:
        raise Refused(
            "another worker empties this mailbox: its log shows what it does, `bcc-dropbox status` how it goes"
        )
    print_one({str(outcome): count for outcome, count in report.counts.items()}, as_json=as_json)
    if report.outage is not None:
        raise report.outage


def vacuum(
    ctx: typer.Context,
    full: Annotated[
        bool,
        typer.Option("--full", help="Rewrite an SQLite file of an early release. The worker waits meanwhile."),
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
