"""One installation of the worker: a mailbox, a database, and the command that is run as a process.

What a test only prepares or looks at goes through the same commands within this process (`Dropbox.admin`): a process
costs half a second, and most of the tests' time would go into starting them.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from tests.secrecy import judge
from tests.servers.dovecot import PASSWORD, Dovecot
from worker.cli.app import app

ADDRESS = "drop@drop.example.com"
COMMAND = Path(sys.executable).with_name("bcc-dropbox")


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The log lines."""
        return [json.loads(line) for line in self.err.splitlines() if line.startswith("{")]


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

    @property
    def environment(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("BCC_DROPBOX_")}
        return {
            **ours,
            "BCC_DROPBOX_ADDRESS": ADDRESS,
            "BCC_DROPBOX_IMAP_HOST": "127.0.0.1",
            "BCC_DROPBOX_IMAP_PORT": str(self.dovecot.imap),
            "BCC_DROPBOX_IMAP_TLS": "none",
            "BCC_DROPBOX_IMAP_USER": self.mailbox,
            "BCC_DROPBOX_IMAP_PASSWORD": PASSWORD,
            "BCC_DROPBOX_DATABASE_URL": self.database_url,
            "BCC_DROPBOX_SENDER_AUTH": "required" if "BCC_DROPBOX_AUTHSERV_ID" in self.settings else "off",
            **self.settings,
        }

    def run(self, *arguments: str, settings: Mapping[str, str] | None = None, timeout: float = 60) -> Ran:
        """Run the command to its end."""
        done = subprocess.run(
            [COMMAND, *arguments],
            env=self.environment | dict(settings or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        judge(arguments, done.stdout.decode(errors="replace") + done.stderr.decode())
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    def ok(self, *arguments: str, settings: Mapping[str, str] | None = None) -> Ran:
        """Run the command and require exit code 0."""
        ran = self.run(*arguments, settings=settings)
        assert ran.code == 0, f"{arguments}: exit {ran.code}\n{ran.out}\n{ran.err}"
        return ran

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
        """A command that only prepares or looks, and must work; within this process."""
        result = CliRunner().invoke(app, list(arguments), env=self.environment, prog_name=COMMAND.name)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        judge(arguments, result.stdout + result.stderr)
        assert result.exit_code == 0, f"{arguments}: exit {result.exit_code}\n{result.output}"
        return Ran(result.exit_code, result.stdout, result.stderr)

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
