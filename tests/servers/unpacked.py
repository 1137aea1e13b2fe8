"""Servers from packages that are unpacked, not installed: those would push the machine's own out."""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.requirement import unavailable


@dataclass(frozen=True)
class Unpacked:
    """The root under which packages lie as they would under `/`."""

    root: Path

    @property
    def library_path(self) -> str:
        """Name the folders in which their programs find the libraries unpacked with them."""
        libraries = self.root.glob("**/*.so*")
        return os.pathsep.join(sorted({str(library.parent) for library in libraries}))

    def program(self, path: str) -> Path:
        """Give a program by the path it is installed at, `/usr/sbin/exim4`."""
        return self.root / path.removeprefix("/")


def unpacked(*packages: str) -> Unpacked:
    """Download packages of the distribution, with what they need and the machine lacks.

    They are kept for the next run. Where they cannot be had, the test is skipped or fails.
    """
    cache = _cache()
    root = cache / "-".join(packages)
    with _alone(cache):
        if not root.is_dir():
            _unpack(packages, root)
    return Unpacked(root)


def versions(*packages: str) -> dict[str, str]:
    """Give the version of each package that would be downloaded."""
    command = ["apt-cache", "show", "--no-all-versions", *packages]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    if shown.returncode:
        _refresh_lists()
        shown = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(re.findall(r"^Package: (.+)\n(?:.+\n)*?Version: (.+)$", shown.stdout, re.MULTILINE))


def _unpack(packages: Sequence[str], root: Path) -> None:
    if shutil.which("apt-get") is None:
        unavailable(f"{packages[0]} is missing, and there is no apt-get to download it")
    part = Path(tempfile.mkdtemp(dir=root.parent))
    part.chmod(0o755)
    if not _download(packages, part):
        _refresh_lists()
        if not _download(packages, part):
            shutil.rmtree(part)
            unavailable(f"{packages[0]} is missing and cannot be downloaded: apt-get update")
    for archive in part.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", archive, part], check=True, capture_output=True)
        archive.unlink()
    _drop_setuid(part)
    part.chmod(0o755)
    part.rename(root)


def _drop_setuid(root: Path) -> None:
    """Leave no other user a setuid program that nobody installed and nobody updates (Exim's is one)."""
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o777)


def _download(packages: Sequence[str], folder: Path) -> bool:
    wanted = [*packages, *_missing_dependencies(packages)]
    command = ["apt-get", "-q", "download", *dict.fromkeys(wanted)]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


def _missing_dependencies(packages: Sequence[str]) -> list[str]:
    """Ask apt what it would install, without letting it."""
    command = ["apt-get", "-qq", "--simulate", "--no-install-recommends", "install", *packages]
    plan = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]


def _refresh_lists() -> None:
    right = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if right and shutil.which("sudo") is None:
        return
    subprocess.run([*right, "apt-get", "-qq", "update"], capture_output=True, check=False)


def _cache() -> Path:
    """Find a folder that servers of other users can reach, which a checkout may not be."""
    cache = Path(f"/var/tmp/bcc-dropbox-tests-{os.geteuid()}")
    cache.mkdir(mode=0o755, exist_ok=True)
    if cache.is_symlink() or cache.stat().st_uid != os.geteuid():
        unavailable(f"{cache} belongs to somebody else: remove it")
    return cache


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """Let one of several test processes unpack while the others wait."""
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
