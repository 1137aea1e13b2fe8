"""The servers themselves: what the other tests build on must hold."""

import ssl
import time
from collections.abc import Callable

import psycopg
import pytest
from imapclient import IMAPClient

from tests.servers.cut import Cut, Towards
from tests.servers.dovecot import PASSWORD, Dovecot, DovecotSettings
from tests.servers.postgres import Postgres

MAIL = b"From: jo@example.com\r\nSubject: hello\r\n\r\nbody\r\n"


def connect(url: str) -> psycopg.Connection:
    return psycopg.connect(url.replace("+psycopg", ""))


def test_dovecot_serves_what_was_delivered_byte_for_byte(dovecot: Dovecot, mailbox_user: str) -> None:
    dovecot.deliver(mailbox_user, MAIL, arrived=1_700_000_000)
    with dovecot.connect(mailbox_user) as client:
        client.normalise_times = False
        client.select_folder("INBOX")
        fetched = client.fetch(client.search(), ["BODY.PEEK[]", "INTERNALDATE"])
    (message,) = fetched.values()
    assert message[b"BODY[]"] == MAIL
    assert message[b"INTERNALDATE"].timestamp() == 1_700_000_000


def test_dovecot_shows_where_messages_were_moved(dovecot: Dovecot, mailbox_user: str) -> None:
    dovecot.deliver_many(mailbox_user, [MAIL, MAIL + b"2"])
    with dovecot.connect(mailbox_user) as client:
        client.create_folder("Associated")
        client.select_folder("INBOX")
        client.move(client.search()[:1], "Associated")
    assert dovecot.folder(mailbox_user) == [MAIL + b"2"]
    assert dovecot.folder(mailbox_user, "Associated") == [MAIL]
    assert dovecot.folders(mailbox_user) == ["Associated"]


@pytest.mark.parametrize("implicit", [True, False], ids=["imaps", "starttls"])
def test_dovecot_proves_itself_by_its_own_authority(dovecot: Dovecot, mailbox_user: str, implicit: bool) -> None:
    trusted = ssl.create_default_context(cafile=str(dovecot.authority))
    port = dovecot.imaps if implicit else dovecot.imap
    client = IMAPClient("localhost", port=port, ssl=implicit, ssl_context=trusted if implicit else None)
    if not implicit:
        client.starttls(trusted)
    client.login(mailbox_user, PASSWORD)
    client.logout()


def test_dovecot_can_be_without_move_and_with_another_namespace(
    dovecot_with: Callable[[DovecotSettings], Dovecot], mailbox_user: str
) -> None:
    lesser = DovecotSettings(without=frozenset({"MOVE", "UIDPLUS"}), prefix="INBOX.")
    server = dovecot_with(lesser)
    with server.connect(mailbox_user) as client:
        assert not client.has_capability("MOVE")
        assert not client.has_capability("UIDPLUS")
        assert client.has_capability("IDLE")
        assert client.namespace().personal == (("INBOX.", "."),)
        client.create_folder("INBOX.Rejected")
    server.deliver(mailbox_user, MAIL, "INBOX.Rejected")
    assert server.folder(mailbox_user, "INBOX.Rejected") == [MAIL]


@pytest.mark.parametrize("end", [Dovecot.stop, Dovecot.kill])
def test_dovecot_comes_back_on_the_same_port_with_the_same_mail(
    dovecot: Dovecot, mailbox_user: str, end: Callable[[Dovecot], None]
) -> None:
    dovecot.deliver(mailbox_user, MAIL)
    open_client = dovecot.connect(mailbox_user)
    end(dovecot)
    with pytest.raises((OSError, IMAPClient.AbortError)):
        open_client.noop()
    with pytest.raises(ConnectionRefusedError):
        dovecot.connect(mailbox_user)
    dovecot.start()
    with dovecot.connect(mailbox_user) as client:
        assert client.select_folder("INBOX")[b"EXISTS"] == 1


def test_a_database_is_fresh_for_each_test(database_url: str) -> None:
    with connect(database_url) as connection:
        connection.execute("CREATE TABLE lead (id int)")


def test_a_database_is_fresh_for_the_next_test_too(database_url: str) -> None:
    with connect(database_url) as connection:
        connection.execute("CREATE TABLE lead (id int)")


def test_a_database_can_be_copied(postgres: Postgres) -> None:
    template = postgres.create_database()
    with connect(postgres.url(template)) as connection:
        connection.execute("CREATE TABLE lead (id int)")
    copy = postgres.create_database(template)
    with connect(postgres.url(copy)) as connection:
        connection.execute("SELECT id FROM lead")


def test_postgres_cuts_connections(postgres: Postgres, database_url: str) -> None:
    connection = connect(database_url)
    assert postgres.kill_connections() == 1
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")


@pytest.mark.parametrize("end", [Postgres.stop, Postgres.kill])
def test_postgres_comes_back_with_its_data(
    postgres: Postgres, database_url: str, end: Callable[[Postgres], None]
) -> None:
    connection = connect(database_url)
    with connect(database_url) as other:
        other.execute("CREATE TABLE lead (id int)")
    end(postgres)
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    postgres.start()
    with connect(database_url) as again:
        again.execute("SELECT id FROM lead")


def open_through(cut: Cut, timeout: float = 10) -> IMAPClient:
    return IMAPClient("127.0.0.1", port=cut.port, ssl=False, timeout=timeout)


def test_the_proxy_counts_bytes_and_round_trips(cut: Cut, mailbox_user: str) -> None:
    client = open_through(cut)
    client.login(mailbox_user, PASSWORD)
    before, sent = cut.round_trips, cut.passed(Towards.SERVER)
    client.noop()
    client.noop()
    assert cut.round_trips - before == 2
    assert cut.passed(Towards.SERVER) - sent == 2 * len("ABCD1 NOOP\r\n")
    assert cut.connections == 1


def test_the_proxy_cuts_after_so_many_bytes_and_lets_the_next_in(cut: Cut, dovecot: Dovecot, mailbox_user: str) -> None:
    dovecot.deliver(mailbox_user, MAIL)
    client = open_through(cut)
    client.login(mailbox_user, PASSWORD)
    client.select_folder("INBOX")
    passed = cut.passed()
    cut.cut_after(20)
    with pytest.raises((OSError, IMAPClient.AbortError)):
        client.fetch([1], ["BODY.PEEK[]"])
    assert cut.passed() - passed == 20
    open_through(cut).login(mailbox_user, PASSWORD)


def test_the_proxy_stalls_and_resumes(cut: Cut, mailbox_user: str) -> None:
    client = open_through(cut, timeout=0.2)
    client.login(mailbox_user, PASSWORD)
    cut.stall()
    with pytest.raises(TimeoutError):
        client.noop()
    cut.resume()
    open_through(cut).login(mailbox_user, PASSWORD)


def test_the_proxy_delays_each_direction(cut: Cut, mailbox_user: str) -> None:
    client = open_through(cut)
    client.login(mailbox_user, PASSWORD)
    cut.delay(0.05)
    before = time.monotonic()
    client.noop()
    assert time.monotonic() - before >= 0.1


def test_the_proxy_trickles(cut: Cut, mailbox_user: str) -> None:
    client = open_through(cut, timeout=0.2)
    client.login(mailbox_user, PASSWORD)
    passed = cut.passed()
    cut.trickle(bytes_per_second=0.5)
    with pytest.raises(TimeoutError):
        client.noop()
    assert cut.passed() - passed <= 1
