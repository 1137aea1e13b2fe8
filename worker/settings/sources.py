"""Where settings come from: env file, credentials, default places; and their problems, one line each, no secrets."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from worker.domain.errors import DropboxError
from worker.domain.text import clean

PREFIX = "BCC_DROPBOX_"
_LONGEST_SHOWN = 300
"""Characters of a bad value; long enough to show a whole path."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One line for the operator, and the fields it depends on: a bad value of one makes the problem meaningless."""

    line: str
    fields: frozenset[str] = frozenset()
    is_bad_value: bool = False


class SettingsError(DropboxError):
    """The settings cannot be used; nothing was started. Its text has one line for each problem."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def variable(field: str) -> str:
    """Return the name in the environment: ``imap_host`` → ``BCC_DROPBOX_IMAP_HOST``."""
    return PREFIX + field.upper()


def missing(field: str, should_be: str) -> Problem:
    """Return the problem of a required setting that is not set."""
    return Problem(f"{variable(field)} is not set: it should be {should_be}", frozenset({field}))


def bad_value(field: str, value: str | None, should_be: str) -> Problem:
    """Return the problem of an unreadable value; pass None as ``value`` to keep a secret out of the text."""
    stated = "has a bad value" if value is None else f"is '{clean(value, most=_LONGEST_SHOWN)}'"
    return Problem(f"{variable(field)} {stated}: it should be {should_be}", frozenset({field}), is_bad_value=True)


def unknown(name: str, known: Iterable[str]) -> Problem:
    """Return the problem of an unknown name with our prefix, with the nearest known name as a hint."""
    near = get_close_matches(name.upper().removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in known], n=1)
    hint = f"; did you mean {PREFIX}{near[0]}?" if near else ""
    return Problem(f"{clean(name, most=80)} is not a setting{hint}")


_TAKEN = ("imap_password", "oauth_client_secret", "oauth_refresh_token")
_REFUSED = ("database_url", "smtp_url")
"""Refused, because commands see no credential: a command would then work on another database than the service."""


def read_credentials() -> tuple[dict[str, str], list[Problem]]:
    """Return the secrets by field name, and the problems that were found."""
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    if not given:
        return {}, []
    folder = Path(given)
    problems = [
        Problem(f"the credential {name} is not read, as commands would not have it: set {variable(name)} instead")
        for name in _REFUSED
        if os.path.lexists(folder / name)
    ]
    secrets = {}
    for name in _TAKEN:
        try:
            secrets[name] = (folder / name).read_text(encoding="utf-8").strip("\r\n")
        except FileNotFoundError:
            continue
        except UnicodeDecodeError:
            problems.append(Problem(f"credential {folder / name} cannot be read: it is not UTF-8 text"))
        except OSError as error:
            line = f"credentials in {folder} cannot be read: {os.strerror(error.errno or 0)}"
            return {}, [Problem(line, frozenset(_TAKEN), is_bad_value=True)]
    return secrets, problems


def read_env_file(path: Path) -> tuple[dict[str, str], list[Problem]]:
    """Return the variables with our prefix, names in upper case, and the problems; never shows a line's text.

    Lines are read as they are, so that a ``$`` in a password stays one.
    """
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
    """Return the line number; the parser counts from the blank lines before the entry."""
    text = found.original.string
    return found.original.line + text[: len(text) - len(text.lstrip())].count("\n")


def default_database_url() -> str:
    """Return the URL of the SQLite file in the state folder."""
    return f"sqlite:///{state_folder() / 'bcc-dropbox.sqlite3'}"


def state_folder() -> Path:
    """Return the folder for the worker's own files: the service's state directory, else the user's data folder."""
    if given := os.environ.get("STATE_DIRECTORY"):
        return Path(given.partition(":")[0])  # systemd.exec(5): several are joined by colons
    installed = Path("/var/lib/bcc-dropbox")
    if installed.is_dir() and installed.stat().st_uid == os.geteuid():
        return installed
    try:
        data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    except RuntimeError:  # neither HOME nor an entry in passwd
        return installed
    return Path(data) / "bcc-dropbox"
