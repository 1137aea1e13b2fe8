"""PgBouncer between the worker and PostgreSQL: session mode works; what would let two workers in is refused."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
from sqlalchemy import text

from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgres import Postgres
from worker.domain.errors import DatabaseUnavailable, Refused
from worker.store.database import Database
from worker.store.health import standing_by
from worker.store.locks import MailboxLock

Pooler = Callable[..., PgBouncer]
Open = Callable[[str], Database]
NAMES = ("statement_timeout", "lock_timeout", "idle_session_timeout", "client_connection_check_interval", "TimeZone")
EITHER = pytest.mark.parametrize("mode", ["transaction", "statement"])


@pytest.fixture
def pooler(postgres: Postgres) -> Iterator[Pooler]:
    """Start a PgBouncer with these settings."""
    started: list[PgBouncer] = []

    def start(**settings: str) -> PgBouncer:
        started.append(PgBouncer(postgres, **settings))
        return started[-1]

    yield start
    for each in started:
        each.remove()


@pytest.fixture
def name(postgres: Postgres, migrated_template: str) -> Iterator[str]:
    """Name a migrated database."""
    name = postgres.create_database(template=migrated_template)
    yield name
    postgres.drop_database(name)


def test_session_mode_works_with_the_limits_of_a_direct_connection(
    pooler: Pooler, name: str, open_database: Open
) -> None:
    database = open_database(pooler(pool_mode="session").url(name))
    database.require_own_sessions()
    with database.begin() as connection:
        limits = [connection.exec_driver_sql(f"SHOW {setting}").scalar() for setting in NAMES]
    assert limits == ["30s", "30s", "0", "2s", "UTC"]
    first, second = (MailboxLock(database, "drop") for _ in range(2))
    assert (first.acquire(), second.acquire(), first.held(), len(standing_by(database))) == (True, False, True, 1)
    first.release()
    assert second.acquire()
    second.release()


def test_a_session_goes_back_to_the_pool_as_it_came(pooler: Pooler, name: str) -> None:
    """The operator may have configured PgBouncer not to clean up after its clients."""
    bouncer = pooler(pool_mode="session", server_reset_query="", default_pool_size="4")
    database = Database.open(bouncer.url(name))
    with psycopg.connect(bouncer.url(name).replace("+psycopg", "")) as fresh:
        before = settings_of(fresh)
    lock = MailboxLock(database, "drop")
    assert lock.acquire()
    with database.begin() as one, database.read() as other:
        assert one.scalar(text("SELECT 1")) == other.scalar(text("SELECT 1"))
    lock.release()
    database.close()
    others = [psycopg.connect(bouncer.url(name).replace("+psycopg", "")) for _ in range(4)]
    assert [settings_of(each) for each in others] == [before] * 4
    assert others[0].execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,)
    for each in others:
        each.close()


def settings_of(connection: psycopg.Connection) -> list[object]:
    names = [*NAMES, "tcp_user_timeout", "bcc_dropbox.session"]
    row = connection.execute(
        f"SELECT {', '.join('nullif(current_setting(%s, true), %s)' for _ in names)},"
        " (SELECT count(*) FROM pg_prepared_statements)",
        [part for name in names for part in (name, "")],
    ).fetchone()
    assert row
    return list(row)


@EITHER
@pytest.mark.parametrize("settings", [{}, {"server_round_robin": "1"}, {"default_pool_size": "1"}], ids=str)
def test_a_mode_that_shares_sessions_is_refused_by_name(
    pooler: Pooler, name: str, open_database: Open, mode: str, settings: dict[str, str]
) -> None:
    bouncer = pooler(pool_mode=mode, **settings)
    others = [psycopg.connect(bouncer.url(name).replace("+psycopg", ""), autocommit=True) for _ in range(3)]
    if "default_pool_size" not in settings:
        with psycopg.connect(bouncer.url(name).replace("+psycopg", ""), autocommit=True) as warm:
            warm.execute("SELECT 1")
    for each in others:
        each.execute("SELECT 1")
    with pytest.raises(Refused, match="set pool_mode = session"):
        open_database(bouncer.url(name)).require_own_sessions()
    for each in others:
        each.close()


def test_two_workers_that_share_a_session_do_not_both_get_the_mailbox(
    pooler: Pooler, name: str, open_database: Open
) -> None:
    url = pooler(pool_mode="transaction").url(name)
    first, second = (MailboxLock(open_database(url), "drop") for _ in range(2))
    assert first.acquire()
    with pytest.raises(DatabaseUnavailable, match="transaction or statement mode"):
        second.acquire()
    assert first.held()
    first.release()


def test_a_lock_is_lost_when_the_pooler_puts_the_worker_into_another_session(
    pooler: Pooler, name: str, open_database: Open
) -> None:
    bouncer = pooler(pool_mode="transaction")
    lock = MailboxLock(open_database(bouncer.url(name)), "drop")
    assert lock.acquire()
    with psycopg.connect(bouncer.url(name).replace("+psycopg", "")) as other:
        other.execute("SELECT 1")  # keeps the session that the lock was taken in
        with pytest.raises(DatabaseUnavailable, match="transaction or statement mode"):
            lock.held()
    assert not lock.held()


def test_a_connection_that_is_given_another_session_is_not_used(pooler: Pooler, name: str, open_database: Open) -> None:
    bouncer = pooler(pool_mode="transaction")
    database = open_database(bouncer.url(name))
    with database.read() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    with psycopg.connect(bouncer.url(name).replace("+psycopg", "")) as other:
        other.execute("SELECT 1")
        with pytest.raises(DatabaseUnavailable, match="transaction or statement mode"), database.read():
            raise AssertionError("never got here")
