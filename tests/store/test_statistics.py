"""The planner is shown the tables as soon as there is something in them."""

import pytest
from sqlalchemy import text

from tests.harness.crm import Mail, Rows, file
from tests.servers.postgres import Postgres
from worker.store.database import Database
from worker.store.poll_store import PollStore

SEEN = text("SELECT relname FROM pg_class WHERE relname IN ('email', 'record', 'association') AND reltuples > 0")


@pytest.fixture
def fresh(postgres: Postgres, migrated_template: str) -> Database:
    return Database.open(postgres.url(postgres.create_database(migrated_template)))


def test_the_first_commit_to_empty_tables_has_them_looked_at(fresh: Database) -> None:
    crm = Rows(fresh)
    joe = crm.user(crm.account(), "joe@acme.example")
    file(PollStore(fresh), Mail(1, joe.token, joe.login, ["jane@client.example"]))
    with fresh.read() as connection:
        assert set(connection.scalars(SEEN)) == {"email", "record", "association"}
    fresh.close()
