from collections.abc import Callable

from tests.events.receiver import Receiver
from tests.store.crm import NOW, Crm, User
from worker.domain.events import RecordFacts, record_updated
from worker.domain.patterns import Module
from worker.outgoing.courier import Courier
from worker.store.events import write_events
from worker.store.tables import EventRow
from worker.store.webhooks import EventOutbox


def happen(crm: Crm, account_id: int, *records: int) -> None:
    """Let something happen to these records."""
    with crm.database.begin() as connection:
        events = [
            record_updated(account_id, RecordFacts(record, Module.CONTACT, "x@client.example"), ["email"])
            for record in records
        ]
        write_events(connection, events, NOW)


def states(crm: Crm) -> list[str]:
    return [row["state"] for row in crm.rows(EventRow)]


def test_events_are_delivered_once_and_verified(
    crm: Crm, outbox: EventOutbox, joe: User, receiver: Receiver, connect: Callable[..., None]
) -> None:
    connect(joe.account_id, receiver.url)
    happen(crm, joe.account_id, 1, 2, 1, 3)
    courier = Courier(outbox)
    assert courier.deliver_due() == 4
    assert courier.deliver_due() == 0
    assert len(receiver.got) == 4
    assert receiver.refused == []
    assert set(states(crm)) == {"delivered"}
