"""Results that are files, under a name that the user chose."""

import os
import sys
from pathlib import Path
from pwd import getpwuid
from shlex import quote

import typer

from worker.cli.output import note
from worker.domain.errors import Refused

STDIN = Path("-")


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
    except PermissionError as error:
        raise Refused(f"{_unreachable(file, 'written')}; let your shell write it: … > {quote(str(file))}") from error
    except OSError as error:
        raise Refused(f"{file} cannot be written: {error.strerror}") from error
    note(f"{len(content)} octets written to {file}")


def read_file(file: Path) -> bytes:
    """The whole file; ``-`` is stdin.

    Raises:
        Refused: when it cannot be read.
    """
    if file == STDIN:
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except PermissionError as error:
        raise Refused(f"{_unreachable(file, 'read')}; let your shell read it: … - < {quote(str(file))}") from error
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}") from error


def _unreachable(file: Path, done: str) -> str:
    """An installed command runs as the service's user, also for root: that user may not reach what root's shell may."""
    return f"{file} cannot be {done} by the user {_who()}: Permission denied"


def _who() -> str:
    try:
        return getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
