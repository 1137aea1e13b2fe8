"""`status`: for people, for programs, and as a monitor's question."""

import json
import re
import signal
import subprocess
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from freezegun import freeze_time

from tests.cli.conftest import CommandLine
from tests.harness.command import COMMAND
from tests.harness.crm import QUEUE, Mail, Rows, commit, decide
from tests.harness.installation import Dropbox
from tests.harness.running import Running
from tests.servers.cut import Cut
from tests.servers.dovecot import Dovecot
from tests.servers.postgres import Postgres
from tests.service.test_running import LETTER
from worker.bootstrap import compose, imap_access
from worker.cli.output import time_text
from worker.cli.status import report_of, state_of
from worker.service.turns import Turns
from worker.settings import Settings
from worker.store.database import Database
from worker.store.health import Poll, record_end, record_poll
from worker.store.poll_store import PollStore
from worker.store.schema import migrate

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
    standing = report_of(database, "a", NOW)
    assert standing.complaints(timedelta(minutes=5)) == []
    assert standing.complaints(timedelta(minutes=3)) == ["a: the last good poll was 4 min ago, more than 3 min"]
    assert state_of(standing.mailboxes[0], NOW) == "failing"


def test_a_poll_in_the_future_is_no_sign_of_life(database: Database) -> None:
    """The clock was set back since, or the clocks of two hosts differ."""
    polled(database, "a", timedelta(seconds=-5))
    assert report_of(database, "a", NOW).complaints(timedelta(minutes=5)) == []
    polled(database, "a", timedelta(hours=-3))
    standing = report_of(database, "a", NOW)
    (complaint,) = standing.complaints(timedelta(minutes=5))
    assert complaint.startswith("a: the last good poll is 3 h in the future")
    assert state_of(standing.mailboxes[0], NOW) == "silent"


def test_a_mailbox_that_was_never_polled_is_not_healthy(database: Database) -> None:
    assert report_of(database, "a", NOW).complaints(timedelta(days=1)) == ["no mailbox has been polled yet"]
    polled(database, "a", timedelta(minutes=1), error="the server is down")
    assert report_of(database, "a", NOW).complaints(timedelta(days=1)) == ["a: no poll has gone well yet"]


def test_a_retired_mailbox_alarms_nobody(database: Database) -> None:
    polled(database, "old", timedelta(days=30))
    polled(database, "new", timedelta(seconds=10))
    assert report_of(database, "new", NOW).complaints(timedelta(minutes=5)) == []
    assert report_of(database, None, NOW).complaints(timedelta(minutes=5)) == [
        "old: the last good poll was 30 d ago, more than 5 min"
    ]


def test_a_worker_that_is_silent_is_told_from_one_that_works(database: Database) -> None:
    polled(database, "a", timedelta(seconds=100))
    polled(database, "b", timedelta(minutes=6))
    states = {each.health.name: state_of(each, NOW) for each in report_of(database, None, NOW).mailboxes}
    assert states == {"a": "active", "b": "silent"}


def test_settings_and_mailbox_name_a_queue_alike(installation: Dropbox) -> None:
    installation.write()
    settings = Settings.load(installation.env_file)
    assert settings.mailbox_name == imap_access(settings).mailbox_name


def test_status_after_a_poll(installation: Dropbox, dovecot: Dovecot, mailbox_user: str) -> None:
    dovecot.deliver(mailbox_user, LETTER % 1)
    assert installation.run("poll").code == 0
    ran = installation.run("status", "--json", "--max-age", "5m")
    assert (ran.code, ran.err) == (0, "")
    shown: dict[str, Any] = ran.json
    (mailbox,) = shown["mailboxes"]
    assert (mailbox["mailbox"], mailbox["state"], mailbox["backlog"]) == (
        f"{mailbox_user}@127.0.0.1/INBOX",
        "active",
        0,
    )
    assert shown["today"]["outcomes"] == {"associated": 0, "duplicate": 0, "quarantined": 0, "rejected": 1}
    assert shown["week"]["reasons"] == {"unknown_token": 1}
    assert shown["today"]["p99_seconds"] is None  # of what was associated, which is nothing so far
    told = installation.run("status").out
    assert "rejected: unknown_token" in told


