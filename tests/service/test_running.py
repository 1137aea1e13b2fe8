"""The service as a real process: signals, exit codes, wake-ups, outages, deadlines."""

import signal
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.harness.installation import Dropbox
from tests.harness.running import Running, await_true
from tests.servers.cut import Cut, Towards
from tests.servers.dovecot import Dovecot
from tests.servers.postgres import Postgres

LETTER = b"""\
Delivered-To: drop+k7m2arz3ndektsv4rrffq69g5f@drop.example.com
From: jane@example.com
To: bob@client.example
Message-ID: <%d@example.com>
Subject: Offer

Dear Bob
"""


def moment(event: dict[str, Any]) -> float:
    """Return the time of the log line, in seconds."""
    return datetime.fromisoformat(event["timestamp"]).timestamp()


@pytest.fixture
def own_dovecot() -> Iterator[Dovecot]:
    """A server that the test may stop."""
    server = Dovecot()
    server.start()
    yield server
    server.remove()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_ends_the_service_well(installation: Dropbox, number: signal.Signals) -> None:
    service = installation.start(idle="off")
    service.wait_for("poll.finished")
    code, seconds = service.end(number)
    assert code == 0
    assert seconds < 5
    assert service.names[0] == "service.started"
    assert service.names[-2:] == ["service.stopping", "service.stopped"]
    assert service.events[-2]["signal"] == number.name
    assert service.plain == []


def test_every_start_warns_that_forged_senders_are_believed(installation: Dropbox) -> None:
    # R13
    service = installation.start()
    assert service.wait_for("sender_auth.off")["level"] == "warning"
    service.kill()
    checking = installation.start(authserv_id="mx.drop.example", sender_auth="required")
    checking.wait_for("poll.finished")
    assert checking.count("sender_auth.off") == 0


def test_new_mail_is_filed_at_once(installation: Dropbox) -> None:
    """IDLE starts a poll long before the next scheduled one (R22)."""
    service = installation.start()
    service.wait_for("poll.finished", times=2)  # the second follows when IDLE is listening
    installation.deliver(LETTER % 1)
    event = service.wait_for("message.rejected", seconds=10)
    assert (event["reason"], event["message_id"]) == ("unknown_token", "<1@example.com>")
    assert event["seconds"] < 10


def test_without_idle_each_poll_comes_in_its_time(installation: Dropbox) -> None:
    service = installation.start(idle="off", poll_seconds="4")
    service.wait_for("poll.finished")
    installation.deliver(LETTER % 1)
    filed = service.wait_for("message.rejected", seconds=10)
    assert moment(filed) - moment(service.wait_for("service.started")) > 3.5, "filed before the second poll was due"


def test_polls_that_were_missed_are_made_up_once_at_once_and_never_beside_another(
    installation: Dropbox, cut: Cut
) -> None:
    """The second poll stands still from 4 to 13 seconds after the start: those due after 8 and 12 are missed."""
    service = installation.start(imap_port=str(cut.port), idle="off", poll_seconds="4")
    service.wait_for("poll.finished")
    started = moment(service.wait_for("service.started"))
    cut.stall()
    time.sleep(max(0.0, started + 13 - time.time()))
    cut.resume()
    service.wait_for("poll.finished", times=4)
    polls = [event for event in service.events if event["event"] == "poll.finished"]
    ends = [moment(event) for event in polls]
    begins = [moment(event) - event["seconds"] for event in polls]
    assert ends[1] - started >= 13
    assert 0 <= begins[2] - ends[1] < 1.5, "made up at once, and not beside it"
    assert begins[3] - started > 16 - 0.5, "made up once: the next one comes in its time"
    assert cut.connections == 1
    assert set(service.names) == {"service.started", "sender_auth.off", "mailbox.connected", "poll.finished"}


def test_a_backlog_does_not_keep_the_service_from_stopping(installation: Dropbox) -> None:
    installation.deliver(*(LETTER % number for number in range(3000)))
    service = installation.start(batch_messages="20")
    service.wait_for("message.rejected", seconds=20)
    code, seconds = service.end()
    assert code == 0
    assert seconds < 10
    assert service.names[-1] == "service.stopped"
    filed = service.count("message.rejected")
    assert filed < 3000, "the backlog is too small for this test"
    assert len(installation.folder("Rejected")) == filed
    assert len(installation.folder()) == 3000 - filed


def test_a_mailbox_that_is_down_leaves_a_line_when_it_goes_and_one_when_it_comes(
    installation: Dropbox, own_dovecot: Dovecot, mailbox_user: str
) -> None:
    service = installation.start(imap_port=str(own_dovecot.imap), poll_seconds="1", idle="off")
    service.wait_for("poll.finished")
    own_dovecot.kill()
    lost = service.wait_for("mailbox.lost")
    assert "127.0.0.1" in lost["error"]
    time.sleep(2)  # two more tries at least
    own_dovecot.start()
    service.wait_for("mailbox.connected", times=2)
    own_dovecot.deliver(mailbox_user, LETTER % 1)
    service.wait_for("message.rejected")
    assert (service.count("mailbox.lost"), service.count("mailbox.connected")) == (1, 2)
    assert service.count("mailbox.retrying") == 0


