"""Results: JSON for programs, tables for people, columns for pipes, notes on stderr, files that the user named."""

import json
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from pwd import getpwuid
from shlex import quote
from typing import Any, BinaryIO

import typer

from worker.domain.errors import Refused
from worker.domain.text import clean

_WIDEST = 60
"""Characters. A longer text is printed whole and shifts only its own line: a subject may have 998 characters."""

Cell = str | int | bool | datetime | None | Sequence[str]


def print_json(value: object) -> None:
    """Print one JSON value in ASCII, so that no text from a mail can control the terminal."""
    typer.echo(json.dumps(value, indent=2, default=_to_json))


def print_rows(headings: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Print a table on a terminal, and columns of complete text elsewhere."""
    texts = [[_text_of(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_table(headings, texts)
    else:
        _print_columns([list(headings), *texts])


def print_fields(fields: Iterable[tuple[str, Cell]]) -> None:
    """Print one thing, a line for each of its fields."""
    _print_columns([[name, _text_of(cell)] for name, cell in fields])


def print_one(fields: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one thing: JSON for programs, a line for each of its fields for people."""
    if as_json:
        print_json(fields)
    else:
        print_fields(fields.items())


def print_list(headings: Sequence[str], rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print a list of things: JSON for programs, a table of their fields for people."""
    if as_json:
        print_json(rows)
    else:
        print_rows(headings, [tuple(row.values()) for row in rows])


def note(text: str) -> None:
    """Print a note for the person on stderr, apart from the result."""
    typer.echo(clean(text), err=True)


def cut(rows: Sequence[Any], limit: int) -> Sequence[Any]:
    """Return the first ``limit`` rows (0: all) and print a note when there are more."""
    if limit and len(rows) > limit:
        note(f"only {limit} are shown: --limit 0 shows all")
        return rows[:limit]
    return rows


def one_more(limit: int) -> int | None:
    """Return the number of rows to read: one more than the limit, so that `cut` sees whether there are more."""
    return limit + 1 if limit else None


def _text_of(cell: Cell) -> str:
    """Format a value for people."""
    if cell is None or cell == "":
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, datetime):
        return time_text(cell)
    if isinstance(cell, (str, int)):
        return clean(str(cell))
    return ", ".join(map(clean, cell)) or "-"


def time_text(moment: datetime) -> str:
    """Format a time in ISO 8601, in UTC, to the second."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


@contextmanager
def progress_bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar on stderr if that is a terminal. Yields a function that takes the number that is done."""
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console  # costs more than a small import takes
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


def size_text(octets: float) -> str:
    """Return a number of bytes in the unit that suits it."""
    for size, unit in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "KB")):
        if abs(octets) >= size:
            return f"{octets / size:.1f} {unit}"
    return f"{octets:.0f} bytes"


def _to_json(value: object) -> object:
    if isinstance(value, datetime):
        return time_text(value)
    raise TypeError(f"{type(value).__name__} has no JSON form here")


def _print_table(headings: Sequence[str], texts: Sequence[Sequence[str]]) -> None:
    from rich import box  # costs more than the rest of the command
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*headings, box=box.SIMPLE_HEAD)
    for row in texts:
        table.add_row(*(Text(text, overflow="fold") for text in row))
    Console().print(table)


def _print_columns(rows: Sequence[Sequence[str]]) -> None:
    widths = [min(max(map(len, column)), _WIDEST) for column in zip(*rows, strict=True)]
    lines = ("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    if rows:
        typer.echo("\n".join(lines))


STDIN = Path("-")


def write_result(content: bytes, file: Path | None) -> None:
    """Write a result to a file that only its owner may read (0600), or to stdout, byte for byte.

    Raises:
        Refused: when the file cannot be written.
    """
    if file is None:
        typer.echo(content, nl=False)
        return
    try:
        _write_privately(file, content)
    except PermissionError as error:
        raise Refused(f"{_unreachable(file, 'written')}; let your shell write it: … > {quote(str(file))}") from error
    except OSError as error:
        raise Refused(f"{file} cannot be written: {error.strerror}") from error
    note(f"{len(content)} bytes written to {file}")


def _write_privately(file: Path, content: bytes) -> None:
    """Close the file to others before anything is in it. Another user's file and a device keep their mode."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as stream:
        found = os.fstat(stream.fileno())
        if stat.S_ISREG(found.st_mode):
            if found.st_uid == os.geteuid():
                os.fchmod(stream.fileno(), 0o600)
            stream.truncate()
        stream.write(content)


@contextmanager
def opened(file: Path) -> Iterator[BinaryIO]:
    """Open the file for reading; ``-`` is stdin.

    Raises:
        Refused: when it cannot be read.
    """
    if file == STDIN:
        yield sys.stdin.buffer
        return
    try:
        stream = file.open("rb")
        stream.read(0)
    except PermissionError as error:
        raise Refused(f"{_unreachable(file, 'read')}; let your shell read it: … - < {quote(str(file))}") from error
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}") from error
    with stream:
        yield stream


def _unreachable(file: Path, done: str) -> str:
    """Name the user: an installed command runs as the service's user, who may not reach what root's shell may."""
    return f"{file} cannot be {done} by the user {_who()}: Permission denied"


def _who() -> str:
    try:
        return getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
