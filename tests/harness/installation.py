"""One installation of the worker: its settings, the commands and services that have them, its mailbox and database."""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from tests.harness.command import COMMAND, Ran, as_variables, mailbox_settings, run_here, run_process, with_variables
from tests.harness.running import Running
from tests.secrecy import judge
from tests.servers.dovecot import Dovecot
from worker.settings import Settings

NO_ENV_FILE = Path("/nonexistent/worker.env")


@dataclass(frozen=True)
class Took:
    """Seconds of one processor, and the most memory in MB."""

    seconds: float
    megabytes: float


MEASURING = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"\\n{used.ru_utime + used.ru_stime} {used.ru_maxrss}", end="")
sys.exit(code)
"""


class Installation:
    """The settings by name, and the services that were started with them.

    The settings are written to the env file; without one they are given as environment variables.
    """

    def __init__(self, settings: Mapping[str, str], env_file: Path = NO_ENV_FILE) -> None:
        self.settings = dict(settings)
        self.env_file = env_file
        self.service_variables: dict[str, str] = {}
        self.started: list[Running] = []
        self.run_command: Callable[[Sequence[str], Mapping[str, str]], Ran] = run_process

    @property
    def database_url(self) -> str:
        return self.settings["database_url"]

    def variables(self, **changes: str) -> dict[str, str]:
        """Return the settings as environment variables."""
        return as_variables(self.settings | changes)

    @property
    def environment(self) -> dict[str, str]:
        return with_variables(self.variables())

    def loaded(self, **changes: str) -> Settings:
        """Load the settings in this process."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.variables(**changes).items():
                patch.setenv(name, value)
            return Settings.load_for_mailbox()

    def write(self, **changes: str) -> None:
        """Change settings, and rewrite the env file."""
        self.settings |= changes
        if self.env_file != NO_ENV_FILE:
            self.env_file.write_text("".join(f"{name}={value}\n" for name, value in self.variables().items()))

    def run(self, *arguments: str, **changes: str) -> Ran:
        """Run the command to its end, with these settings besides."""
        return self.run_command(*self._called(arguments, changes))

    def ok(self, *arguments: str, **changes: str) -> Ran:
        """Run the command and require exit code 0."""
        return self.run(*arguments, **changes).require_success()

    def admin(self, *arguments: str) -> Ran:
        """Run a command that only prepares or looks, in this process, and require exit code 0."""
        return run_here(*self._called(arguments, {})).require_success()

    def measured(self, *arguments: str) -> tuple[Ran, Took]:
        """Run the command and measure it; a small process in between counts only its own children."""
        command, environment = self._called(arguments, {})
        between = [sys.executable, "-S", "-c", MEASURING, str(COMMAND), *command]
        done = subprocess.run(between, env=environment, capture_output=True, timeout=120, check=False)
        out, _, took = done.stdout.decode().rpartition("\n")
        assert done.returncode == 0, f"{arguments}: {out}\n{done.stderr.decode()}"
        judge(arguments, out + done.stderr.decode())
        seconds, kilobytes = took.split()
        return Ran(done.returncode, out, done.stderr.decode()), Took(float(seconds), int(kilobytes) / 1024)

    def start(self, command: str = "run", **changes: str) -> Running:
        """Change settings, and start the command."""
        return self.start_as([COMMAND], command, **changes)

    def start_as(self, program: Sequence[str | Path], command: str = "run", **changes: str) -> Running:
        """Start a program of one's own in place of the installed one."""
        self.settings |= changes
        arguments, environment = self._called([command], {})
        self.started.append(Running([*program, *arguments], environment | self.service_variables))
        return self.started[-1]

    def kill(self) -> None:
        """Kill the services."""
        for running in self.started:
            running.kill()

    def add_user(self, login: str, *arguments: str) -> str:
        """Make a user; gives the dropbox address."""
        address = self.admin("user", "add", login, *arguments, "--json").json["address"]
        assert isinstance(address, str)
        return address

    def address_of(self, login: str) -> str:
        return str(self.admin("dropbox", "show", login, "--json").json["address"])

    def poll(self, **changes: str) -> dict[str, int]:
        """One poll; the counts by outcome that are not zero."""
        counts = self.ok("poll", "--json", **changes).json
        return {outcome: counts[outcome] for outcome in counts if counts[outcome]}

    def sent_emails(self, module: str, address: str) -> list[dict[str, Any]]:
        """A record's list "Sent Emails from CRM"."""
        found = self.admin("email", "list", f"--{module}", address, "--json").json
        assert isinstance(found, list)
        return found

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Read the database as it is now."""
        engine = create_engine(self.database_url)
        try:
            with engine.connect() as connection:
                return [tuple(row) for row in connection.execute(text(statement))]
        finally:
            engine.dispose()

    def count(self, table: str) -> int:
        ((rows,),) = self.query(f"SELECT count(*) FROM {table}")
        return int(rows)

    def _called(self, arguments: Sequence[str], changes: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
        """Return the arguments and the environment of a command."""
        if self.env_file == NO_ENV_FILE:
            return [*arguments], with_variables(self.variables(**changes))
        self.write()
        return ["--env-file", str(self.env_file), *arguments], with_variables(as_variables(changes))


class Dropbox(Installation):
    """An installation whose mailbox is on a Dovecot."""

    def __init__(
        self,
        dovecot: Dovecot,
        mailbox: str,
        database_url: str,
        settings: Mapping[str, str] | None = None,
        env_file: Path = NO_ENV_FILE,
    ) -> None:
        super().__init__(mailbox_settings(dovecot.imap, mailbox, database_url) | dict(settings or {}), env_file)
        self.dovecot = dovecot

    @property
    def mailbox(self) -> str:
        return self.settings["imap_user"]

    def deliver(self, *raws: bytes, arrived: float | None = None) -> None:
        """Put the messages into the mailbox; ``arrived`` in epoch seconds."""
        for raw in raws:
            self.dovecot.deliver(self.mailbox, raw, arrived=arrived)

    def folder(self, name: str | None = None) -> list[bytes]:
        return self.dovecot.folder(self.mailbox, name and self.dovecot.settings.prefix + name)
