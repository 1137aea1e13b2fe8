"""The worker as a process of its own, and what it takes while it runs."""

import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Self

from tests.benchmarks.company import DROPBOX, RECEIVED_BY
from tests.servers.dovecot import PASSWORD

_PROGRAM = (sys.executable, "-m", "worker")
_SAMPLE_SECONDS = 0.03
_REPOSITORY = Path(__file__).parents[2]

Event = dict[str, Any]


@dataclass(frozen=True)
class Post:
    """Where an instance works: a mailbox behind a port, and a database."""

    port: int
    user: str
    database_url: str

    def environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        """The whole environment: nothing of the caller's own settings gets in."""
        named = {
            "ADDRESS": str(DROPBOX.base),
            "IMAP_HOST": "127.0.0.1",
            "IMAP_PORT": str(self.port),
            "IMAP_TLS": "none",
            "IMAP_USER": self.user,
            "IMAP_PASSWORD": PASSWORD,
            "DATABASE_URL": self.database_url,
            "RECEIVED_BY": RECEIVED_BY,
            "LOG_FORMAT": "json",
            "SENDER_AUTH": "off",
            **settings,
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("BCC_DROPBOX_")}
        return inherited | {f"BCC_DROPBOX_{name}": value for name, value in named.items()}


@dataclass(frozen=True)
class Drained:
    """One whole poll. ``seconds`` runs from the connecting to the last move; ``wall`` is the process's whole life."""

    counts: Mapping[str, int]
    seconds: float
    finished_at: float
    wall: float
    cpu_seconds: float
    peak_octets: int


class WorkerFailed(Exception):
    """The process failed at its task; the text holds its log."""


class Poll:
    """``poll --json`` under way. Its log goes to a file, as a journal takes it."""

    def __init__(self, post: Post, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        self._log = folder / f"{post.user}.log"
        self._started = time.monotonic()
        self._process = _start(post, ("poll", "--json"), settings or {}, self._log.open("wb"))

    def wait(self) -> Drained:
        """Look at its memory until it ends; the kernel keeps the peak, so that only the very last moments can hide."""
        usage, peak = wait(self._process)
        wall = time.monotonic() - self._started
        assert self._process.stdout is not None
        printed = self._process.stdout.read()
        self._process.stdout.close()
        finished = [event for event in _events(self._log) if event.get("event") == "poll.finished"]
        if self._process.returncode or not finished:
            raise WorkerFailed(self._log.read_text()[-4000:])
        return Drained(
            counts=json.loads(printed),
            seconds=float(finished[-1]["seconds"]),
            finished_at=datetime.fromisoformat(finished[-1]["timestamp"]).timestamp(),
            wall=wall,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            peak_octets=peak,
        )


class Service:
    """``run`` under way: its events as they come, with the moment at which each was read."""

    def __init__(self, post: Post, settings: Mapping[str, str]) -> None:
        self.events: list[tuple[float, Event]] = []
        self._changed = threading.Condition()
        self._process = _start(post, ("run",), settings, subprocess.PIPE)
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        self.wait_for(lambda event: event["event"] == "poll.finished")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        for stream in (self._process.stdout, self._process.stderr):
            assert stream is not None
            stream.close()

    def wait_for(self, wanted: Callable[[Event], bool], seconds: float = 60) -> float:
        """The moment (``time.monotonic``) at which the first event that is wanted was read."""
        deadline = time.monotonic() + seconds
        seen = 0
        with self._changed:
            while True:
                for moment, event in self.events[seen:]:
                    if wanted(event):
                        return moment
                seen = len(self.events)
                if self._process.poll() is not None or not self._changed.wait(deadline - time.monotonic()):
                    raise WorkerFailed(f"waited in vain; its last events: {[event for _, event in self.events[-3:]]}")

    @property
    def cpu_seconds(self) -> float:
        """All threads, to the nanosecond: the CPU clock of a process is named by its id (clock_getcpuclockid(3))."""
        return time.clock_gettime(~self.pid << 3 | 2)

    @property
    def resident_octets(self) -> int:
        return _memory(self.pid, "VmRSS")

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            moment = time.monotonic()
            with suppress(json.JSONDecodeError), self._changed:
                self.events.append((moment, json.loads(line)))
                self._changed.notify_all()


def wait(process: "subprocess.Popen[bytes]") -> tuple[resource.struct_rusage, int]:
    """Wait for the end of a process; return what it used and the most memory that it held, in octets.

    For a process that has ended, the kernel may give the peak of the process which started it.
    """
    peak = 0
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        peak = max(peak, peak_octets(process.pid))
        time.sleep(_SAMPLE_SECONDS)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage, peak


def peak_octets(pid: int) -> int:
    """The most memory that the process has held at once; 0 when it is gone."""
    return _memory(pid, "VmHWM")


def _start(post: Post, arguments: tuple[str, ...], settings: Mapping[str, str], log: IO[bytes] | int) -> Any:
    return subprocess.Popen(
        [*_PROGRAM, *arguments],
        cwd=_REPOSITORY,
        env=post.environment(settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
    )


def _memory(pid: int, name: str) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    return 0


def _events(log: Path) -> list[Event]:
    events: list[Event] = []
    for line in log.read_text().splitlines():
        with suppress(json.JSONDecodeError):
            events.append(json.loads(line))
    return events
