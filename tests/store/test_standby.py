"""A name that leads to another server: a standby, and the one that was promoted."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.harness.installation import Dropbox
from tests.servers.cut import Cut
from tests.servers.dovecot import Dovecot
from tests.servers.postgres import Postgres
from worker.diagnostics import check_all
from worker.diagnostics.checks import Result
from worker.domain.errors import DatabaseUnavailable, Unavailable
from worker.store.database import Database
from worker.store.locks import MailboxLock
from worker.store.schema import migrate

Open = Callable[[str], Database]


@pytest.fixture
def primary() -> Iterator[Postgres]:
    server = Postgres()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def standby(primary: Postgres) -> Iterator[Postgres]:
    database = Database.open(primary.url("postgres"))
    migrate(database)
    database.close()
    server = Postgres(follows=primary)
    server.start()
    yield server
    server.remove()


@pytest.fixture
def proxy(primary: Postgres) -> Iterator[Cut]:
    """Stand for the name, which leads to the primary first."""
    with Cut(primary.port) as proxy:
        yield proxy


def insert(database: Database, number: int) -> None:
    with database.begin() as connection:
        connection.execute(text(f"INSERT INTO mailbox (id, name, backlog) VALUES ({number}, 'drop-{number}', 0)"))


def test_a_standby_is_a_lost_connection_for_the_pool_and_for_the_lock(
    proxy: Cut, primary: Postgres, standby: Postgres, open_database: Open
) -> None:
    database = open_database(f"postgresql+psycopg://postgres@127.0.0.1:{proxy.port}/postgres")
    lock = MailboxLock(database, "drop")
    assert lock.acquire()
    insert(database, 1)
    proxy.target = standby.port
    proxy.cut()
    with pytest.raises(Unavailable):
        lock.held()
    with pytest.raises(DatabaseUnavailable, match="read-only standby"):
        lock.acquire()
    with database.read() as connection:  # a reader is served, and its connection goes back into the pool
        assert connection.scalar(text("SELECT count(*) FROM mailbox")) == 1
    with pytest.raises(DatabaseUnavailable, match="the server takes no writes: it is a standby"):
        insert(database, 2)
    proxy.target = primary.port  # and no connection is cut
    insert(database, 2)
    assert lock.acquire()
    lock.release()


def test_a_lock_on_a_server_that_takes_no_writes_any_more_is_given_up(
    proxy: Cut, standby: Postgres, open_database: Open
) -> None:
    """The name leads elsewhere, and the old server goes on: the lock there keeps no other worker out."""
    database = open_database(f"postgresql+psycopg://postgres@127.0.0.1:{proxy.port}/postgres")
    lock = MailboxLock(database, "drop")
    assert lock.acquire()
    proxy.target = standby.port
    with pytest.raises(DatabaseUnavailable, match="it is a standby"):
        insert(database, 1)
    with pytest.raises(DatabaseUnavailable, match="the lock on the mailbox is lost"):
        lock.held()


def test_the_service_goes_on_with_the_server_that_was_promoted(
    proxy: Cut, primary: Postgres, standby: Postgres, dovecot: Dovecot, mailbox_user: str, tmp_path: Path
) -> None:
    url = f"postgresql+psycopg://postgres@127.0.0.1:{proxy.port}/postgres"
    installation = Dropbox(dovecot, mailbox_user, url, env_file=tmp_path / "worker.env")
    with installation.start(poll_seconds="1") as service:
        service.wait_for("poll.finished")
        proxy.target = standby.port
        proxy.cut()
        primary.stop()
        told = service.wait_for("database.unavailable")
        refused = installation.run("account", "add", "Acme")
        found = {each.what: each for each in check_all(installation.env_file)}
        standby.promote()
        service.wait_for("database.recovered", seconds=30)
        assert installation.run("account", "add", "Acme").code == 0
        service.end()
    assert re.search("standby|lost|takes no writes|connection", told["error"])
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "takes no writes: it is a standby" in refused.err
    assert (found["database"].result, found["database"].seen) == (Result.FAIL, "PostgreSQL, but a read-only standby")
    assert "target_session_attrs=read-write" in found["database"].mending
