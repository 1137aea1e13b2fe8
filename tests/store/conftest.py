"""The CRM's rows and the worker's store on a migrated database of each kind."""

import pytest

from tests.harness.databases import Databases


@pytest.fixture(scope="session")
def migrated_template(databases: Databases) -> str:
    """Name the PostgreSQL database with all tables and no rows, for tests that copy it themselves."""
    return databases.template("postgresql")
