"""The command line `bcc-dropbox`, one module per noun, each imported only when one of its commands is called."""

import io
import sys


def main() -> None:
    """Run the command that the process was started with; never returns."""
    from worker.cli.app import app  # noqa: PLC0415 - other modules of this package need no command line

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that knows no UTF-8 shall not end the program
    app(prog_name="bcc-dropbox")
