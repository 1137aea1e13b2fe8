"""The CRM on an empty database of each kind, and mail that arrives through the real intake."""

import pytest

from tests.harness.crm import NOW, Arrive, arriving
from worker.crm.users import add_user
from worker.crm.work import Crm
from worker.store.database import Database

JANE = "jane@acme.example"
BEN = "ben@acme.example"
CARL = "carl@client.example"


@pytest.fixture
def crm(database: Database) -> Crm:
    return Crm(database)


@pytest.fixture
def jane(crm: Crm) -> str:
    """Make the first user, an Administrator."""
    add_user(crm, JANE, profile=None, now=NOW)
    return JANE


@pytest.fixture
def ben(crm: Crm, jane: str) -> str:
    """Make a second user, a Standard one."""
    add_user(crm, BEN, profile=None, now=NOW)
    return BEN


@pytest.fixture
def arrive(crm: Crm) -> Arrive:
    """File a mail that the user put the dropbox into Bcc of."""
    return arriving(crm)
