"""The messages to systemd, and the units."""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.installation import Dropbox
from tests.harness.running import await_true
from tests.servers.cut import Cut, Towards
from tests.servers.dovecot import Dovecot
from tests.servers.requirement import require
from tests.service.test_running import LETTER
from worker.settings import Settings

CONFIG = Path(__file__).parents[2] / "config"
UNITS = ["bcc-dropbox.service", "bcc-dropbox@.service"]


class Manager:
    """A stand-in for systemd at the other end of the socket."""

    def __init__(self, path: Path) -> None:
        self.told: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))

    def hear(self, seconds: float) -> list[str]:
        """Return the messages that arrive within this time."""
        end = time.monotonic() + seconds
        heard: list[str] = []
        while (left := end - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                heard.append(self._socket.recv(4096).decode())
            except TimeoutError:
                break
        self.told += heard
        return heard

    def wait_for(self, text: str, seconds: float = 15) -> None:
        end = time.monotonic() + seconds
        while text not in self.told:
            assert time.monotonic() < end, f"not told {text}: {self.told}"
            self.hear(0.1)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(installation: Dropbox, tmp_path: Path) -> Iterator[Manager]:
    """Listen for what the installation's services tell; the watchdog barks after 2 s."""
    manager = Manager(tmp_path / "notify")
    installation.service_variables = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000000"}
    yield manager
    manager.close()


def test_systemd_is_told_of_readiness_progress_and_the_end(installation: Dropbox, manager: Manager) -> None:
    service = installation.start(idle="off")
    manager.wait_for("READY=1")
    service.wait_for("poll.finished")
    assert any(told.startswith("STATUS=0 waiting; last poll at") for told in [*manager.told, *manager.hear(1)])
    assert "WATCHDOG=1" in manager.hear(2)
    service.end()
    manager.hear(0.2)
    assert manager.told[-1] == "STOPPING=1"
    assert manager.told.count("READY=1") == 1


def test_a_service_is_not_ready_before_it_reached_its_mailbox(
    installation: Dropbox, manager: Manager, dovecot: Dovecot, mailbox_user: str
) -> None:
    service = installation.start(imap_port="1")
    service.wait_for("mailbox.lost")
    heard = manager.hear(1)
    assert "READY=1" not in heard
    assert "STATUS=waiting: IMAP server 127.0.0.1:1: nothing listens there" in heard
    installation.write(imap_port=str(dovecot.imap))
    service.kill()
    installation.start()
    manager.wait_for("READY=1")


def test_a_service_is_not_ready_before_it_reached_its_database(installation: Dropbox, manager: Manager) -> None:
    reachable = installation.settings["database_url"]
    service = installation.start(database_url="postgresql+psycopg://nobody@127.0.0.1:1/none")
    service.wait_for("database.unavailable")
    heard = manager.hear(1)
    assert "READY=1" not in heard
    assert any(told.startswith("STATUS=waiting: ") for told in heard)
    service.kill()
    installation.start(database_url=reachable)
    manager.wait_for("READY=1")


@pytest.mark.parametrize("breaking", [Cut.stall, lambda cut: cut.trickle(3)], ids=["silent", "an octet now and then"])
def test_a_poll_without_progress_does_not_feed_the_watchdog(
    installation: Dropbox, manager: Manager, cut: Cut, breaking: Callable[[Cut], None]
) -> None:
    service = installation.start(imap_port=str(cut.port), idle="off", poll_seconds="1")
    service.wait_for("poll.finished")
    breaking(cut)
    asked = cut.received(Towards.SERVER)
    await_true(lambda: cut.received(Towards.SERVER) > asked)
    manager.hear(0.5)  # what was told before that question
    assert "WATCHDOG=1" not in manager.hear(3)


def test_each_batch_of_a_long_poll_feeds_the_watchdog(installation: Dropbox, manager: Manager, cut: Cut) -> None:
    installation.deliver(*(LETTER % number for number in range(200)))
    cut.delay(0.02)
    service = installation.start(imap_port=str(cut.port), idle="off", batch_messages="5")
    service.wait_for("message.rejected")
    manager.hear(0.1)
    fed = 0
    while fed < 3 and not service.count("poll.finished"):
        fed += manager.hear(0.2).count("WATCHDOG=1")
    assert fed >= 3


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_is_one_that_systemd_understands(unit: str, tmp_path: Path) -> None:
    analyze = str(require("systemd-analyze", "systemd"))
    copy = tmp_path / unit
    text = (CONFIG / unit).read_text().replace("/opt/bcc-dropbox/bin/bcc-dropbox", str(shutil.which("true")))
    copy.write_text(text)
    command = [analyze, "verify", "--man=no", "--recursive-errors=no", str(copy)]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS)
def test_a_poll_that_hangs_ends_by_its_own_deadline_before_the_watchdog_barks(unit: str) -> None:
    found = re.search(r"^WatchdogSec=(\d+)$", (CONFIG / unit).read_text(), re.MULTILINE)
    assert found
    seldom_fed = int(found[1]) / 40
    assert Settings.model_fields["poll_deadline_seconds"].default + seldom_fed < int(found[1]) - 10


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_gives_the_worker_no_more_than_it_needs(unit: str) -> None:
    analyze = str(require("systemd-analyze", "systemd"))
    command = [analyze, "security", "--offline=true", "--threshold=15", "--no-pager", str(CONFIG / unit)]
    judged = subprocess.run(command, capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout
