"""The units as they are installed, under a real systemd: ready, watched, reloaded, stopped, sandboxed, removed."""

import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.dovecot import Dovecot
from tests.servers.systemd import Systemd
from tests.service.running import mailbox_settings

ROOT = Path(__file__).parents[2]
PLACES = {"/opt/tree": ROOT, "/opt/packages": sysconfig.get_paths()["purelib"], "/opt/python": sys.base_prefix}
PROGRAM = Path("/opt/bcc-dropbox/bin/bcc-dropbox")
SCRIPT = f"""#!/bin/sh
export PYTHONPATH=/opt/tree:/opt/packages LD_LIBRARY_PATH=/opt/python/lib
exec /opt/python/bin/python3.{sys.version_info.minor} -m worker "$@"
"""
UNIT = "bcc-dropbox.service"


@pytest.fixture(scope="module")
def system() -> Iterator[Systemd]:
    """Install all but the virtual environment, for which this one stands in where the sandbox can read it."""
    system = Systemd()
    try:
        system.run("sh", "-c", f"cd {ROOT} && WITHOUT_VENV=1 config/install install")
        for target, source in PLACES.items():
            system.run("sh", "-c", f"mkdir -p {target} && mount --bind {source} {target}")
        system.run("sh", "-c", f"mkdir -p {PROGRAM.parent} && printf %s '{SCRIPT}' >{PROGRAM} && chmod 755 {PROGRAM}")
        yield system
    finally:
        system.remove()


def configure(system: Systemd, dovecot: Dovecot, mailbox: str, name: str = "worker") -> None:
    """Write /etc/bcc-dropbox/NAME.env."""
    settings = mailbox_settings(dovecot.imap, mailbox, "")
    del settings["database_url"]
    lines = "".join(f"BCC_DROPBOX_{name.upper()}={value}\n" for name, value in settings.items())
    system.run("sh", "-c", f"printf '{lines}' > /etc/bcc-dropbox/{name}.env")


def test_the_service_is_ready_reloads_comes_back_and_stops(
    system: Systemd, dovecot: Dovecot, mailbox_user: str
) -> None:
    configure(system, dovecot, mailbox_user)
    system.run("systemctl", "start", UNIT)  # returns when it is ready
    system.wait_for(UNIT, "StatusText", "0 waiting; last poll at")
    system.run("bcc-dropbox", "status", "--max-age", "1m")
    assert system.show(UNIT, "LimitCORE") == "0"
    system.run("systemctl", "reload", UNIT)
    assert system.show(UNIT, "ActiveState") == "active"
    system.run("systemctl", "kill", "--signal=KILL", UNIT)
    system.wait_for(UNIT, "NRestarts", "1")
    system.wait_for(UNIT, "ActiveState", "active")
    system.run("systemctl", "stop", UNIT)
    assert system.show(UNIT, "Result") == "success"


def test_a_worker_that_stands_still_is_ended_by_the_watchdog(
    system: Systemd, dovecot: Dovecot, mailbox_user: str
) -> None:
    configure(system, dovecot, mailbox_user)
    system.run("sh", "-c", f"mkdir -p /run/systemd/system/{UNIT}.d")
    system.run("sh", "-c", f"printf '[Service]\\nWatchdogSec=2\\n' > /run/systemd/system/{UNIT}.d/soon.conf")
    system.run("systemctl", "daemon-reload")
    system.run("systemctl", "start", UNIT)
    before = int(system.show(UNIT, "NRestarts"))
    system.run("systemctl", "kill", "--signal=STOP", UNIT)
    system.wait_for(UNIT, "NRestarts", str(before + 1))
    assert "Watchdog timeout" in system.run("journalctl", "--unit", UNIT, "--output=cat")
    system.run("systemctl", "stop", UNIT, check=False)
    system.run("sh", "-c", f"rm -r /run/systemd/system/{UNIT}.d; systemctl daemon-reload; systemctl reset-failed")


def test_each_instance_has_a_database_of_its_own_and_the_command_finds_it(
    system: Systemd, dovecot: Dovecot, mailbox_user: str
) -> None:
    configure(system, dovecot, f"{mailbox_user}-2", "second")
    system.run("systemctl", "start", "bcc-dropbox@second")
    system.run("bcc-dropbox", "--env-file", "/etc/bcc-dropbox/second.env", "status", "--max-age", "1m")
    found = system.run("find", "/var/lib/bcc-dropbox/second", "-name", "*.sqlite3", "-user", "bcc-dropbox")
    assert found == "/var/lib/bcc-dropbox/second/bcc-dropbox.sqlite3"


def test_uninstalling_ends_and_forgets_every_instance(system: Systemd, dovecot: Dovecot, mailbox_user: str) -> None:
    configure(system, dovecot, f"{mailbox_user}-3", "third")
    system.run("systemctl", "enable", "--now", "--quiet", "bcc-dropbox@third")
    system.run("sh", "-c", f"cd {ROOT} && config/install uninstall")
    assert system.run("sh", "-c", "systemctl list-units --all --plain --no-legend 'bcc-dropbox*'") == ""
    assert system.run("find", "/etc/systemd/system", "-name", "bcc-dropbox*") == ""
    assert system.run("sh", "-c", "ls /etc/bcc-dropbox/third.env /var/lib/bcc-dropbox/third") != ""
