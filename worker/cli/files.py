"""Results that are files, under a name that the user chose."""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pwd import getpwuid
from shlex import quote
from typing import BinaryIO

import typer

from worker.cli.output import note
from worker.domain.errors import Refused

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
