"""Run the command line, in this process or as a process, with settings of a test's own.

A process costs half a second, so a test that only prepares or looks runs its commands in this process.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from typer.testing import CliRunner

from tests.harness.warm import run_warm
from tests.secrecy import judge
from tests.servers.dovecot import PASSWORD
from worker.cli.app import app

ADDRESS = "drop@drop.example.com"
COMMAND = Path(sys.executable).with_name("bcc-dropbox")
PREFIX = "BCC_DROPBOX_"


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str
    raw: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The log lines."""
        return [json.loads(line) for line in self.err.splitlines() if line.startswith("{")]

    def require_success(self) -> "Ran":
        assert self.code == 0, f"exit {self.code}\n{self.out}\n{self.err}"
        return self


def mailbox_settings(port: int, user: str, database_url: str) -> dict[str, str]:
    """Return the settings of a worker on this mailbox and this database, by name."""
    return {
        "address": ADDRESS,
        "imap_host": "127.0.0.1",
        "imap_port": str(port),
        "imap_tls": "none",
        "imap_user": user,
        "imap_password": PASSWORD,
        "database_url": database_url,
        "poll_seconds": "150",  # no poll comes by the clock while a test looks at one
        "sender_auth": "off",
    }


def as_variables(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables of these settings."""
    return {f"{PREFIX}{name.upper()}": value for name, value in settings.items()}


def with_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of this process with these variables in place of its own settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)} | dict(variables)


def run_here(arguments: Sequence[str], environment: Mapping[str, str] | None = None, stdin: bytes | None = None) -> Ran:
    """Run the command in this process; in its environment unless another is given. An unexpected error is raised."""
    absent = dict.fromkeys(name for name in os.environ if name.startswith(PREFIX) and environment is not None)
    variables: dict[str, str | None] = {**absent, **(environment or {})}
    try:
        result = CliRunner().invoke(app, list(arguments), input=stdin, env=variables, prog_name=COMMAND.name)
    finally:
        structlog.reset_defaults()  # the command logs to a file that is closed now
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    judge(arguments, result.stdout_bytes.decode(errors="replace") + result.stderr)
    return Ran(result.exit_code, result.stdout, result.stderr, result.stdout_bytes)


def run_process(arguments: Sequence[str], environment: Mapping[str, str]) -> Ran:
    """Run the command as a process to its end."""
    return _judged(arguments, run_warm(arguments, environment, 60))


def run_installed(arguments: Sequence[str], environment: Mapping[str, str], timeout: float = 60) -> Ran:
    """Run the installed program to its end, for tests of how it starts."""
    done = subprocess.run(
        [COMMAND, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    return _judged(arguments, done)


def _judged(arguments: Sequence[str], done: "subprocess.CompletedProcess[bytes]") -> Ran:
    out = done.stdout.decode(errors="replace")
    judge(arguments, out + done.stderr.decode())
    return Ran(done.returncode, out, done.stderr.decode(), done.stdout)
