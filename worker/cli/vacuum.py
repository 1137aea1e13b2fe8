"""`bcc-dropbox vacuum`: room of removed mail goes back to the disk while the worker runs (R30)."""

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.invocation import open_desk
from worker.cli.options import Json
from worker.cli.output import note, print_fields, print_json, progress_bar, size_text
from worker.domain.errors import Refused

if TYPE_CHECKING:
    from worker.store.room import Vacuum


def vacuum(
    ctx: typer.Context,
    full: Annotated[
        bool,
        typer.Option("--full", help="Rewrite an SQLite file of an early release. The worker waits meanwhile."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Give room that removed mail has left back to the disk, in small steps: the worker may run."""
    from worker.store.room import Vacuum, size_of  # noqa: PLC0415

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
