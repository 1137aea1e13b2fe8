"""What `config/events.md` shows is what the program sends."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.harness.crm import Mail, Rows, User, decide
from worker.domain.events import (
    TRIAL_TYPE,
    EmailFacts,
    Event,
    EventType,
    RecordFacts,
    dropbox_regenerated,
    email_associated,
    email_erased,
    email_unmatched,
    message_ended,
    record_created,
    record_deleted,
    record_merged,
    record_updated,
    trial,
)
from worker.domain.outcomes import Outcome, Reason
from worker.domain.permissions import Module
from worker.domain.verdicts import Filing, Trace, Verdict
from worker.store.poll_store import PollStore

DOCUMENT = (Path(__file__).parents[2] / "config" / "events.md").read_text()
AT = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
CARL = RecordFacts(7, Module.CONTACT, "carl@client.example", "K-17")
LEAD = RecordFacts(5, Module.LEAD, "carl@client.example")


def example(type_: str) -> dict[str, Any]:
    """Return the text below the heading of this type."""
    section = DOCUMENT.partition(f"### {type_}\n")[2].partition("\n### ")[0]
    (found,) = re.findall(r"```json\n(.*?)```", section, re.DOTALL)
    shown = json.loads(found)
    assert isinstance(shown, dict)
    return shown


def offer() -> EmailFacts:
    return EmailFacts.of(
        12,
        "<offer@acme.example>",
        "Our offer",
        "ana@acme.example",
        ["carl@client.example"],
        AT.replace(hour=8, minute=59, second=57),
        AT,
        list_="Sent Emails from CRM",
        claimed=False,
        verified=True,
        owner="ana@acme.example",
    )


EVENTS = [
    email_associated(1, offer(), CARL, created=False),
    email_unmatched(1, offer(), "carl@client.example"),
    email_erased(1, 12),
    record_created(1, replace(CARL, external_id=None), owner="ana@acme.example", source="BCC Dropbox"),
    record_updated(1, CARL, ["last_name", "email"]),
    record_merged(1, CARL, LEAD),
    record_deleted(1, CARL),
    dropbox_regenerated(1, "ana@acme.example", AT.replace(day=9)),
]


@pytest.mark.parametrize("event", EVENTS, ids=[event.type.value for event in EVENTS])
def test_the_example_of_each_type_is_what_is_sent(event: Event) -> None:
    assert {"account": "Acme", **json.loads(event.data)} == example(event.type)


@pytest.mark.parametrize(
    ("type_", "verdict"),
    [
        (EventType.MESSAGE_REJECTED, Verdict(Outcome.REJECTED, Trace(), Reason.NO_RECIPIENTS, is_certain=True)),
        (EventType.MESSAGE_QUARANTINED, Verdict(Outcome.QUARANTINED, Trace(), is_certain=True)),
    ],
)
def test_the_example_of_a_mail_that_was_not_filed_is_what_is_sent(
    crm: Rows, store: PollStore, type_: EventType, verdict: Verdict
) -> None:
    ana: User = crm.user(crm.account(), "ana@acme.example")
    shown = example(type_)
    [filing] = decide(store, Mail(104, ana.token, ana.login, message_id="<offer@acme.example>", subject="Our offer"))
    told: Filing = replace(filing, recipients=tuple(shown["recipients"]), arrived_at=AT)
    event = message_ended(told, replace(verdict, owner=filing.deciding.owner))
    assert event is not None
    assert (event.type, {"account": "Acme", **json.loads(event.data)}) == (type_, shown)


def test_every_type_is_documented_once_and_no_other() -> None:
    assert sorted(re.findall(r"^### (\S+)$", DOCUMENT, re.MULTILINE)) == sorted([*EventType, TRIAL_TYPE])


def test_the_example_of_a_test_is_what_is_sent() -> None:
    _, body = trial("Acme", AT)
    assert json.loads(body) == {"type": TRIAL_TYPE, "timestamp": "2026-11-02T09:00:00Z", "data": example(TRIAL_TYPE)}
