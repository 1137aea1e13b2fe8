"""Opening a database, its transactions, and what its failures are called."""

# ruff: noqa: PT012 - what fails is the transaction as a whole, often only at its end

import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from tests.servers.cut import Cut
from tests.servers.postgres import Postgres
from worker.domain.errors import Conflict, Refused, Unavailable
from worker.store.columns import to_json
from worker.store.database import UNHURRIED, Database
from worker.store.health import mailbox_id
from worker.store.postgresql import connection_parameters
from worker.store.schema import migrate

NOWHERE = "postgresql+psycopg://nobody:secret@127.0.0.1:1/none"
Open = Callable[[str], Database]


@pytest.fixture
def server_database(postgres: Postgres, open_database: Open) -> Database:
    return open_database(postgres.url(postgres.create_database()))


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("no url", "not a database URL; expected sqlite:///"),
        ("mysql://host/db", "no database of the kind 'mysql' can be used"),
        ("postgresql+psycopg2://host/db", r"no database of the kind 'postgresql\+psycopg2' can be used"),
        ("sqlite://", "a database in memory would lose mail"),
        ("sqlite:///:memory:", "a database in memory would lose mail"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_with_what_is_expected(url: str, told: str) -> None:
    with pytest.raises(Refused, match=told):
        Database.open(url)


def test_a_new_file_and_its_folder_are_for_this_user_alone(tmp_path: Path, open_database: Open) -> None:
    file = tmp_path / "new" / "dropbox.db"
    database = open_database(f"sqlite:///{file}")
    migrate(database)
    assert database.file == file
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (file.parent, *file.parent.iterdir())}
    assert modes.pop("new") == 0o700
    assert set(modes.values()) == {0o600}


READ = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM mailbox').fetchone()[0])"


def test_a_second_opening_in_one_process_takes_no_locks_from_the_first(tmp_path: Path, open_database: Open) -> None:
    """Keep these files: without them the next reader that closes removes the log, and later writes are lost."""
    file = tmp_path / "dropbox.db"
    first = open_database(f"sqlite:///{file}")
    migrate(first)
    for count in (1, 2, 3):
        Database.open(f"sqlite:///{file}").close()
        with first.begin() as connection:
            mailbox_id(connection, f"mailbox {count}")
        read = subprocess.run([sys.executable, "-c", READ, file], capture_output=True, text=True, check=True)
        assert int(read.stdout) == count


def test_a_file_is_not_made_when_it_is_only_to_be_read(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="there is no file"):
        Database.open(f"sqlite:///{tmp_path}/missing.db", create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(Unavailable, match=r"file/dropbox\.db cannot be opened: "):
        Database.open(f"sqlite:///{tmp_path}/file/dropbox.db")


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path, open_database: Open) -> None:
    (tmp_path / "dropbox.db").write_text("something else altogether\n" * 100)
    with pytest.raises(Unavailable, match="file is not a database"):
        migrate(open_database(f"sqlite:///{tmp_path}/dropbox.db"))


def test_what_is_committed_on_sqlite_is_synced_and_checked(tmp_path: Path, open_database: Open) -> None:
    with open_database(f"sqlite:///{tmp_path}/dropbox.db").read() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "cache_size")
        }
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 30_000,
        "cache_size": -4_000,
    }


