"""Fixtures: a migrated database of each kind as ``database``."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers.postgres import Postgres
from tests.store.crm import Crm
from worker.store.database import Database
from worker.store.poll_store import PollStore
from worker.store.schema import migrate

KINDS = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def migrated_template(postgres: Postgres) -> str:
    """Make the PostgreSQL database of which each test gets a copy."""
    name = postgres.create_database()
    database = Database.open(postgres.url(name))
    migrate(database)
    database.close()
    return name


@pytest.fixture(params=KINDS)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Name a database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/data/dropbox.db"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create_database()
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Name a database with all tables and no rows."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/data/dropbox.db"
        database = Database.open(url)
        migrate(database)
        database.close()
        yield url
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.create_database(template=request.getfixturevalue("migrated_template"))
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture
def open_database() -> Iterator[Callable[[str], Database]]:
    """Open databases that are closed after the test."""
    opened: list[Database] = []

    def open_one(url: str) -> Database:
        opened.append(Database.open(url))
        return opened[-1]

    yield open_one
    for database in opened:
        database.close()


@pytest.fixture
def database(url: str, open_database: Callable[[str], Database]) -> Database:
    return open_database(url)


@pytest.fixture
def crm(database: Database) -> Crm:
    """Give a CRM of one's own."""
    return Crm(database)


@pytest.fixture
def store(database: Database) -> PollStore:
    """Give the store as the worker has it."""
    return PollStore(database)
