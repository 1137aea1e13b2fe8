"""Migrations: they make what `tables.py` describes, once, whoever starts at the same time."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from alembic.autogenerate import compare_metadata
from alembic.command import upgrade
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from tests.servers.postgres import Postgres
from tests.store.crm import Crm, Mail, file
from worker.domain.errors import Refused
from worker.store import schema
from worker.store.database import Database
from worker.store.ids import NUMBERED, allocate
from worker.store.intake import IntakeStore
from worker.store.tables import AssociationRow, DecisionRow, EmailRow, NoticeRow, RecordRow, UserRow

MIGRATE = "import sys; from worker.store.schema import *; migrate(Database.open(sys.argv[1]))"


def differences(database: Database) -> list[object]:
    """Between what is there and what `tables.py` describes."""
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        found: list[object] = compare_metadata(context, schema.metadata_of(connection))  # type: ignore[arg-type]
        return found


def test_the_migrations_make_what_the_tables_describe(database: Database) -> None:
    assert differences(database) == []


def test_the_head_named_in_code_is_the_head_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(schema._MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.HEAD


@pytest.mark.parametrize("earlier", ["0001", "0002", "0003"])
def test_a_database_of_an_earlier_release_keeps_what_it_holds_and_becomes_as_a_new_one(
    empty_url: str, open_database: Callable[[str], Database], earlier: str
) -> None:
    database = open_database(empty_url)
    with database.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(schema._MIGRATIONS))
        upgrade(config, earlier)
    assert differences(database) != []
    crm = Crm(database)
    user = crm.user(crm.account(), "joe@acme.example")
    store = IntakeStore(database)
    to = ["jane@client.example", "kim@client.example"]
    file(store, Mail(1, user.token, user.login, to))
    with database.begin() as connection:
        connection.execute(text("UPDATE record SET first_for = made_for"))
        connection.execute(text("UPDATE record SET email_key = 'k@new.example' WHERE made_for = 'kim@client.example'"))
    schema.migrate(database)
    assert [row["login"] for row in crm.rows(UserRow)] == [user.login]
    assert [crm.count(row) for row in (DecisionRow, AssociationRow, NoticeRow)] == [1, 2, 0]
    assert differences(database) == []
    file(store, Mail(2, user.token, user.login, [*to, "k@new.example"]))
    assert [crm.count(row) for row in (RecordRow, AssociationRow)] == [2, 4]


def test_processes_that_migrate_at_once_do_it_once(empty_url: str, open_database: Callable[[str], Database]) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", MIGRATE, empty_url]) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    with open_database(empty_url).read() as connection:
        assert schema.revision_of(connection) == schema.HEAD


def test_a_database_newer_than_the_program_is_refused(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Refused, match="9999, newer than this program"):
        schema.migrate(database)


def test_a_migrated_database_needs_no_alembic_to_start(url: str) -> None:
    script = MIGRATE + "; assert 'alembic' not in sys.modules"
    subprocess.run([sys.executable, "-c", script, url], check=True)


def test_numbers_are_handed_out_once(database: Database) -> None:
    with database.begin() as connection:
        first = allocate(connection, RecordRow, 3)
        second = allocate(connection, RecordRow, 2)
        assert allocate(connection, RecordRow, 0) == []
        assert allocate(connection, EmailRow, 1) == [1]
    assert len({*first, *second}) == 5
    assert first + second == sorted(first + second)


def test_every_number_that_is_handed_out_has_its_sequence_on_a_server(
    postgres: Postgres, migrated_template: str, open_database: Callable[[str], Database]
) -> None:
    with open_database(postgres.url(migrated_template)).read() as connection:
        known = inspect(connection).get_sequence_names()
    assert set(known) == {f"{name}_id" for name in NUMBERED}


def test_an_original_is_stored_as_it_came_because_compressing_it_costs_more(
    postgres: Postgres, migrated_template: str, open_database: Callable[[str], Database]
) -> None:
    query = "SELECT attstorage FROM pg_attribute WHERE attrelid = 'email_content'::regclass AND attname = 'original'"
    with open_database(postgres.url(migrated_template)).read() as connection:
        assert connection.scalar(text(query)) in {"e", b"e"}
