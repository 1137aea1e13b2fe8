"""The database goes: two lines in the log, no strike, no message moved before it is stored, and on by itself."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tests.harness.running import await_true
from tests.outages.conftest import InFrontOf, Opened
from tests.outages.ledger import Ledger, await_balance, outages_told
from tests.servers.dovecot import Dovecot
from tests.servers.postgres import Postgres

BACKLOG = 200
ONE_OUTAGE = ["mailbox.connected", "database.unavailable", "database.recovered"]


@pytest.fixture
def on_postgres(ledger_on: Opened, dovecot: Dovecot, own_postgres: Postgres) -> Ledger:
    return ledger_on(dovecot, own_postgres.url(own_postgres.create_database()))


@pytest.mark.parametrize("step", [b"BODY.PEEK[HEADER", b"BODY.PEEK[]", b"UID MOVE"])
def test_a_server_that_is_stopped_in_the_midst_of_a_poll_is_waited_for(
    on_postgres: Ledger, own_postgres: Postgres, in_front_of: InFrontOf, dovecot: Dovecot, step: bytes
) -> None:
    ledger = on_postgres
    proxy = in_front_of(ledger)
    mails = ledger.deliver_letters(BACKLOG)
    proxy.before(step, own_postgres.stop)
    service = ledger.start(batch_messages="50")
    try:
        service.wait_for("database.unavailable", seconds=20)
        assert len(ledger.folder()) + len(ledger.folder("Associated")) == BACKLOG
    finally:
        own_postgres.start()
    service.wait_for("database.recovered")
    await_balance(ledger, mails)
    assert outages_told(service) == ONE_OUTAGE
    assert service.count("message.deferred") == 0


def test_connections_that_are_killed_again_and_again_cost_nothing_but_time(
    on_postgres: Ledger, own_postgres: Postgres
) -> None:
    ledger = on_postgres
    mails = ledger.deliver_letters(BACKLOG)
    service = ledger.start(batch_messages="10")
    database = ledger.database_url.rpartition("/")[2]
    for filed in (0, 20, 60, 120):
        await_true(lambda filed=filed: service.count("message.associated") > filed)  # type: ignore[misc]
        own_postgres.kill_connections(database)
    await_balance(ledger, mails)
    assert ledger.outcomes() == {"associated": BACKLOG}
    await_true(lambda: service.count("database.unavailable") == service.count("database.recovered"))
    assert (service.count("mailbox.lost"), service.count("message.deferred")) == (0, 0)


def test_a_file_that_another_process_keeps_locked_is_waited_for(ledger: Ledger, tmp_path: Path) -> None:
    mails = ledger.deliver_letters(20)
    with closing(sqlite3.connect(tmp_path / "worker.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        service = ledger.start(statement_seconds="1")
        error = service.wait_for("database.unavailable")["error"]
        assert "locked" in error
        assert ledger.folder() == mails
        other.execute("ROLLBACK")
    service.wait_for("database.recovered")
    await_balance(ledger, mails)
    assert (service.count("database.unavailable"), service.count("database.recovered")) == (1, 1)


def test_a_table_that_another_transaction_keeps_locked_is_waited_for(
    on_postgres: Ledger, own_postgres: Postgres
) -> None:
    ledger = on_postgres
    mails = ledger.deliver_letters(20)
    url = ledger.database_url.replace("+psycopg", "")
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE email IN ACCESS EXCLUSIVE MODE")
        service = ledger.start(statement_seconds="1")
        assert "timeout" in service.wait_for("database.unavailable")["error"]
        assert ledger.folder() == mails
        other.rollback()
    service.wait_for("database.recovered")
    await_balance(ledger, mails)
    assert outages_told(service) == ONE_OUTAGE


def test_a_full_disk_is_waited_for_and_what_did_not_fit_is_filed_when_there_is_room(
    ledger_on: Opened, dovecot: Dovecot, small_disk: Path
) -> None:
    ledger = ledger_on(dovecot, f"sqlite:///{small_disk / 'worker.sqlite3'}")
    ballast = small_disk / "ballast"
    service = ledger.start()
    service.wait_for("poll.finished")
    free = os.statvfs(small_disk)
    ballast.write_bytes(b"\0" * (free.f_bavail * free.f_frsize - 65_536))
    mails = ledger.deliver_letters(8, size=100_000)
    assert "full" in service.wait_for("database.unavailable")["error"]
    assert len(ledger.folder()) == len(mails)
    ballast.unlink()
    service.wait_for("database.recovered")
    await_balance(ledger, mails)
    assert outages_told(service) == ONE_OUTAGE
    assert service.count("message.deferred") == 0
