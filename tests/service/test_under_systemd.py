"""The worker as it is installed, under a real systemd: ready, watched, reloaded, upgraded, stopped, removed."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

import pytest

from tests.harness.command import mailbox_settings
from tests.servers.dovecot import PASSWORD, Dovecot
from tests.servers.process import new_folder
from tests.servers.requirement import require, unavailable
from tests.servers.systemd import Systemd

ROOT = Path(__file__).parents[2]
PROGRAM = "opt/bcc-dropbox"
UNIT = "bcc-dropbox.service"
SECOND = "bcc-dropbox@second.service"
SETTINGS = "/etc/bcc-dropbox"
STATE = "/var/lib/bcc-dropbox"
INSTALL = f"cd {ROOT} && WITHOUT_VENV=1 RESTART_SECONDS=3 config/install install"

pytestmark = pytest.mark.timeout(300)  # the first test waits until all is installed


@pytest.fixture(scope="module")
def package() -> Iterator[Path]:
    """Make what a package is made of: the folder is written as people write it, and what it holds is of no use.

    An environment without pip is what an upgrade of the distribution's Python leaves.
    """
    folder = new_folder("package", Path("/tmp"))  # the booted system has a /dev/shm of its own
    try:
        subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", folder / "tree" / PROGRAM], check=True)
        environment = {**os.environ, "DESTDIR": "tree/"}
        command = [str(ROOT / "config/install"), "install"]
        ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if "no Python 3.11 or newer" in ran.stderr:
            unavailable(ran.stderr)
        assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr
        yield folder / "tree"
    finally:
        rmtree(folder)


@pytest.fixture(scope="module")
def system(package: Path) -> Iterator[Systemd]:
    """Install it, with the virtual environment of the package."""
    system = Systemd()
    try:
        system.run("cp", "-a", str(package / PROGRAM), "/opt")
        told = system.run("sh", "-c", INSTALL)
        assert told.startswith("Installed. Next, as root:\n"), told
        yield system
    finally:
        system.remove()


@pytest.fixture(autouse=True)
def nothing_runs(request: pytest.FixtureRequest) -> Iterator[None]:
    """Stop what a test started, and forget the settings it changed."""
    yield
    if "system" in request.fixturenames:
        system: Systemd = request.getfixturevalue("system")
        started = f"{UNIT} 'bcc-dropbox@*'"
        system.run("sh", "-c", f"systemctl kill --signal=KILL {started}; systemctl stop {started}", check=False)
        system.run("sh", "-c", f"rm -rf /run/systemd/system/*.service.d {SETTINGS}/* {STATE}/*")
        system.run("sh", "-c", "systemctl daemon-reload; systemctl reset-failed")


def configure(system: Systemd, dovecot: Dovecot, mailbox: str, name: str = "worker", **changes: str) -> None:
    """Write /etc/bcc-dropbox/NAME.env."""
    settings = mailbox_settings(dovecot.imap, mailbox, "") | changes
    lines = "".join(f"BCC_DROPBOX_{name.upper()}={value}\n" for name, value in settings.items() if value)
    system.run("sh", "-c", f"printf '{lines}' > {SETTINGS}/{name}.env")


def change_unit(system: Systemd, unit: str, *lines: str) -> None:
    """Add to its [Service] what shall be otherwise than it is installed."""
    text = "\\n".join(["[Service]", *lines])
    system.run("sh", "-c", f"mkdir -p /run/systemd/system/{unit}.d")
    system.run("sh", "-c", f"printf '{text}\\n' > /run/systemd/system/{unit}.d/changed.conf; systemctl daemon-reload")


def logins(system: Systemd, *named: str) -> set[str]:
    """Name the users of the database that a command works on."""
    told = system.run("bcc-dropbox", *named, "user", "list")
    return {word for word in told.split() if "@" in word}


def documented_commands(document: str, heading: str) -> list[str]:
    """Return the commands of a section for a root shell, except apt-get and sudoedit."""
    section = (ROOT / document).read_text().partition(f"{heading}\n")[2]
    lines = section.partition("```console\n")[2].partition("```")[0].splitlines()
    assert all(line.startswith("sudo") for line in lines)
    wanted = [line for line in lines if not line.startswith(("sudoedit", "sudo apt-get"))]
    return [line.replace("sudo -u postgres", "runuser -u postgres --").removeprefix("sudo ") for line in wanted]


def test_what_is_packaged_names_no_folder_it_was_made_in(package: Path) -> None:
    script = (package / PROGRAM / "bin/bcc-dropbox").read_text()
    assert script.startswith(f"#!/{PROGRAM}/bin/python")
    named = subprocess.run(["grep", "-rlF", package.parent, package], capture_output=True, text=True, check=False)
    assert named.stdout == ""


@pytest.mark.parametrize(("unit", "name"), [(UNIT, "worker"), (SECOND, "second")])
def test_a_unit_is_watched_given_up_and_stopped_in_time(
    unit: str, name: str, system: Systemd, dovecot: Dovecot, mailbox_user: str
) -> None:
    """Take the limits from the unit; the test's systemd has other defaults than a host."""
    configure(system, dovecot, mailbox_user, name)
    system.run("systemctl", "start", unit)
    limits = ("WatchdogUSec", "StartLimitIntervalUSec", "StartLimitBurst", "TimeoutStopUSec", "TimeoutStartUSec")
    assert [system.show(unit, limit) for limit in limits] == ["3min", "15min", "5", "15s", "infinity"]


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
    change_unit(system, UNIT, "WatchdogSec=2")
    system.run("systemctl", "start", UNIT)
    before = int(system.show(UNIT, "NRestarts"))
    system.run("systemctl", "kill", "--signal=STOP", UNIT)
    system.wait_for(UNIT, "NRestarts", str(before + 1))
    assert "Watchdog timeout" in system.run("journalctl", "--unit", UNIT, "--output=cat")