def test_a_file_locked_for_too_long_is_unavailable(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path}/dropbox.db", statement_seconds=0)
    migrate(database)
    other = sqlite3.connect(tmp_path / "dropbox.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="database is locked"), database.begin():
        raise AssertionError("never got here")
    with database.read() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    other.close()
    database.close()


def test_a_full_disk_is_unavailable(tmp_path: Path, open_database: Open) -> None:
    database = open_database(f"sqlite:///{tmp_path}/dropbox.db")
    with pytest.raises(Unavailable, match="database or disk is full"), database.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
        connection.exec_driver_sql("PRAGMA max_page_count = 3")
        connection.exec_driver_sql("INSERT INTO t VALUES (zeroblob(1000000))")


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    with pytest.raises(KeyError), database.begin() as connection:
        connection.execute(text("INSERT INTO mailbox (id, name, backlog) VALUES (1, 'drop', 0)"))
        raise KeyError
    with database.read() as connection:
        assert connection.scalar(text("SELECT count(*) FROM mailbox")) == 0


def test_a_reader_sees_one_moment_while_a_writer_goes_on(url: str, open_database: Open) -> None:
    count = text("SELECT count(*) FROM mailbox")
    reading, writing = open_database(url), open_database(url)
    with reading.read() as reader:
        assert reader.scalar(count) == 0
        with writing.begin() as writer:
            writer.execute(text("INSERT INTO mailbox (id, name, backlog) VALUES (1, 'drop', 0)"))
        assert reader.scalar(count) == 0
    with reading.read() as reader:
        assert reader.scalar(count) == 1


@pytest.mark.parametrize(
    "statement", ["SELECT colour FROM email", "SELECT 1 FROM colour", "UPDATE email SET colour = 1"]
)
def test_a_schema_that_another_release_has_changed_is_an_outage(database: Database, statement: str) -> None:
    """While workers are upgraded one after the other, no message is to blame."""
    with pytest.raises(Unavailable, match="is an upgrade under way"), database.begin() as connection:
        connection.execute(text(statement))


def test_a_bug_in_a_statement_is_no_outage_and_shows_nobodys_mail(database: Database) -> None:
    with pytest.raises(DatabaseError) as caught, database.begin() as connection:
        connection.execute(text("INSERT NONSENSE VALUES (:body)"), {"body": "a private word"})
    assert "NONSENSE" in str(caught.value)
    assert "private" not in str(caught.value)


def test_a_conflict_is_one_line(database: Database) -> None:
    with pytest.raises(Conflict) as caught, database.begin() as connection:
        for number in (1, 2):
            row = {"number": number}
            connection.execute(text("INSERT INTO mailbox (id, name, backlog) VALUES (:number, 'drop', 0)"), row)
    assert str(caught.value).startswith("database: ")
    assert "\n" not in str(caught.value)


def test_a_server_that_is_not_there_is_unavailable_in_one_line_without_the_password(open_database: Open) -> None:
    with pytest.raises(Unavailable) as caught, open_database(NOWHERE).begin():
        raise AssertionError("never got here")
    assert "127.0.0.1" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_database_that_does_not_exist_is_unavailable(postgres: Postgres, open_database: Open) -> None:
    with pytest.raises(Unavailable, match="does not exist"), open_database(postgres.url("missing")).read():
        raise AssertionError("never got here")


def test_a_connection_killed_in_a_transaction_is_unavailable_and_the_next_one_works(
    postgres: Postgres, server_database: Database
) -> None:
    with pytest.raises(Unavailable), server_database.begin() as connection:
        connection.execute(text("SELECT 1"))
        postgres.kill_connections(server_database.engine.url.database)
        connection.execute(text("SELECT 1"))
    with server_database.begin() as connection:
        assert connection.scalar(text("SELECT 1")) == 1


def test_connections_killed_while_idle_are_not_even_noticed(postgres: Postgres, server_database: Database) -> None:
    for _ in range(2):
        with server_database.read() as connection:
            assert connection.scalar(text("SELECT 1")) == 1
        postgres.kill_connections(server_database.engine.url.database)


def test_a_statement_that_takes_too_long_is_unavailable(postgres: Postgres) -> None:
    database = Database.open(postgres.url("postgres"), statement_seconds=1)
    with pytest.raises(Unavailable, match="statement timeout"), database.read() as connection:
        connection.execute(text("SELECT pg_sleep(20)"))
    database.close()


def test_a_statement_that_takes_too_long_on_sqlite_is_unavailable_and_the_next_one_works(tmp_path: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    database = Database.open(f"sqlite:///{tmp_path}/dropbox.db", statement_seconds=1)
    with pytest.raises(Unavailable, match="interrupted"), database.read() as connection:
        connection.execute(text(endless))
    with database.begin() as connection:
        connection.execute(text("CREATE TABLE t (x)"))
    with pytest.raises(Unavailable, match="interrupted"), database.begin() as connection:
        connection.execute(text("INSERT INTO t VALUES (1)"))
        connection.execute(text(f"INSERT INTO t {endless}"))
    with database.read() as connection:
        assert connection.scalar(text("SELECT count(*) FROM t")) == 0
    database.close()


def test_a_migration_may_take_its_time_on_sqlite(tmp_path: Path) -> None:
    some = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000) SELECT count(*) FROM n"
    database = Database.open(f"sqlite:///{tmp_path}/dropbox.db", statement_seconds=0)
    with database.begin() as connection:
        connection.execution_options(**{UNHURRIED: True})
        assert connection.scalar(text(some)) == 100_000
    with pytest.raises(Unavailable, match="interrupted"), database.begin() as connection:
        connection.scalar(text(some))
    database.close()


def test_transactions_that_cannot_be_put_in_an_order_are_a_conflict(server_database: Database) -> None:
    with pytest.raises(Conflict, match="could not serialize"), server_database.begin() as connection:
        connection.execute(
            text("DO $$ BEGIN RAISE serialization_failure USING MESSAGE = 'could not serialize'; END $$")
        )


def test_a_server_that_falls_silent_is_noticed_within_ten_seconds(postgres: Postgres, open_database: Open) -> None:
    with Cut(postgres.port) as proxy:
        database = open_database(f"postgresql+psycopg://postgres@127.0.0.1:{proxy.port}/postgres")
        proxy.stall()
        began = time.monotonic()
        with pytest.raises(Unavailable), database.read():
            raise AssertionError("never got here")
        assert time.monotonic() - began < 10


def test_a_parameter_in_the_url_wins_over_ours(postgres: Postgres, open_database: Open) -> None:
    database = open_database(postgres.url("postgres") + "?application_name=mine")
    with database.read() as connection:
        assert connection.scalar(text("SHOW application_name")) == "mine"
        assert connection.scalar(text("SHOW statement_timeout")) == "30s"


def test_a_dead_network_is_given_less_than_ten_seconds() -> None:
    parameters = connection_parameters()
    probes = parameters["keepalives_idle"] + parameters["keepalives_interval"] * parameters["keepalives_count"]
    assert max(probes, parameters["tcp_user_timeout"] / 1000, parameters["connect_timeout"]) < 10


def test_json_keeps_everything_but_what_no_database_takes() -> None:
    assert to_json({"a\x00": ["é", "b\ud800", 1, None, {"c": "\x00"}]}) == '{"a":["é","b",1,null,{"c":""}]}'
    assert to_json("\\u0000") == '"\\\\u0000"'


def test_a_note_does_not_wait_for_the_disk_and_what_follows_it_does(database: Database) -> None:
    asked = "PRAGMA synchronous" if database.is_sqlite else "SHOW synchronous_commit"
    with database.note() as connection:
        assert connection.exec_driver_sql(asked).scalar() in {1, "off"}
    with database.begin() as connection:
        assert connection.exec_driver_sql(asked).scalar() in {2, "on"}


def test_a_note_is_written_for_other_processes_to_see(database: Database) -> None:
    with database.note() as connection:
        connection.exec_driver_sql("INSERT INTO mailbox (id, name, backlog) VALUES (4711, 'noted', 0)")
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM mailbox WHERE name = 'noted'").scalar() == 1


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_whoever_writes_sees_what_was_committed_while_it_waited(url: str, open_database: Open) -> None:
    """Whatever the server's own default is: the look that follows the wait for a lock rests on that."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        name = SQL("ALTER DATABASE {} SET default_transaction_isolation = 'repeatable read'")
        connection.execute(name.format(Identifier(connection.info.dbname)))
    database = open_database(url)
    for begin in (database.begin, database.note):
        with begin() as connection:
            assert connection.exec_driver_sql("SHOW transaction_isolation").scalar() == "read committed"


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_process_that_was_halted_within_a_transaction_finds_the_database_unavailable(url: str) -> None:
    """The server ended the transaction and released its rows; no message gets a strike for it."""
    database = Database.open(url, statement_seconds=1)
    with pytest.raises(Unavailable, match="idle-in-transaction"), database.begin() as connection:
        connection.exec_driver_sql("SELECT 1")
        time.sleep(2.5)
        connection.exec_driver_sql("SELECT 1")
    database.close()


@pytest.mark.parametrize("octets", [4096, 8192])
def test_the_bound_of_the_log_is_in_octets(tmp_path: Path, open_database: Open, octets: int) -> None:
    """Files of an earlier release have pages of another size."""
    with closing(sqlite3.connect(tmp_path / "dropbox.db")) as connection:
        connection.execute(f"PRAGMA page_size = {octets}")
        connection.execute("CREATE TABLE letter (id int)")
    with open_database(f"sqlite:///{tmp_path}/dropbox.db").read() as connection:
        pages = connection.exec_driver_sql("PRAGMA wal_autocheckpoint").scalar()
    assert pages == 64 * 1024 * 1024 // octets
