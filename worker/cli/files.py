"""Results that are files, under a name that the user chose."""

from pathlib import Path

import typer

from worker.cli.output import note
from worker.domain.errors import Refused


def write_result(content: bytes, file: Path | None) -> None:
    """To the file, or to stdout octet for octet.

    Raises:
        Refused: when the file cannot be written.
    """
    if file is None:
        typer.echo(content, nl=False)
        return
    try:
        file.write_bytes(content)
    except OSError as error:
        raise Refused(f"{file} cannot be written: {error.strerror}") from error
    note(f"{len(content)} octets written to {file}")


def read_file(file: Path) -> bytes:
    """The whole file.

    Raises:
        Refused: when it cannot be read.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}") from error