def test_a_wrong_setting_is_tried_five_times_and_then_needs_a_person(
    system: Systemd, dovecot: Dovecot, mailbox_user: str
) -> None:
    configure(system, dovecot, mailbox_user, imap_port="imap")
    change_unit(system, UNIT, "RestartSec=100ms")
    system.run("systemctl", "start", "--no-block", UNIT)
    system.wait_for(UNIT, "ActiveState", "failed")
    told = system.run("journalctl", "--unit", UNIT, "--output=cat")
    assert told.count("error: BCC_DROPBOX_IMAP_PORT is 'imap'") == 5


@pytest.mark.parametrize("destination", ["", "/"])
def test_an_upgrade_starts_what_runs_again_and_nothing_else(
    destination: str, system: Systemd, dovecot: Dovecot, mailbox_user: str
) -> None:
    configure(system, dovecot, mailbox_user)
    system.run("systemctl", "start", UNIT)
    before = system.show(UNIT, "MainPID")
    system.run("chgrp", "root", SETTINGS)
    assert system.run("sh", "-c", f"export DESTDIR={destination}; {INSTALL}") == "Upgraded."
    assert system.show(UNIT, "ActiveState") == "active"
    assert system.show(UNIT, "MainPID") not in {before, "0"}
    assert system.show(SECOND, "ActiveState") == "inactive"
    assert system.run("stat", "-c", "%a %G", SETTINGS) == "2750 bcc-dropbox"


def test_an_upgrade_does_not_wait_for_a_mailbox_that_is_down(
    system: Systemd, dovecot: Dovecot, mailbox_user: str
) -> None:
    configure(system, dovecot, mailbox_user)
    system.run("systemctl", "start", UNIT)
    configure(system, dovecot, mailbox_user, imap_port="1")
    told = system.run("sh", "-c", INSTALL)
    assert "waits for its mailbox or its database" in told
    assert told.endswith("Upgraded.")
    assert system.show(UNIT, "ActiveState") == "activating"
    assert system.show(UNIT, "StatusText").startswith("waiting: IMAP server 127.0.0.1:1")


def test_an_upgrade_says_when_the_service_does_not_start_again(
    system: Systemd, dovecot: Dovecot, mailbox_user: str
) -> None:
    configure(system, dovecot, mailbox_user)
    change_unit(system, UNIT, "Restart=no")
    system.run("systemctl", "start", UNIT)
    configure(system, dovecot, mailbox_user, imap_port="imap")
    ran = system.tried("sh", "-c", INSTALL)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "error: installed, but the service did not start again" in ran.stderr


def test_an_instance_is_made_as_the_readme_says(system: Systemd, dovecot: Dovecot, mailbox_user: str) -> None:
    """Without DATABASE_URL each instance has its own database, and the command finds it."""
    configure(system, dovecot, mailbox_user, imap_password="", imap_password_file=f"{SETTINGS}/imap-password")
    system.run("sh", "-c", f"printf {PASSWORD} | (umask 027; cat > {SETTINGS}/imap-password)")
    system.run("chmod", "640", f"{SETTINGS}/worker.env")
    copy, *commands = documented_commands("config/operations.md", "## More mailboxes: instances")
    system.run("sh", "-c", copy)
    system.run("sed", "-i", "s/^BCC_DROPBOX_IMAP_USER=.*/&-2/", f"{SETTINGS}/sales.env")
    for command in commands:
        system.run("sh", "-c", command)
    system.run("bcc-dropbox", "--env-file", f"{SETTINGS}/sales.env", "status", "--max-age", "1m")
    found = system.run("find", STATE, "-name", "*.sqlite3", "-user", "bcc-dropbox")
    assert found == f"{STATE}/sales/bcc-dropbox.sqlite3"


def test_the_command_works_on_the_instance_however_its_env_file_is_written(
    system: Systemd, dovecot: Dovecot, mailbox_user: str
) -> None:
    configure(system, dovecot, mailbox_user)
    configure(system, dovecot, mailbox_user, "second")
    system.run("bcc-dropbox", "user", "add", "ana@acme.example")
    system.run("sh", "-c", f"cd {SETTINGS} && bcc-dropbox --env-file second.env user add ben@acme.example")
    system.run("sh", "-c", f"mkdir -p /srv/links && ln -sf {SETTINGS}/second.env {SETTINGS} /srv/links")
    for spelt in ("", "./", "../bcc-dropbox/", "//"):
        assert logins(system, "--env-file", f"{SETTINGS}/{spelt}second.env") == {"ben@acme.example"}
        assert logins(system, f"--env-file={SETTINGS}/{spelt}second.env") == {"ben@acme.example"}
        assert logins(system, "--env-file", f"{SETTINGS}/{spelt}worker.env") == {"ana@acme.example"}
    assert logins(system, "--env-file", "/srv/links/second.env") == {"ben@acme.example"}
    assert logins(system, "--env-file=/srv/links/bcc-dropbox/second.env") == {"ben@acme.example"}
    assert logins(system) == {"ana@acme.example"}


