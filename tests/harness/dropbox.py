"""One installation of the worker: a mailbox, a database, and the command that is given its settings as variables."""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.harness.command import (
    COMMAND,
    Ran,
    as_variables,
    mailbox_settings,
    run_here,
    run_process,
    with_variables,
)
from tests.secrecy import judge
from tests.servers.dovecot import Dovecot


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


@dataclass
class Dropbox:
    """The worker of one test."""

    dovecot: Dovecot
    mailbox: str
    database_url: str
    settings: dict[str, str] = field(default_factory=dict)
    run_command: Callable[[Sequence[str], Mapping[str, str], float], Ran] = run_process

    @property
    def environment(self) -> dict[str, str]:
        authenticates = "required" if "BCC_DROPBOX_AUTHSERV_ID" in self.settings else "off"
        named = mailbox_settings(self.dovecot.imap, self.mailbox, self.database_url) | {"sender_auth": authenticates}
        return with_variables(as_variables(named) | self.settings)

    def run(self, *arguments: str, settings: Mapping[str, str] | None = None, timeout: float = 60) -> Ran:
        """Run the command to its end."""
        return self.run_command(arguments, self.environment | dict(settings or {}), timeout)

    def ok(self, *arguments: str, settings: Mapping[str, str] | None = None) -> Ran:
        """Run the command and require exit code 0."""
        return self.run(*arguments, settings=settings).require_success()

    def measured(self, *arguments: str) -> tuple[Ran, Took]:
        """Run the command and measure it; a small process in between counts only its own children."""
        between = [sys.executable, "-S", "-c", MEASURING, str(COMMAND), *arguments]
        done = subprocess.run(between, env=self.environment, capture_output=True, timeout=120, check=False)
        out, _, took = done.stdout.decode().rpartition("\n")
        assert done.returncode == 0, f"{arguments}: {out}\n{done.stderr.decode()}"
        judge(arguments, out + done.stderr.decode())
        seconds, kilobytes = took.split()
        return Ran(done.returncode, out, done.stderr.decode()), Took(float(seconds), int(kilobytes) / 1024)

    def admin(self, *arguments: str) -> Ran:
        """Run a command that only prepares or looks, in this process, and require exit code 0."""
        return run_here(arguments, self.environment).require_success()

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start the command and leave it running."""
        return subprocess.Popen(
            [COMMAND, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def add_user(self, login: str, *arguments: str) -> str:
        """Make a user; gives the dropbox address."""
        address = self.admin("user", "add", login, *arguments, "--json").json["address"]
        assert isinstance(address, str)
        return address

    def deliver(self, raw: bytes) -> None:
        self.dovecot.deliver(self.mailbox, raw)

    def poll(self) -> dict[str, int]:
        """One poll; the counts by outcome that are not zero."""
        counts = self.ok("poll", "--json").json
        return {outcome: counts[outcome] for outcome in counts if counts[outcome]}

    def folder(self, name: str | None = None) -> list[bytes]:
        return self.dovecot.folder(self.mailbox, name)

    def sent_emails(self, module: str, address: str) -> list[dict[str, Any]]:
        """A record's list "Sent Emails from CRM"."""
        found = self.admin("email", "list", f"--{module}", address, "--json").json
        assert isinstance(found, list)
        return found
