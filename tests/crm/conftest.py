"""The CRM on an empty database of each kind, and mail that arrives through the real intake."""

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import pytest

from tests.harness.crm import NOW, Mail, file
from worker.crm.users import add_user, show_dropbox
from worker.crm.work import Crm
from worker.domain.verdicts import Filing
from worker.store.database import Database
from worker.store.poll_store import PollStore

JANE = "jane@acme.example"
BEN = "ben@acme.example"
CARL = "carl@client.example"

Arrive = Callable[..., Filing]


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
    store = PollStore(crm.database)
    uids = count(1)

    def arrive_one(login: str, to: Sequence[str] = (CARL,), at: Crm = crm, **more: Any) -> Filing:
        token = show_dropbox(at, login).token or ""
        [filing] = file(store, Mail(next(uids), token, more.pop("sender", login), to, **more))
        return filing

    return arrive_one