def test_an_env_file_that_the_worker_may_not_read_is_one_clear_line(system: Systemd) -> None:
    system.run("sh", "-c", f"install -m 640 -g root /dev/null {SETTINGS}/second.env")
    ran = system.tried("bcc-dropbox", "--env-file", f"{SETTINGS}/second.env", "status")
    expected = f"error: env file {SETTINGS}/second.env cannot be read: Permission denied\n"
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", expected)


def test_a_command_takes_no_credential_of_whatever_it_is_called_from(
    system: Systemd, dovecot: Dovecot, mailbox_user: str
) -> None:
    configure(system, dovecot, mailbox_user, imap_password="")
    system.run("sh", "-c", f"mkdir -p /srv/given && printf {PASSWORD} > /srv/given/imap_password")
    ran = system.tried("env", "CREDENTIALS_DIRECTORY=/srv/given", "bcc-dropbox", "poll")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("error: BCC_DROPBOX_IMAP_PASSWORD is not set")


def test_instances_share_one_postgresql(system: Systemd, dovecot: Dovecot, mailbox_user: str) -> None:
    """Follow the documents: reach the database by its socket from within the sandbox, and back it up."""
    version = max(int(folder.name) for folder in Path("/usr/lib/postgresql").glob("*"))
    cluster = f"pg_createcluster {version} test --socketdir=/run/postgresql --start -- --auth-local=peer --no-sync"
    system.run("sh", "-c", cluster)
    port = system.run("sh", "-c", "pg_lsclusters --no-header | awk '$2 == \"test\" { print $3 }'")
    for command in documented_commands("README.md", "### The database")[:2]:
        system.run("sh", "-c", f"export PGPORT={port}; {command}")
    url = f"postgresql+psycopg:///bcc-dropbox?port={port}"
    configure(system, dovecot, mailbox_user, database_url=url)
    configure(system, dovecot, f"{mailbox_user}-2", "second", database_url=url)
    system.run("bcc-dropbox", "user", "add", "ana@acme.example")
    system.run("systemctl", "start", UNIT, SECOND)
    assert logins(system, "--env-file", f"{SETTINGS}/second.env") == {"ana@acme.example"}
    assert system.run("find", STATE, "-name", "*.sqlite3") == ""
    [_, backup] = documented_commands("config/operations.md", "## Backup")
    system.run("sh", "-c", f"export PGPORT={port}; {backup}")
    assert system.run("stat", "-c", "%a", "/var/backups/bcc-dropbox.dump") == "600"
    assert "ana@acme.example" in system.run("pg_restore", "--data-only", "--file=-", "/var/backups/bcc-dropbox.dump")
    system.run("pg_dropcluster", "--stop", str(version), "test")


def test_an_sqlite_file_is_backed_up_and_put_back_as_documented(
    system: Systemd, dovecot: Dovecot, mailbox_user: str
) -> None:
    require("sqlite3", "sqlite3")
    configure(system, dovecot, mailbox_user)
    system.run("systemctl", "start", UNIT)
    system.run("bcc-dropbox", "user", "add", "ana@acme.example")
    [backup, _] = documented_commands("config/operations.md", "## Backup")
    system.run("sh", "-c", backup)
    system.run("bcc-dropbox", "user", "add", "ben@acme.example")
    system.run("systemctl", "stop", UNIT)
    system.run("sh", "-c", f"rm -f {STATE}/*-wal {STATE}/*-shm")
    owned = ("-o", "bcc-dropbox", "-g", "bcc-dropbox", "-m", "600")
    system.run("install", *owned, "/var/backups/bcc-dropbox.sqlite3", f"{STATE}/bcc-dropbox.sqlite3")
    system.run("systemctl", "start", UNIT)
    assert logins(system) == {"ana@acme.example"}


def test_uninstalling_ends_and_forgets_every_instance(system: Systemd, dovecot: Dovecot, mailbox_user: str) -> None:
    configure(system, dovecot, f"{mailbox_user}-3", "third")
    system.run("systemctl", "enable", "--now", "--quiet", "bcc-dropbox@third")
    system.run("sh", "-c", f"cd {ROOT} && config/install uninstall")
    assert system.run("sh", "-c", "systemctl list-units --all --plain --no-legend 'bcc-dropbox*'") == ""
    assert system.run("find", "/etc/systemd/system", "-name", "bcc-dropbox*") == ""
    assert system.run("sh", "-c", "ls /etc/bcc-dropbox/third.env /var/lib/bcc-dropbox/third") != ""
