"""The worker within the sandbox of its systemd unit, and that the sandbox of these tests confines at all."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.command import COMMAND
from tests.harness.installation import Dropbox
from tests.harness.running import Running
from tests.secrecy import judge
from tests.servers.dovecot import Dovecot
from tests.servers.namespace import require_mounts
from tests.servers.requirement import require
from tests.service.confined import allowed_calls, confined
from tests.service.test_running import LETTER

UNIT = Path(__file__).parents[2] / "config" / "bcc-dropbox.service"
NOBODYS = b"drop+k7m2arz3ndektsv4rrffq69g5f@drop.example.com"
Within = Callable[..., list[str | Path]]
TRIED = """
import os, sys
def tried(act, *arguments):
    try:
        act(*arguments)
    except OSError as error:
        return os.strerror(error.errno)
print([
    tried(open, "/etc/written", "w"), tried(open, "/opt/written", "w"), tried(open, "/mnt/worker.env", "a"),
    tried(os.nice, -5), tried(os.chroot, "/"), tried(os.setuid, 0), tried(open, "/mnt/state/written", "w"),
])
"""


@pytest.fixture
def state(tmp_path: Path, dovecot: Dovecot) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    dovecot.account.own(folder)
    return folder


@pytest.fixture
def within(installation: Dropbox, dovecot: Dovecot, state: Path) -> Within:
    """Give the command line that runs another one in the sandbox."""
    require("systemd-analyze", "systemd")
    require_mounts("the sandbox")
    installation.write(database_url="sqlite:////mnt/state/bcc-dropbox.sqlite3")
    user = dovecot.account

    def command(*arguments: str | Path) -> list[str | Path]:
        return [*confined(UNIT, state, installation.env_file, (user.uid, user.gid), list(map(str, arguments)))]

    return command


def test_the_unit_lets_through_no_call_that_only_the_privileged_need() -> None:
    require("systemd-analyze", "systemd")
    allowed = allowed_calls(UNIT)
    assert {"read", "futex", "connect", "fsync"} <= allowed
    assert not {"mount", "ptrace", "setuid", "chroot", "bpf", "init_module", "setpriority", "reboot"} & allowed


def test_the_sandbox_refuses_what_it_should(within: Within) -> None:
    ran = subprocess.run(within(sys.executable, "-c", TRIED), capture_output=True, text=True, check=False)
    assert ran.stdout.strip() == str(["Read-only file system"] * 3 + ["Operation not permitted"] * 3 + [None]), (
        ran.stderr
    )


def test_the_worker_works_within_it(within: Within, state: Path, dovecot: Dovecot, mailbox_user: str) -> None:
    """Run with a read-only system, a writable state folder, no home, and the unit's system calls."""
    command = (COMMAND, "--env-file", "/mnt/worker.env")
    arguments = ("user", "add", "jane@example.com", "--json")
    added = subprocess.run(within(*command, *arguments), capture_output=True, text=True, check=False)
    assert added.returncode == 0, added.stderr
    judge(arguments, added.stdout + added.stderr)
    address = json.loads(added.stdout)["address"].encode()
    with Running(within(*command, "run"), os.environ) as service:
        service.wait_for("poll.finished")
        dovecot.deliver(mailbox_user, LETTER.replace(NOBODYS, address) % 1)
        service.wait_for("message.associated")
        service.wait_for("poll.finished", times=2)
        left = {file.name: stat.S_IMODE(file.stat().st_mode) for file in state.iterdir()}
        code, _ = service.end()
    assert (code, service.plain) == (0, [])
    assert left.keys() >= {"bcc-dropbox.sqlite3", "bcc-dropbox.sqlite3-wal"}
    assert set(left.values()) == {0o600}