def test_a_failed_poll_is_shown_with_its_error(installation: Dropbox) -> None:
    installation.write(imap_port="1")
    installation.run("poll")
    ran = installation.run("status", "--json", "--max-age", "5m")
    assert ran.code == 1
    (mailbox,) = ran.json["mailboxes"]
    assert ran.err == f"{mailbox['mailbox']}: no poll has gone well yet\n"
    assert mailbox["last_error"] == "IMAP server 127.0.0.1:1: nothing listens there"


def test_the_worker_that_stands_by_is_named_beside_the_active_one_until_it_is_that_itself(
    installation: Dropbox, pair: tuple[Running, Running]
) -> None:
    first, second = pair
    (mailbox,) = installation.admin("status", "--max-age", "5m", "--json").json["mailboxes"]
    assert mailbox["state"] == "active"
    assert mailbox["worker"].startswith(f"process {first.process.pid} on ")
    (standby,) = mailbox["standby"]
    assert standby.keys() == {"worker", "since", "last_seen_at", "last_seen_age_seconds"}
    assert standby["worker"].startswith(f"process {second.process.pid} on ")
    assert standby["since"] <= standby["last_seen_at"]
    assert standby["last_seen_age_seconds"] < 5
    told = installation.run("status").out
    assert re.search(
        rf"^standby +process {second.process.pid} on \S+ since \S+ \(\d+ s ago\), last sign", told, re.MULTILINE
    )
    first.kill()
    second.wait_for("poll.finished")
    (mailbox,) = installation.admin("status", "--json").json["mailboxes"]
    assert mailbox["worker"].startswith(f"process {second.process.pid} on ")
    assert mailbox["standby"] == []


def test_what_a_poll_left_is_shown_with_its_age(installation: Dropbox, monkeypatch: pytest.MonkeyPatch) -> None:
    address = installation.add_user("jane@example.com")
    letter = LETTER.replace(b"drop+k7m2arz3ndektsv4rrffq69g5f@drop.example.com", address.encode())
    arrived = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
    installation.deliver(letter % 1, arrived=int(arrived.timestamp()))
    installation.deliver(letter % 2)

    def fail(raw: bytes) -> None:
        raise KeyError(len(raw))

    monkeypatch.setattr("worker.mime.read_content", fail)
    with closing(compose(Settings.load_for_mailbox(installation.env_file))) as parts:
        turns = Turns(parts)
        turns.prepare()
        turns.take()
    (mailbox,) = installation.admin("status", "--json").json["mailboxes"]
    assert mailbox["backlog"] == 2
    assert mailbox["oldest_arrived_at"] == time_text(arrived)
    assert mailbox["oldest_age_seconds"] == pytest.approx(3 * 3600, abs=60)
    assert mailbox["backlog_at"] == mailbox["last_good_poll_at"]
    told = installation.run("status").out
    assert re.search(r"^backlog +2 at the last good poll, \d+ s ago$", told, re.MULTILINE)
    assert re.search(rf"^oldest message +{mailbox['oldest_arrived_at']} \(3 h ago\)$", told, re.MULTILINE)


def test_a_backlog_that_nobody_has_counted_is_not_said_to_be_none(installation: Dropbox) -> None:
    installation.write(imap_port="1")
    installation.run("poll")
    assert re.search(r"^backlog +-$", installation.run("status").out, re.MULTILINE)


def test_a_worker_that_was_stopped_is_told_from_one_that_works(installation: Dropbox) -> None:
    service = installation.start()
    service.wait_for("poll.finished")
    (mailbox,) = installation.admin("status", "--json").json["mailboxes"]
    assert (mailbox["state"], mailbox["worker"].split()[1]) == ("active", str(service.process.pid))
    assert service.end()[0] == 0
    (mailbox,) = installation.admin("status", "--json").json["mailboxes"]
    assert (mailbox["state"], mailbox["worker"]) == ("stopped", None)
    assert re.search(r"^state +stopped$", installation.run("status").out, re.MULTILINE)
    with installation.start() as again:
        again.wait_for("poll.finished")
        assert installation.admin("status", "--json").json["mailboxes"][0]["state"] == "active"


def test_a_worker_that_stops_speaks_for_no_other(database: Database) -> None:
    polled(database, "a", timedelta(seconds=10))
    record_end(database, "a", "process 2 on there")
    record_end(database, "b", "process 1 on here")
    assert state_of(report_of(database, "a", NOW).mailboxes[0], NOW) == "active"
    record_end(database, "a", "process 1 on here")
    assert state_of(report_of(database, "a", NOW).mailboxes[0], NOW) == "stopped"


