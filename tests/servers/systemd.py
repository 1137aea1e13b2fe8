"""A systemd of the test's own, that sees this machine's files and leaves them as they are."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from tests.servers.process import new_folder
from tests.servers.requirement import require, require_root, unavailable

BOOT = Path(__file__).with_name("boot")
_LOG = ("journalctl", "--output=cat", "--lines=30")
NAMESPACES = ("--mount", "--pid", "--uts", "--ipc", "--cgroup")


class Systemd:
    """Booted when made; what is written below it goes with it. Not every machine lets one boot: then the test skips."""

    def __init__(self) -> None:
        require_root("systemd")
        require("unshare", "util-linux")
        require("systemd-analyze", "systemd")
        self._folder = new_folder("systemd")
        command: list[str | Path] = [
            "unshare",
            *NAMESPACES,
            "--fork",
            "--kill-child",
            "--propagation",
            "private",
            BOOT,
            self._folder,
        ]
        self._log = self._folder.with_suffix(".log")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._await_boot()

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command in there; gives what it says."""
        ran = self.tried(*command)
        if check and ran.returncode:
            raise AssertionError(f"{command}: {ran.stdout}{ran.stderr}\n{self.tried(*_LOG).stdout}")
        return ran.stdout.strip()

    def tried(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a command in there that may fail."""
        entering = ["nsenter", "--target", str(self._init), *NAMESPACES, "--root", "--wd"]
        return subprocess.run([*entering, "--", *command], capture_output=True, text=True, timeout=30, check=False)

    def path(self, inside: str) -> Path:
        """Give the path by which this machine sees a file in there."""
        return Path(f"/proc/{self._init}/root{inside}")

    def show(self, unit: str, what: str) -> str:
        """One property of a unit."""
        return self.run("systemctl", "show", unit, f"--property={what}", "--value")

    def wait_for(self, unit: str, what: str, value: str, seconds: float = 20) -> None:
        """Until the property begins with that value."""
        deadline = time.monotonic() + seconds
        while not (found := self.show(unit, what)).startswith(value):
            assert time.monotonic() < deadline, f"{what} is {found}: {self.run('journalctl', '-u', unit, '-o', 'cat')}"
            time.sleep(0.1)

    def remove(self) -> None:
        """End it and all it started; its mounts go with its namespaces."""
        if self._init:
            os.kill(self._init, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        self._log.unlink()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _init(self) -> int:
        """The process that is the first one in there."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return int((children.read_text().split() or ["0"])[0]) if children.exists() else 0

    def _await_boot(self, seconds: float = 15) -> None:
        deadline = time.monotonic() + seconds
        while self._process.poll() is None and time.monotonic() < deadline:
            if self._init and self.run("systemctl", "is-system-running", check=False) in {"running", "degraded"}:
                return
            time.sleep(0.1)
        said = self._log.read_text()
        self.remove()
        unavailable(f"no systemd can be booted here: {said.strip() or 'it does not answer'}")
