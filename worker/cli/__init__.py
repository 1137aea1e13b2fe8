"""The command line `bcc-dropbox`, one module per noun, each imported only when one of its commands is called."""

import io
import sys
from types import TracebackType


def main() -> None:
    """Run the command that the process was started with; never returns."""
    from worker.cli.app import app  # noqa: PLC0415 - other modules of this package need no command line

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that knows no UTF-8 shall not end the program
    sys.excepthook = _tell_fault
    app(prog_name="bcc-dropbox")


def _tell_fault(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    """One line with the place: a traceback would quote what strangers wrote to whoever looks at the terminal."""
    from worker.domain.masking import without_tokens  # noqa: PLC0415 - the same
    from worker.logs import described  # noqa: PLC0415 - the same

    sys.stderr.write(f"error: a fault of this program: {without_tokens(described(error))}\n")
