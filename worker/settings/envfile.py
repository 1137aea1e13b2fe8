"""The env file: NAME=value lines, read as they stand, so that a ``$`` in a password stays one."""

import os
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from worker.settings.problems import PREFIX, Problem


def read_env_file(path: Path) -> tuple[dict[str, str], list[Problem]]:
    """The variables with our prefix, names in upper case, and what could not be read; never shows a line's text."""
    try:
        with path.open(encoding="utf-8-sig") as stream:
            bindings = list(parse_stream(stream))
    except UnicodeDecodeError:
        return {}, [Problem(f"env file {path} cannot be read: it is not UTF-8 text")]
    except OSError as error:
        return {}, [Problem(f"env file {path} cannot be read: {os.strerror(error.errno or 0)}")]
    problems = [
        Problem(f"env file {path} line {_line(found)} cannot be read: it should be NAME=value")
        for found in bindings
        if found.error or (found.key and found.value is None)
    ]
    values = {found.key.upper(): found.value for found in bindings if found.key and found.value is not None}
    return {name: value for name, value in values.items() if name.startswith(PREFIX)}, problems


def _line(found: Binding) -> int:
    """The parser counts from the blank lines before."""
    text = found.original.string
    return found.original.line + text[: len(text) - len(text.lstrip())].count("\n")


def default_database_url() -> str:
    """SQLite in the state folder."""
    return f"sqlite:///{state_folder() / 'bcc-dropbox.sqlite3'}"


def state_folder() -> Path:
    """Where the worker keeps what is its own: the service's state directory; without a service, the user's data."""
    if given := os.environ.get("STATE_DIRECTORY"):
        return Path(given.partition(":")[0])  # systemd.exec(5): several are joined by colons
    installed = Path("/var/lib/bcc-dropbox")
    if installed.is_dir() and installed.stat().st_uid == os.geteuid():
        return installed
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "bcc-dropbox"
