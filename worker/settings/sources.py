"""Where settings come from: the env file, systemd's credentials, and the default places on this machine."""

import os
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from worker.settings.problems import PREFIX, Problem, variable

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
