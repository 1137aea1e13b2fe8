"""`status`: for people, for programs, and as a monitor's question."""

import json
import re
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from tests.servers.dovecot import Dovecot
from tests.service.running import COMMAND, Installation, Running
from tests.service.test_running import LETTER
from worker.cli.standing import standing_of
from worker.settings import Settings
from worker.store.database import Database
from worker.store.health import Poll, record_poll
from worker.store.schema import migrate
from worker.wiring import imap_access

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database.open(f"sqlite:///{tmp_path / 'status.sqlite3'}")
    migrate(database)
    return database


def polled(database: Database, mailbox: str, ago: timedelta, error: str | None = None) -> None:
    poll = Poll(mailbox=mailbox, at=NOW - ago, worker="process 1 on here", error=error, backlog=3, oldest=NOW - ago)
    record_poll(database, poll)


def test_health_is_the_age_of_the_last_good_poll(database: Database) -> None:
    polled(database, "a", timedelta(minutes=4))
    polled(database, "a", timedelta(minutes=1), error="the server is down")
    standing = standing_of(database, "a", NOW)
    assert standing.is_healthy(timedelta(minutes=5))
    assert not standing.is_healthy(timedelta(minutes=3))
    assert standing.mailboxes[0].state(NOW) == "failing"


def test_a_mailbox_that_was_never_polled_is_not_healthy(database: Database) -> None:
    assert not standing_of(database, "a", NOW).is_healthy(timedelta(days=1))


def test_a_retired_mailbox_alarms_nobody(database: Database) -> None:
    polled(database, "old", timedelta(days=30))
    polled(database, "new", timedelta(seconds=10))
    assert standing_of(database, "new", NOW).is_healthy(timedelta(minutes=5))
    assert not standing_of(database, None, NOW).is_healthy(timedelta(minutes=5))


def test_a_worker_that_is_silent_is_told_from_one_that_works(database: Database) -> None:
    polled(database, "a", timedelta(seconds=100))
    polled(database, "b", timedelta(minutes=6))
    states = {each.health.name: each.state(NOW) for each in standing_of(database, None, NOW).mailboxes}
    assert states == {"a": "active", "b": "silent"}


def test_settings_and_mailbox_name_a_queue_alike(installation: Installation) -> None:
    installation.write()
    settings = Settings.load(installation.env_file)
    assert settings.mailbox_name == imap_access(settings).queue_name


def test_status_after_a_poll(installation: Installation, dovecot: Dovecot, mailbox_user: str) -> None:
    dovecot.deliver(mailbox_user, LETTER % 1)
    assert installation.run("poll").returncode == 0
    ran = installation.run("status", "--json", "--max-age", "5m")
    assert ran.returncode == 0, ran.stderr
    shown: dict[str, Any] = json.loads(ran.stdout)
    (mailbox,) = shown["mailboxes"]
    assert (mailbox["mailbox"], mailbox["state"], mailbox["backlog"]) == (
        f"{mailbox_user}@127.0.0.1/INBOX",
        "active",
        0,
    )
    assert shown["today"]["outcomes"] == {"associated": 0, "duplicate": 0, "quarantined": 0, "rejected": 1}
    assert shown["week"]["reasons"] == {"unknown_token": 1}
    assert shown["today"]["p99_seconds"] is None  # of what was associated, which is nothing so far
    told = installation.run("status").stdout
    assert "rejected: unknown_token" in told


def test_a_failed_poll_is_shown_with_its_error(installation: Installation) -> None:
    installation.write(imap_port="1")
    installation.run("poll")
    ran = installation.run("status", "--json", "--max-age", "5m")
    assert ran.returncode == 1
    (mailbox,) = json.loads(ran.stdout)["mailboxes"]
    assert mailbox["last_error"] == "IMAP server 127.0.0.1:1: nothing listens there"


def test_the_worker_that_stands_by_is_named_beside_the_active_one_until_it_is_that_itself(
    installation: Installation, pair: tuple[Running, Running]
) -> None:
    first, second = pair
    (mailbox,) = installation.admin("status", "--max-age", "5m")["mailboxes"]
    assert mailbox["state"] == "active"
    assert mailbox["worker"].startswith(f"process {first.process.pid} on ")
    (standby,) = mailbox["standby"]
    assert standby.keys() == {"worker", "since", "last_seen_at", "last_seen_age_seconds"}
    assert standby["worker"].startswith(f"process {second.process.pid} on ")
    assert standby["since"] <= standby["last_seen_at"]
    assert standby["last_seen_age_seconds"] < 5
    told = installation.run("status").stdout
    assert re.search(
        rf"^standby +process {second.process.pid} on \S+ since \S+ \(\d+ s ago\), last sign", told, re.MULTILINE
    )
    first.kill()
    second.wait_for("poll.finished")
    (mailbox,) = installation.admin("status")["mailboxes"]
    assert mailbox["worker"].startswith(f"process {second.process.pid} on ")
    assert mailbox["standby"] == []


def test_watching_shows_it_again_until_it_is_interrupted(installation: Installation) -> None:
    installation.write()
    command = [str(COMMAND), "--env-file", str(installation.env_file), "status", "--watch", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        shown, again = (list(takewhile("}\n".__ne__, watching.stdout)) for _ in range(2))
        watching.send_signal(signal.SIGINT)
        assert watching.wait(10) == 0
    assert shown == again
    assert json.loads("".join([*shown, "}"]))["mailboxes"] == []
