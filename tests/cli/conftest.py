"""The command line in this process, on an SQLite database of its own, and mail filed behind its back."""

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.command import Ran, run_here
from tests.harness.crm import arriving
from worker.crm.work import Crm
from worker.store.database import Database

JANE = "jane@acme.example"
BEN = "ben@acme.example"
CARL = "carl@client.example"


class CommandLine:
    """Runs commands that are written as a person would type them."""

    def run(self, line: str, *more: str, stdin: bytes = b"") -> Ran:
        return run_here([*shlex.split(line), *more], stdin=stdin)

    def ok(self, line: str, *more: str) -> Ran:
        return self.run(line, *more).require_success()

    def json(self, line: str, *more: str) -> Any:
        return self.ok(f"{line} --json", *more).json

    def refused(self, line: str, *more: str) -> str:
        """Return the one line of the error; check that stdout is empty."""
        ran = self.run(line, *more)
        assert (ran.code, ran.out) == (1, "")
        [error] = ran.err.splitlines()
        assert error.startswith("error: ")
        return error

    def misused(self, line: str) -> str:
        ran = self.run(line)
        assert (ran.code, ran.out) == (2, "")
        return ran.err


@pytest.fixture
def database_file(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BCC_DROPBOX_ADDRESS", "drop@drop.example")
    monkeypatch.setenv("BCC_DROPBOX_DATABASE_URL", sqlite_url)
    return Path(sqlite_url.removeprefix("sqlite:///"))


@pytest.fixture
def cli(database_file: Path) -> CommandLine:
    return CommandLine()


@pytest.fixture
def arrive(cli: CommandLine, database_file: Path) -> Iterator[Callable[..., int]]:
    """File a mail through the dropbox of a user; gives its UID."""
    database = Database.open(f"sqlite:///{database_file}")
    arrive_one = arriving(Crm(database))
    yield lambda *of_whom, **more: arrive_one(*of_whom, **more).uid
    database.close()
