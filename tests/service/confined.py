"""The sandbox of the systemd unit, as far as it works without systemd.

The file system is read-only except for the state folder. The user is unprivileged and has no home, no capabilities and
no new privileges. Umask and filter of system calls are the unit's; the filter is loaded with the libseccomp that
systemd uses. It lacks the other namespaces (PrivateUsers, PrivateDevices), RestrictAddressFamilies, cgroups.
"""

import ctypes
import os
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path

ENVIRONMENT = ("PATH=/usr/bin:/bin", "LANG=C.UTF-8", "STATE_DIRECTORY=/mnt/state")
HIDDEN = "/tmp /var/tmp /dev/shm /home /root"
"""PrivateTmp, ProtectHome."""
VIEW = """
set -e
state=$1 settings=$2 hidden=$3 kept=$4; shift 4
mount -t tmpfs tmpfs /mnt
mkdir /mnt/state /mnt/kept
mount --bind "$state" /mnt/state
cp "$settings" /mnt/worker.env
chmod 644 /mnt/worker.env
for folder in $kept; do
    mkdir -p "/mnt/kept$folder"
    mount --bind "$folder" "/mnt/kept$folder"
done
for folder in $hidden; do mount -t tmpfs -o mode=755 tmpfs "$folder"; done
for folder in $kept; do
    mkdir -p "$folder"
    mount --bind "/mnt/kept$folder" "$folder"
    mount -o remount,bind,ro "$folder"
done
mount -o remount,ro /mnt
mount -o remount,bind,ro /
exec "$@"
"""
_ALLOW, _EPERM = 0x7FFF0000, 0x00050000 | 1


def confined(unit: Path, state: Path, settings: Path, user: tuple[int, int], command: list[str]) -> list[str]:
    """The command line that runs ``command`` so; ``/mnt/worker.env`` are the settings. For root, as systemd is."""
    # What is under test may lie where the unit hides all: it alone is seen there, read-only.
    tree = Path(__file__).parents[2]
    kept = " ".join(
        folder for folder in {sys.base_prefix, sys.prefix, str(tree)} if folder.startswith(tuple(HIDDEN.split()))
    )
    uid, gid = user
    return [
        *("unshare", "--mount", "/bin/sh", "-c", VIEW, "sh", str(state), str(settings), HIDDEN, kept),
        *("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--bounding-set=-all", "--no-new-privs"),
        *("env", "-i", *ENVIRONMENT, sys.executable, "-S", __file__, ",".join(sorted(allowed_calls(unit)))),
        *command,
    ]


def allowed_calls(unit: Path) -> set[str]:
    """Return the system calls that the unit's SystemCallFilter allows; @default always is (systemd.exec(5))."""
    allowed = _calls_of("@default")
    for line in unit.read_text().splitlines():
        if line.startswith("SystemCallFilter="):
            stated = line.partition("=")[2]
            calls = set().union(*(_calls_of(name) for name in stated.lstrip("~").split()))
            allowed = allowed - calls if stated.startswith("~") else allowed | calls
    return allowed


def _calls_of(name: str) -> set[str]:
    if not name.startswith("@"):
        return {name}
    told = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager", name], capture_output=True, text=True, check=True
    )
    members = [line.strip() for line in told.stdout.splitlines()[1:]]
    return set().union(*(_calls_of(member) for member in members if member and not member.startswith("#")))


def filter_calls(names: list[str]) -> None:
    """Answer every other system call of this process and its children with EPERM, from now on."""
    seccomp = ctypes.CDLL(find_library("seccomp") or "libseccomp.so.2", use_errno=True)
    seccomp.seccomp_init.restype = ctypes.c_void_p
    rules = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(_EPERM)))
    for name in names:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:
            seccomp.seccomp_rule_add(rules, ctypes.c_uint32(_ALLOW), ctypes.c_int(number), ctypes.c_uint(0))
    if code := seccomp.seccomp_load(rules):
        raise OSError(-code, os.strerror(-code))


if __name__ == "__main__":
    os.umask(0o077)
    filter_calls(sys.argv[1].split(","))
    os.execv(sys.argv[2], sys.argv[2:])
