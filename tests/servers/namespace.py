"""A view of the file system that one server alone has, for programs whose paths and users are compiled in."""

import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.servers.requirement import require_root, unavailable

UNUSED_ID = 64900
MOUNT_AND_RUN = 'while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit; shift 2; done; shift; exec "$@"'


def require_mounts(server: str) -> None:
    require_root(server)
    tried = subprocess.run(["unshare", "--mount", "mount", "--bind", "/tmp", "/tmp"], capture_output=True, check=False)
    if tried.returncode != 0:
        unavailable(f"{server} needs the right to mount in a namespace of its own")


def with_mounts(mounts: Mapping[Path, Path], command: Iterable[str | Path]) -> list[str]:
    """Give the command line that runs `command` where each key of `mounts` is seen in place of its value."""
    pairs = [str(path) for pair in mounts.items() for path in pair]
    return ["unshare", "--mount", "/bin/sh", "-c", MOUNT_AND_RUN, "sh", *pairs, "--", *map(str, command)]


def with_users(folder: Path, *names: str) -> dict[Path, Path]:
    """Make mounts that add system users, each with a group, to those of the machine."""
    passwd, group = folder / "passwd", folder / "group"
    shutil.copy("/etc/passwd", passwd)
    shutil.copy("/etc/group", group)
    for number, name in enumerate(names, UNUSED_ID):
        with passwd.open("a") as users, group.open("a") as groups:
            users.write(f"{name}:x:{number}:{number}::/nonexistent:/usr/sbin/nologin\n")
            groups.write(f"{name}:x:{number}:\n")
    return {passwd: Path("/etc/passwd"), group: Path("/etc/group")}
