"""The worker as a container runs it: process 1, read-only root, an unknown user without a home, and variables."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.command import COMMAND
from tests.harness.installation import Dropbox
from tests.harness.running import Running
from tests.secrecy import judge
from tests.servers.dovecot import Dovecot
from tests.servers.requirement import require, unavailable
from tests.service.test_running import LETTER
from tests.service.test_sandbox import NOBODYS
from worker.service.supervisor import EXIT_HUNG

PAGE = (Path(__file__).parents[2] / "config" / "containers.md").read_text()
UNKNOWN_ID = "54321"
STOP_GRACE = 10
Within = Callable[..., list[str | Path]]


@pytest.fixture(params=["sqlite", "postgresql"])
def within(request: pytest.FixtureRequest, installation: Dropbox, tmp_path: Path) -> Within:
    """Give the command line that runs a command of the worker in the container."""
    bwrap = require("bwrap", "bubblewrap")
    state, secrets = tmp_path / "state", tmp_path / "secrets"
    state.mkdir(mode=0o700)
    secrets.mkdir()
    (secrets / "imap").write_text(installation.settings.pop("imap_password") + "\n")
    if request.param == "sqlite":
        del installation.settings["database_url"]
    else:
        installation.settings["database_url"] = request.getfixturevalue("database_url")
    variables = {
        "PATH": "/usr/bin:/bin",
        "STATE_DIRECTORY": "/mnt/state",
        "BCC_DROPBOX_IMAP_PASSWORD_FILE": "/mnt/secrets/imap",
    } | installation.variables()
    sandbox: list[str | Path] = [
        *(bwrap, "--unshare-user", "--uid", UNKNOWN_ID, "--gid", UNKNOWN_ID, "--cap-drop", "ALL", "--clearenv"),
        *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--hostname", "container", "--as-pid-1"),
        *("--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/mnt", "--bind", state, "/mnt/state"),
        *("--ro-bind", secrets, "/mnt/secrets", "--remount-ro", "/mnt"),
        *(word for variable in variables.items() for word in ("--setenv", *variable)),
    ]
    tried = subprocess.run([*sandbox, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        unavailable(f"bubblewrap may not make a container here: {tried.stderr.strip()}")
    return lambda *arguments: [*sandbox, COMMAND, *arguments]


def ran(within: Within, *arguments: str) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(within(*arguments), capture_output=True, text=True, timeout=60, check=False)
    judge(arguments, done.stdout + done.stderr)
    return done


def first_process_in(outer: int) -> int:
    """Give the process that is number 1 inside."""
    return int(Path(f"/proc/{outer}/task/{outer}/children").read_text().split()[0])


def test_the_worker_works_as_the_only_process_of_a_read_only_container(
    within: Within, dovecot: Dovecot, mailbox_user: str
) -> None:
    added = ran(within, "user", "add", "jane@example.com", "--json")
    assert added.returncode == 0, added.stderr
    address = json.loads(added.stdout)["address"].encode()
    assert ran(within, "status", "--max-age", "5m").returncode == 1
    with Running(within("run"), os.environ) as service:
        service.wait_for("poll.finished", seconds=30)
        dovecot.deliver(mailbox_user, LETTER.replace(NOBODYS, address) % 1)
        service.wait_for("message.associated")
        service.wait_for("poll.finished", times=2)
        assert ran(within, "status", "--max-age", "5m").returncode == 0
        os.kill(first_process_in(service.process.pid), signal.SIGTERM)
        assert service.wait(STOP_GRACE) == 0
    assert (service.names[-1], service.plain) == ("service.stopped", [])


def test_a_worker_without_a_home_or_a_state_folder_says_where_it_would_write(within: Within) -> None:
    command = [str(part) for part in within("user", "add", "jane@example.com")]
    place = command.index("STATE_DIRECTORY")
    done = subprocess.run([*command[: place - 1], *command[place + 2 :]], capture_output=True, text=True, check=False)
    if any("postgresql" in part for part in command):
        assert done.returncode == 0
    else:
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "/var/lib/bcc-dropbox/bcc-dropbox.sqlite3 cannot be opened: " in done.stderr


def test_the_page_names_the_exit_code_and_the_grace_that_the_worker_has() -> None:
    assert f"code {EXIT_HUNG}" in PAGE
    assert "stop_grace_period: 15s" in PAGE