def test_a_refused_login_is_told_apart_and_not_repeated(installation: Dropbox, forgiving_dovecot: Dovecot) -> None:
    service = installation.start(imap_port=str(forgiving_dovecot.imap), imap_password="wrong", poll_seconds="1")
    assert "login refused" in service.wait_for("mailbox.login_refused")["error"]
    time.sleep(3)
    assert service.names.count("mailbox.login_refused") == 1
    assert service.end()[0] == 0


def test_a_mended_password_is_used_at_once_after_a_reload(installation: Dropbox, forgiving_dovecot: Dovecot) -> None:
    password = installation.settings["imap_password"]
    service = installation.start(imap_port=str(forgiving_dovecot.imap), imap_password="wrong")
    service.wait_for("mailbox.login_refused")
    installation.write(imap_password=password)
    service.send(signal.SIGHUP)
    service.wait_for("settings.reloaded")
    service.wait_for("poll.finished")
    assert service.end()[0] == 0


def test_a_broken_env_file_changes_nothing_and_is_told(installation: Dropbox) -> None:
    service = installation.start()
    service.wait_for("poll.finished", times=2)
    installation.write(imap_port="imap", typo="1")
    service.send(signal.SIGHUP)
    refused = service.wait_for("settings.refused")
    assert [line.split()[0] for line in refused["problems"]] == ["BCC_DROPBOX_TYPO", "BCC_DROPBOX_IMAP_PORT"]
    installation.deliver(LETTER % 1)
    service.wait_for("message.rejected")


@pytest.mark.parametrize("url", ["smtps://:password@mail.example", "smtp://u:password@mail.example", "mail.example"])
def test_a_mail_server_that_cannot_be_used_is_refused_and_nothing_changes(installation: Dropbox, url: str) -> None:
    service = installation.start()
    service.wait_for("poll.finished", times=2)
    installation.write(smtp_url=url)
    service.send(signal.SIGHUP)
    (problem,) = service.wait_for("settings.refused")["problems"]
    assert problem.startswith("BCC_DROPBOX_SMTP_URL has a bad value")
    installation.deliver(LETTER % 1)
    service.wait_for("message.rejected")
    assert service.end()[0] == 0


def test_a_poll_that_hangs_ends_the_process(installation: Dropbox, cut: Cut) -> None:
    cut.trickle(2)
    service = installation.start(
        imap_port=str(cut.port), poll_deadline_seconds="3", socket_seconds="2", statement_seconds="2"
    )
    assert service.wait() == 75
    assert service.names[-1] == "poll.hung"
    assert service.events[-1]["deadline"] == 3


def test_a_stop_does_not_wait_for_a_server_that_is_silent(installation: Dropbox, cut: Cut) -> None:
    service = installation.start(imap_port=str(cut.port), idle="off", poll_seconds="1")
    service.wait_for("poll.finished")
    cut.stall()
    asked = cut.received(Towards.SERVER)
    await_true(lambda: cut.received(Towards.SERVER) > asked)
    code, seconds = service.end()
    assert code == 0
    assert 5 < seconds < 10
    assert service.names[-1] == "service.stopped"


def test_a_second_worker_on_an_sqlite_file_is_refused(installation: Dropbox) -> None:
    first = installation.start()
    first.wait_for("poll.finished")
    second = installation.start()
    assert second.wait() == 1
    assert "a worker already uses this SQLite database" in second.wait_for("service.failed")["error"]


def test_a_worker_that_stands_by_takes_over_from_one_that_is_killed(
    pair: tuple[Running, Running], dovecot: Dovecot, mailbox_user: str
) -> None:
    first, second = pair
    first.kill()
    second.wait_for("worker.active", seconds=10)
    dovecot.deliver(mailbox_user, LETTER % 1)
    second.wait_for("message.rejected")
    assert second.count("worker.standby") == 1


def test_a_wrong_setting_starts_nothing(installation: Dropbox) -> None:
    installation.write(poll_seconds="0")
    ran = installation.run("run")
    assert ran.code == 1
    assert ran.err == ("error: BCC_DROPBOX_POLL_SECONDS is '0': it should be a whole number of seconds from 1 to 150\n")


def test_one_poll_of_a_mailbox_that_is_down_is_one_line_and_exit_1(installation: Dropbox) -> None:
    installation.write(imap_port="1")
    ran = installation.run("poll")
    errors = [line for line in ran.err.splitlines() if line.startswith("error:")]
    assert (ran.code, errors) == (1, ["error: IMAP server 127.0.0.1:1: nothing listens there"])


def test_a_database_that_is_down_is_told_from_a_mailbox_that_is(
    installation: Dropbox, database_url: str, postgres: Postgres
) -> None:
    service = installation.start(database_url=database_url, poll_seconds="1", idle="off")
    service.wait_for("poll.finished")
    postgres.stop()
    try:
        service.wait_for("database.unavailable")
        installation.deliver(LETTER % 1)
    finally:
        postgres.start()
    service.wait_for("database.recovered")
    service.wait_for("message.rejected")
    assert (service.count("database.unavailable"), service.count("mailbox.lost")) == (1, 0)
