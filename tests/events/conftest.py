"""A CRM on each kind of database whose events go to a receiver on loopback."""

from collections.abc import Callable, Iterator

import pytest

from tests.events.receiver import SECRET, Receiver
from tests.harness.crm import NOW, Rows, User
from worker.store.database import Database
from worker.store.event_queue import EventOutbox
from worker.store.tables import WebhookRow


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def joe(crm: Rows) -> User:
    return crm.user(crm.account(), "joe@acme.example")


@pytest.fixture
def connect(crm: Rows) -> Callable[..., None]:
    """Make an account's endpoint."""

    def connect_one(account_id: int, hook: str, **more: object) -> None:
        row = {"account_id": account_id, "id": account_id, "url": hook, "secret": SECRET, "state": "active"}
        crm.insert(WebhookRow, {**row, "pause_told": True, "failures": 0, "created_at": NOW, **more})

    return connect_one


@pytest.fixture
def outbox(database: Database) -> EventOutbox:
    return EventOutbox(database)
