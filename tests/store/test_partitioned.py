"""Account data in hash partitions by account: `config/partition.sql` divides the tables, and the store works on them.

The tests of other modules are imported, so that they run once more on a database that is divided.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.harness.crm import Mail, Rows, file
from tests.servers.postgres import Postgres
from tests.store.test_commit import *  # noqa: F403
from tests.store.test_constraints import *  # noqa: F403
from tests.store.test_events import *  # noqa: F403
from tests.store.test_one_new_address import *  # noqa: F403
from tests.store.test_retention import *  # noqa: F403
from tests.store.test_schema import differences
from worker.store.database import Database
from worker.store.poll_store import PollStore
from worker.store.tables import EmailRow, RecordRow

del test_the_log_of_sqlite_does_not_grow_with_the_mail_that_is_filed  # noqa: F821 - there is no SQLite here

PARTITION = Path(__file__).parents[2] / "config" / "partition.sql"
_KINDS = text("SELECT relkind, count(*) FROM pg_class WHERE relname IN ('email', 'token', 'decision') GROUP BY relkind")


def divide(database: Database) -> None:
    with database.begin() as connection:
        connection.exec_driver_sql(PARTITION.read_text().replace("%", "%%"))


@pytest.fixture(scope="module")
def divided_template(postgres: Postgres, migrated_template: str) -> str:
    name = postgres.create_database(template=migrated_template)
    database = Database.open(postgres.url(name))
    divide(database)
    database.close()
    return name


@pytest.fixture
def url(postgres: Postgres, divided_template: str) -> Iterator[str]:
    name = postgres.create_database(template=divided_template)
    yield postgres.url(name)
    postgres.drop_database(name)


def test_the_tables_are_divided_and_tokens_and_decisions_are_not(database: Database) -> None:
    with database.read() as connection:
        kinds = {str(kind, "ascii") if isinstance(kind, bytes) else kind: n for kind, n in connection.execute(_KINDS)}
        partitions = connection.scalar(text("SELECT count(*) FROM pg_inherits WHERE inhparent = 'email'::regclass"))
    assert (kinds, partitions) == ({"p": 1, "r": 2}, 16)


def test_no_column_key_or_index_of_the_undivided_schema_is_missing(database: Database) -> None:
    assert [found for found in differences(database) if str(found[0]).startswith("add_")] == []  # type: ignore[index]


def test_a_database_that_holds_mail_keeps_it_when_it_is_divided(
    postgres: Postgres, migrated_template: str, open_database: Callable[[str], Database]
) -> None:
    name = postgres.create_database(template=migrated_template)
    database = open_database(postgres.url(name))
    crm, store = Rows(database), PollStore(database)
    users = [crm.user(crm.account(f"Account {number}"), f"joe{number}@acme.example") for number in range(5)]
    for uid, user in enumerate(users, 1):
        file(store, Mail(uid, user.token, user.login))
    before = crm.rows(EmailRow), crm.rows(RecordRow)
    divide(database)
    assert (crm.rows(EmailRow), crm.rows(RecordRow)) == before
    file(store, Mail(9, users[0].token, users[0].login, subject="Another"))
    assert crm.count(EmailRow) == 6