@freeze_time(NOW)
def test_today_begins_at_midnight_and_the_week_on_monday(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Use the local time zone of this machine; the 25th is a Wednesday."""
    crm = Rows(database)
    joe = crm.user(crm.account(), "joe@acme.example")
    store = PollStore(database)
    midnight = NOW.astimezone().replace(hour=0)
    monday = midnight - timedelta(days=2)
    second = timedelta(seconds=1)
    for uid, decided_at in enumerate((NOW, midnight, midnight - second, monday, monday - second), 1):
        arrived_at = decided_at - timedelta(seconds=2 * uid)
        (filing,) = decide(store, Mail(uid, joe.token, joe.login))
        commit(store, QUEUE, [replace(filing, arrived_at=arrived_at)], decided_at.astimezone(UTC))
        (stranger,) = decide(store, Mail(uid + 100, joe.token, "eve@evil.example"))
        commit(store, QUEUE, [stranger], decided_at.astimezone(UTC))
    monkeypatch.setenv("BCC_DROPBOX_DATABASE_URL", f"sqlite:///{tmp_path / 'status.sqlite3'}")
    shown = CommandLine().json("status")
    assert {
        period: (*shown[period]["outcomes"].values(), shown[period]["reasons"]) for period in ("today", "week")
    } == {
        "today": (2, 0, 0, 2, {"sender_not_registered": 2}),
        "week": (4, 0, 0, 4, {"sender_not_registered": 4}),
    }
    # Of two the second, of four the third and the last, as they took 2, 4, 6 and 8 seconds.
    times = {period: (shown[period]["p50_seconds"], shown[period]["p99_seconds"]) for period in ("today", "week")}
    assert times == {"today": (pytest.approx(4, abs=0.01),) * 2, "week": pytest.approx((6, 8), abs=0.01)}


def test_a_path_that_leads_nowhere_is_told_and_nothing_is_made(installation: Dropbox, tmp_path: Path) -> None:
    installation.write(database_url=f"sqlite:///{tmp_path / 'tpyo' / 'worker.sqlite3'}")
    for command in (
        ["status"],
        ["status", "--watch"],
        ["explain", "7"],
        ["user", "list"],
        ["sender", "list", "joe@x.example"],
    ):
        ran = installation.run(*command)
        assert (ran.code, ran.out) == (1, "")
        [line] = ran.err.splitlines()
        assert line.startswith(f"error: database: there is no file {tmp_path / 'tpyo' / 'worker.sqlite3'}: is BCC_")
    assert not (tmp_path / "tpyo").exists()


def watching(installation: Dropbox) -> "subprocess.Popen[str]":
    command = [str(COMMAND), "--env-file", str(installation.env_file), "status", "--watch", "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_watching_shows_it_again_until_it_is_interrupted(installation: Dropbox) -> None:
    installation.add_user("jane@example.com")
    with watching(installation) as process:
        assert process.stdout is not None
        shown, again = (list(takewhile("}\n".__ne__, process.stdout)) for _ in range(2))
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    of_the_disk = "disk_"  # others use it too
    assert [line for line in shown if of_the_disk not in line] == [line for line in again if of_the_disk not in line]
    assert json.loads("".join([*shown, "}"]))["mailboxes"] == []


def test_a_watch_that_was_started_with_sigint_ignored_can_be_interrupted(installation: Dropbox) -> None:
    """A shell starts the background commands of a script so."""
    installation.add_user("jane@example.com")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited by the new process
    try:
        process = watching(installation)
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def test_watching_outlasts_a_database_that_is_away(
    installation: Dropbox, postgres: Postgres, database_url: str
) -> None:
    with Cut(postgres.port) as line:
        url = database_url.replace(f":{postgres.port}/", f":{line.port}/")
        installation.settings["database_url"] = url
        installation.add_user("jane@example.com")
        line.target = 1
        line.cut()
        with watching(installation) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            told = process.stderr.readline()
            assert told.startswith("error: database: ")
            assert told.endswith("; asked again every 2 seconds\n")
            line.target = postgres.port
            shown = list(takewhile("}\n".__ne__, process.stdout))
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
    assert json.loads("".join([*shown, "}"]))["mailboxes"] == []
