"""`bcc-dropbox demo`: the whole worker on an embedded mailbox, played by the commands of this very program."""

import contextlib
import io
import json
import sys
from collections.abc import Sequence
from typing import Any

import typer


def demo() -> None:
    """Show everything on an embedded mailbox and a temporary database; keep nothing."""
    from worker.demo.steps import tell  # noqa: PLC0415

    tell(_Commands(), typer.echo)


class _Commands:
    """Runs command lines within this process: a new one for each would take longer than the demonstration."""

    def run(self, arguments: Sequence[str]) -> None:
        """Run one and let it show what it answers."""
        from worker.cli.app import app  # noqa: PLC0415
        from worker.cli.lazy import command_of  # noqa: PLC0415

        sys.stdout.flush()
        command_of(app)(list(arguments), prog_name="bcc-dropbox", standalone_mode=False)
        sys.stdout.flush()

    def ask(self, arguments: Sequence[str]) -> Any:
        """Run one with ``--json`` and give the answer instead of showing it."""
        answer = io.StringIO()
        with contextlib.redirect_stdout(answer):
            self.run([*arguments, "--json"])
        return json.loads(answer.getvalue())
