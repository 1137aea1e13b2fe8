"""The service as a process: its log as it comes, its signals, its end."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from typer.testing import CliRunner

from tests.secrecy import judge
from tests.servers.dovecot import PASSWORD
from worker.cli.app import app

COMMAND = Path(sys.executable).with_name("bcc-dropbox")


@dataclass
class Installation:
    """An env file, and the services that were started with it."""

    env_file: Path
    settings: dict[str, str]
    environment: dict[str, str] = field(default_factory=dict)
    started: list["Running"] = field(default_factory=list)

    def write(self, **changes: str) -> None:
        """Rewrite the env file."""
        self.settings |= changes
        lines = (f"BCC_DROPBOX_{name.upper()}={value}\n" for name, value in self.settings.items())
        self.env_file.write_text("".join(lines))

    def start(self, command: str = "run", **changes: str) -> "Running":
        return self.start_as([COMMAND], command, **changes)

    def start_as(self, program: Sequence[str | Path], command: str = "run", **changes: str) -> "Running":
        """Start a program of one's own in place of the installed one."""
        self.write(**changes)
        environment = {name: os.environ[name] for name in os.environ.keys() - set(_ours(os.environ))}
        running = Running([*program, "--env-file", self.env_file, command], environment | self.environment)
        self.started.append(running)
        return running

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        self.write()
        command = [str(COMMAND), "--env-file", str(self.env_file), *arguments]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        judge(arguments, ran.stdout + ran.stderr)
        return ran

    def admin(self, *arguments: str) -> Any:
        """Run a command with --json inside this process, which is faster, and return its output."""
        self.write()
        command = ["--env-file", str(self.env_file), *arguments, "--json"]
        result = CliRunner().invoke(app, command, env=dict.fromkeys(_ours(os.environ)), prog_name=COMMAND.name)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


def mailbox_settings(port: int, user: str, database_url: str) -> dict[str, str]:
    return {
        "address": "drop@drop.example.com",
        "imap_host": "127.0.0.1",
        "imap_port": str(port),
        "imap_tls": "none",
        "imap_user": user,
        "imap_password": PASSWORD,
        "database_url": database_url,
        "poll_seconds": "150",
        "sender_auth": "off",
    }


def _ours(environment: Iterable[str]) -> list[str]:
    return [name for name in environment if name.startswith("BCC_DROPBOX_")]


class Running:
    """One process; every line of its log is read as it is written."""

    def __init__(self, command: list[str | Path], environment: Mapping[str, str]) -> None:
        self.events: list[dict[str, Any]] = []
        self.plain: list[str] = []
        self._written = ""
        self._news = threading.Condition()
        self.process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def names(self) -> list[str]:
        return [event["event"] for event in self.events]

    def count(self, name: str) -> int:
        return self.names.count(name)

    def wait_for(self, name: str, seconds: float = 15, times: int = 1) -> dict[str, Any]:
        """Give the event once it was logged so often."""
        with self._news:
            found = self._news.wait_for(lambda: self.count(name) >= times or self._is_over(), seconds)
        assert found, f"no {name} within {seconds} seconds: {self._last_words()}"
        assert self.count(name) >= times, f"ended without {name}: {self._last_words()}"
        return [event for event in self.events if event["event"] == name][times - 1]

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal; give the exit code and the seconds it took."""
        began = time.monotonic()
        self.send(number)
        return self.wait(), time.monotonic() - began

    def wait(self, seconds: float = 20) -> int:
        code = self.process.wait(seconds)
        self._reader.join(5)
        judge(["run"], self._written)
        return code

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        self._reader.join(5)
        judge(["run"], self._written)
        if self.process.stderr:
            self.process.stderr.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()

    def _last_words(self) -> str:
        return "\n".join(map(str, [*self.events[-20:], *self.plain[-20:]]))

    def _is_over(self) -> bool:
        return not self._reader.is_alive() and self.process.poll() is not None

    def _read(self) -> None:
        for line in self.process.stderr or ():
            with self._news:
                self._written += line
                if line.startswith("{"):
                    self.events.append(json.loads(line))
                else:
                    self.plain.append(line)
                self._news.notify_all()
        with self._news:
            self._news.notify_all()
