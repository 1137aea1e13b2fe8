"""The service as a process: its log as it comes, its signals, its end."""

import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from tests.secrecy import judge

PATIENCE = 45.0
"""Seconds to wait for what comes at once on a quiet machine; a test of speed has a clock of its own."""


def await_true(question: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait until the answer is true."""
    end = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end, f"not within {seconds} seconds"
        time.sleep(0.02)


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

    def wait_for(self, name: str, seconds: float = PATIENCE, times: int = 1) -> dict[str, Any]:
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

    def wait(self, seconds: float = PATIENCE) -> int:
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
