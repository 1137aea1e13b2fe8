"""The command line `bcc-dropbox`, one module for nouns that belong together, imported only when called."""

import atexit
import gc
import io
import os
import sys
import traceback
from pathlib import PurePath
from types import TracebackType

_MOST_PLACES = 4
_ALLOCATIONS = 50_000
"""Allocations between two searches for reference cycles: a start makes 100,000 objects that stay."""


def main() -> None:
    """Run the command that the process was started with; never returns."""
    gc.set_threshold(_ALLOCATIONS)
    atexit.register(gc.freeze)  # else the interpreter searches all modules for cycles as it ends, a quarter of the time
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = (
        "__all__"  # we have no plugin, and the search reads every installed package
    )
    from worker.cli.app import app, command_of  # other modules of this package need no command line

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that knows no UTF-8 shall not end the program
    sys.excepthook = _tell_fault
    command_of(app)(prog_name="bcc-dropbox")


def _tell_fault(kind: type[BaseException], _error: BaseException, trace: TracebackType | None) -> None:
    """Write the error's type and places on one line: a traceback and an error's text quote what strangers wrote."""
    frames = traceback.extract_tb(trace)[-_MOST_PLACES:]
    places = " < ".join(f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
    sys.stderr.write(f"error: a fault of this program, please report it: {kind.__name__} ({places})\n")
