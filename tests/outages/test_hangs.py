"""Every wait has an end: silence, an octet now and then, a lock that is never released, a database that is frozen."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from tests.imap.listening import Listening
from tests.outages.conftest import InFrontOf, Opened
from tests.outages.ledger import Ledger, await_balance
from tests.servers.cut import Cut
from tests.servers.dovecot import Dovecot
from tests.servers.postgres import Postgres

DEADLINE = {"poll_deadline_seconds": "4", "socket_seconds": "1", "statement_seconds": "1"}


@contextmanager
def frozen(server: Postgres) -> Iterator[None]:
    """Stop the server's every process where it stands, as a disk that does not answer does."""
    postmaster = server.process.pid
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    processes = [postmaster, *map(int, children)]
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


def test_a_server_that_falls_silent_is_an_outage_after_the_sockets_wait(ledger: Ledger, through: Cut) -> None:
    service = ledger.start(socket_seconds="1")
    service.wait_for("poll.finished")
    through.stall()
    mails = ledger.deliver_letters(20)
    assert "no answer within 1 seconds" in service.wait_for("mailbox.lost")["error"]
    assert not ledger.blamed()
    through.resume()
    service.wait_for("mailbox.connected", times=2)
    await_balance(ledger, mails)
    assert (service.count("mailbox.lost"), service.count("mailbox.connected")) == (1, 2)


def test_a_server_that_gives_an_octet_now_and_then_is_an_outage_after_four_such_waits(
    ledger: Ledger, in_front_of: InFrontOf
) -> None:
    proxy = in_front_of(ledger)
    mails = ledger.deliver_letters(20)
    with Cut(proxy.port) as line:
        proxy.before(b"BODY.PEEK[]", lambda: line.trickle(4))
        service = ledger.start(imap_port=str(line.port), socket_seconds="1", batch_messages="5")
        assert "no whole answer within 4 seconds" in service.wait_for("mailbox.lost", seconds=20)["error"]
        assert not ledger.blamed()
        line.resume()
        await_balance(ledger, mails)
    assert service.count("mailbox.lost") == 1


@pytest.mark.parametrize("command", ["run", "poll"])
def test_a_poll_past_its_deadline_ends_the_process_so_that_it_is_started_again(
    ledger: Ledger, through: Cut, command: str
) -> None:
    """The greeting trickles: not even the login is reached. The server would be given up after twelve seconds."""
    mails = ledger.deliver_letters(3)
    through.trickle(2)
    hanging = ledger.start(command, **(DEADLINE | {"socket_seconds": "3"}))
    assert hanging.wait() == 75
    assert (hanging.names[-1], hanging.events[-1]["deadline"]) == ("poll.hung", 4)
    through.resume()
    ledger.start()
    await_balance(ledger, mails)


@pytest.mark.parametrize("command", ["run", "poll"])
def test_a_backlog_that_takes_longer_than_the_deadline_is_no_hang(ledger: Ledger, through: Cut, command: str) -> None:
    mails = ledger.deliver_letters(30)
    through.delay(0.1)
    waits = {"poll_deadline_seconds": "5", "socket_seconds": "4", "statement_seconds": "4"}
    service = ledger.start(command, batch_messages="1", poll_seconds="150", **waits)
    finished = service.wait_for("poll.finished", seconds=60)
    assert (finished["associated"], finished["seconds"] > 5) == (30, True)
    assert ledger.differences(mails) == []


@pytest.mark.parametrize("command", ["run", "poll"])
def test_a_database_that_freezes_in_the_midst_of_a_backlog_ends_the_process_and_blames_nobody(
    ledger_on: Opened, dovecot: Dovecot, own_postgres: Postgres, command: str
) -> None:
    ledger = ledger_on(dovecot, own_postgres.url(own_postgres.create_database()))
    mails = ledger.deliver_letters(400)
    hanging = ledger.start(command, batch_messages="5", **DEADLINE)
    hanging.wait_for("message.associated")
    with frozen(own_postgres):
        assert hanging.wait() == 75
    assert hanging.names[-1] == "poll.hung"
    assert len(ledger.folder()) + len(ledger.folder("Associated")) == 400
    ledger.start()
    await_balance(ledger, mails)
    assert ledger.outcomes() == {"associated": 400}


def test_a_start_does_not_wait_for_ever_for_another_that_migrates(
    ledger_on: Opened, dovecot: Dovecot, own_postgres: Postgres
) -> None:
    ledger = ledger_on(dovecot, own_postgres.url(own_postgres.create_database()))
    url = ledger.database_url.replace("+psycopg", "")
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE")
        service = ledger.start(statement_seconds="1")
        assert "timeout" in service.wait_for("database.unavailable", seconds=10)["error"]
        began = time.monotonic()
        once = ledger.run("poll")
        assert (once.code, time.monotonic() - began < 10) == (1, True)
        assert "error: database: canceling statement due to" in once.err
        other.rollback()
    service.wait_for("database.recovered")


class SilentAt(Listening):
    """Stands before a server of any kind, and passes nothing on any more once a client has said these words."""

    def __init__(self, target: int, words: bytes) -> None:
        super().__init__()
        self._target, self._words = target, words
        self._is_silent = threading.Event()

    def serve(self, connection: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._target), timeout=30) as server:
            threading.Thread(target=self._pass_on, args=(server, connection), daemon=True).start()
            while said := connection.recv(65536):
                if self._words in said:
                    self._is_silent.set()
                if not self._is_silent.is_set():
                    server.sendall(said)

    def _pass_on(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while said := server.recv(65536):
                client.sendall(said)


@pytest.mark.parametrize("command", ["run", "poll"])
def test_a_database_that_falls_silent_before_the_first_poll_ends_the_process_too(
    ledger_on: Opened, dovecot: Dovecot, own_postgres: Postgres, command: str
) -> None:
    ledger = ledger_on(dovecot, own_postgres.url(own_postgres.create_database()))
    url = ledger.database_url
    with SilentAt(own_postgres.port, b"alembic_version") as proxy:
        through = url.replace(f":{own_postgres.port}/", f":{proxy.port}/")
        assert through != url
        hanging = ledger.start(command, **DEADLINE, database_url=through)
        assert hanging.wait() == 75
    assert hanging.names[-1] == "poll.hung"
