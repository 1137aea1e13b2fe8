"""One server process: started in a group of its own, awaited, stopped, and gone when we are."""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

# Outlives this process to end the server and remove its folder, even after a SIGKILL:
# its standard input closes when we die, however we die.
GUARD = """
cat >/dev/null
kill -TERM "-$1" 2>/dev/null && sleep 2
kill -KILL "-$1" 2>/dev/null
rm -rf -- "$2"
"""
SHARED_MEMORY = Path("/dev/shm")
PYTESTS_FOLDER = "PYTEST_DEBUG_TEMPROOT"
"""Environment variable by which pytest finds the folder for its own folders."""
ROOM = 4 * 1024**3
"""Bytes: several times what a run of all tests leaves."""
STARTED: list["ServerProcess"] = []


def free_port() -> int:
    """Find a port that no client is given by chance while its server is stopped: those are taken from 32768 on."""
    while True:
        port = random.randrange(16_384, 32_768)
        with suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            return port


def memory() -> Path | None:
    """Return a folder in memory for the files of tests, where the machine has one with room for all of them.

    A commit of SQLite waits 7 ms for a disk. No test cuts the power, so no test needs one.
    """
    with suppress(OSError):
        found = os.statvfs(SHARED_MEMORY)
        if not found.f_flag & os.ST_NOEXEC and found.f_bavail * found.f_frsize > ROOM:
            return SHARED_MEMORY
    return None


def new_folder(name: str, place: Path | None = None) -> Path:
    """Make a folder that an unprivileged server can reach, which pytest's own are not.

    It lies beside pytest's own folders unless a place is given. A benchmark runs without pytest, so it gets the disk.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"bcc-{name}-", dir=place or os.environ.get(PYTESTS_FOLDER)))
    folder.chmod(0o755)
    return folder


def accepts(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _lives(group: int) -> bool:
    """Return True if a process group has a member that is not a zombie (proc(5), stat)."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                return True
    return False


class ServerProcess:
    """A server in the foreground, whose whole process group ends with it."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        *,
        ready: Callable[[], bool],
        stop_signal: signal.Signals = signal.SIGTERM,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._command = command
        self._folder = folder
        self._ready = ready
        self._stop_signal = stop_signal
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._changing = threading.RLock()

    @property
    def pid(self) -> int:
        """Of the running server."""
        assert self._process is not None
        return self._process.pid

    def start(self, seconds: float = 20) -> None:
        """Start the server and return once it is ready; where another thread still ends it, after that."""
        with self._changing:
            self._start(seconds)

    def _start(self, seconds: float) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env={**os.environ, **(self._environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "guard", str(self._process.pid), str(self._folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        if self not in STARTED:
            STARTED.append(self)
        self._await_ready(time.monotonic() + seconds)

    def revive(self) -> None:
        """Start it again if a test ended it and failed before it started it itself: that test is to fail alone."""
        if self._process is None:
            self.start()

    def stop(self) -> None:
        """Stop the server as its operator would; its folder stays, so that it can start again."""
        self._end(self._stop_signal)

    def kill(self) -> None:
        """End the server at once, as a power cut would."""
        self._end(signal.SIGKILL)

    def remove(self) -> None:
        """Stop the server and remove all its files."""
        self.stop()
        if self in STARTED:
            STARTED.remove(self)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _end(self, first: signal.Signals) -> None:
        with self._changing:
            if self._process is not None:
                self._end_it(first, self._process)

    def _end_it(self, first: signal.Signals, process: "subprocess.Popen[bytes]") -> None:
        self._dismiss_guard()
        process.send_signal(first)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._await_the_group(process.pid)
        self._process = None

    def _await_the_group(self, group: int) -> None:
        """A port listens until the last child that inherited it is dead, which is after its parent was waited for."""
        deadline = time.monotonic() + 10
        while _lives(group):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name}: a process of its group outlived SIGKILL")
            time.sleep(0.005)

    def _dismiss_guard(self) -> None:
        if self._guard is not None:
            self._guard.kill()
            self._guard.wait()
            if self._guard.stdin is not None:
                self._guard.stdin.close()
            self._guard = None

    def _await_ready(self, deadline: float) -> None:
        while not self._ready():
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError(f"{self.name} ended at its start:\n{self.log.read_text()}")
            if time.monotonic() > deadline:
                log = self.log.read_text()
                self.kill()
                raise RuntimeError(f"{self.name} did not get ready:\n{log}")
            time.sleep(0.01)
