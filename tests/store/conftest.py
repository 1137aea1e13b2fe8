"""The CRM's rows and the worker's store on a migrated database of each kind."""

import pytest

from tests.harness.databases import Databases
from tests.store.crm import Crm
from worker.store.database import Database
from worker.store.poll_store import PollStore


@pytest.fixture(scope="session")
def migrated_template(databases: Databases) -> str:
    """Name the PostgreSQL database with all tables and no rows, for tests that copy it themselves."""
    return databases.template("postgresql")


@pytest.fixture
def crm(database: Database) -> Crm:
    """Give a CRM of one's own."""
    return Crm(database)


@pytest.fixture
def store(database: Database) -> PollStore:
    """Give the store as the worker has it."""
    return PollStore(database)
