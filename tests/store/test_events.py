"""Events are written with the change that they report (R26)."""

import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from tests.harness.crm import NOW, QUEUE, RULES, Mail, Rows, User, commit, decide, file
from worker.crm.record_life import add_record
from worker.crm.work import By, Crm
from worker.domain.addresses import Address
from worker.domain.events import event_id, event_number
from worker.domain.outcomes import Code, Outcome, Reason, detail
from worker.domain.permissions import Module, SearchPattern
from worker.domain.records import RecordChange
from worker.domain.verdicts import Trace, Verdict
from worker.store.database import Database
from worker.store.event_log import restore
from worker.store.poll_store import PollStore
from worker.store.tables import EventRow, WebhookRow

WEBHOOK = {
    "url": "https://crm.example/hook",
    "secret": "whsec_c2VjcmV0",
    "state": "active",
    "pause_told": True,
    "failures": 0,
    "created_at": NOW,
}


@pytest.fixture
def joe(crm: Rows) -> User:
    return crm.user(crm.account(), "joe@acme.example")


def events(crm: Rows) -> list[tuple[str, dict[str, Any]]]:
    return [(row["type"], json.loads(row["packed"] or row["data"])) for row in crm.rows(EventRow)]


def test_a_mail_to_somebody_new_reports_the_record_and_then_the_email(crm: Rows, store: PollStore, joe: User) -> None:
    file(store, Mail(1, joe.token, joe.login))
    (created, record), (associated, email) = events(crm)
    assert (created, associated) == ("record.created", "email.associated")
    assert record == {
        "account": "Acme",
        "record_id": email["record_id"],
        "module": "contact",
        "external_id": None,
        "email": "jane@client.example",
        "owner": "joe@acme.example",
        "source": "BCC Dropbox",
    }
    assert email == {
        "account": "Acme",
        "record_id": record["record_id"],
        "module": "contact",
        "external_id": None,
        "email": "jane@client.example",
        "email_id": 1,
        "message_id": "<1@mail.example>",
        "subject": "Offer",
        "sender": "joe@acme.example",
        "recipients": ["jane@client.example"],
        "sent_at": "2026-11-02T09:00:00Z",
        "arrived_at": "2026-11-02T09:00:00Z",
        "list": "Sent Emails from CRM",
        "claimed": False,
        "verified": False,
        "owner": "joe@acme.example",
        "created": True,
    }


def test_each_record_of_an_email_has_an_event_of_its_own(crm: Rows, store: PollStore, joe: User) -> None:
    known = crm.record(joe.account_id, "known@client.example", external_id="K-17")
    file(store, Mail(1, joe.token, joe.login, ["known@client.example", "new@client.example"]))
    found = [data for type_, data in events(crm) if type_ == "email.associated"]
    assert [(data["email"], data["external_id"], data["created"]) for data in found] == [
        ("known@client.example", "K-17", False),
        ("new@client.example", None, True),
    ]
    rows = [row for row in crm.rows(EventRow) if row["type"] == "email.associated"]
    assert [row["record_id"] for row in rows] == [known, found[1]["record_id"]]
    assert {row["email_id"] for row in rows} == {1}


def test_a_copy_through_a_second_dropbox_reports_only_what_it_adds(crm: Rows, store: PollStore, joe: User) -> None:
    ben = crm.user(joe.account_id, "ben@acme.example")
    crm.sender(ben, joe.login, slot=2)
    mail = Mail(1, joe.token, joe.login, message_id="<one@mail.example>")
    file(store, mail)
    before = len(events(crm))
    file(store, replace(mail, uid=2))
    assert len(events(crm)) == before, "a duplicate is no news"
    file(store, replace(mail, uid=3, token=ben.token))
    assert len(events(crm)) == before, "the email is on the record already"


def test_an_unmatched_recipient_is_reported_and_so_is_its_record_later(crm: Rows, store: PollStore) -> None:
    eve = crm.user(crm.account(), "eve@acme.example", SearchPattern.CONTACTS_THEN_LEADS_ONLY)
    file(store, Mail(1, eve.token, eve.login))
    [(type_, data)] = events(crm)
    assert (type_, data["address"], data["email_id"]) == ("email.unmatched", "jane@client.example", 1)
    jane = RecordChange(email=Address.parse("jane@client.example"))
    add_record(Crm(crm.database), Module.CONTACT, jane, By(None, NOW))
    assert [type_ for type_, _ in events(crm)[1:]] == ["record.created", "email.associated"]
    type_, data = events(crm)[-1]
    assert (type_, data["email"], data["created"]) == ("email.associated", "jane@client.example", False)
    assert (data["message_id"], data["owner"]) == ("<1@mail.example>", "eve@acme.example")


@pytest.mark.parametrize("is_certain", [True, False])
def test_a_mail_that_is_not_filed_is_reported_only_where_it_is_certainly_the_owners(
    crm: Rows, store: PollStore, joe: User, is_certain: bool
) -> None:
    [filing] = decide(store, Mail(7, joe.token, joe.login))
    owner = filing.deciding.owner
    ends = [
        Verdict(Outcome.REJECTED, Trace(), Reason.NO_RECIPIENTS, owner, is_certain=is_certain),
        Verdict(
            Outcome.QUARANTINED, Trace(note=detail(Code.ERROR, error="KeyError")), None, owner, is_certain=is_certain
        ),
    ]
    commit(store, QUEUE, [replace(filing, uid=uid, verdicts=(end,)) for uid, end in enumerate(ends, 7)], NOW)
    found = events(crm)
    if not is_certain:
        assert found == []
        return
    assert [(type_, data["reason"], data["uid"]) for type_, data in found] == [
        ("message.rejected", "no_recipients", 7),
        ("message.quarantined", None, 8),
    ]
    assert found[0][1]["owner"] == "joe@acme.example"


def test_texts_of_strangers_make_valid_json(crm: Rows, store: PollStore, joe: User) -> None:
    odd = 'He said "no"\\ \u2028 caf\u00e9 \U0001f600 \x7f'
    file(store, Mail(1, joe.token, joe.login, subject=odd))
    assert events(crm)[-1][1]["subject"] == odd


def test_events_wait_only_where_the_account_has_an_endpoint(crm: Rows, store: PollStore, joe: User) -> None:
    other = crm.user(crm.account("Other"), "ann@other.example")
    crm.insert(WebhookRow, {**WEBHOOK, "account_id": other.account_id, "id": 1})
    file(store, Mail(1, joe.token, joe.login), Mail(2, other.token, other.login))
    states = {(row["account_id"], row["state"], row["next_attempt_at"]) for row in crm.rows(EventRow)}
    assert states == {(joe.account_id, "no_endpoint", None), (other.account_id, "pending", NOW)}


def test_events_without_an_endpoint_are_compressed_and_restored_byte_for_byte(
    crm: Rows, database: Database, store: PollStore, joe: User
) -> None:
    other = crm.user(crm.account("Other"), "joe@acme.example")
    crm.insert(WebhookRow, {**WEBHOOK, "account_id": other.account_id, "id": 1})
    odd = 'He said "no"\\ \u2028 caf\u00e9 \U0001f600'
    file(store, Mail(1, joe.token, joe.login, subject=odd), Mail(2, other.token, other.login, subject=odd))
    kept, waiting = ([row for row in crm.rows(EventRow) if row["account_id"] == n] for n in (1, other.account_id))
    assert [row["packed"] for row in waiting] == [None, None]
    assert [row["data"] for row in kept] == ["", ""]
    with database.begin() as connection:
        stored = connection.scalar(text("SELECT sum(length(packed)) FROM event"))
        assert 0 < float(stored) < 0.6 * sum(len(row["data"]) for row in waiting)
        restore(connection, joe.account_id, EventRow.id == kept[1]["id"])
    first, second = (row for row in crm.rows(EventRow) if row["account_id"] == joe.account_id)
    assert (first, second["packed"]) == (kept[0], None)
    as_other = [("Acme", "Other"), ('_id":1', '_id":2'), ("<1@", "<2@")]
    restored = second["data"]
    for ours, theirs in as_other:
        restored = restored.replace(ours, theirs)
    assert restored == waiting[1]["data"]


def test_an_event_is_lost_with_the_change_that_it_reports(
    crm: Rows, store: PollStore, joe: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.store.attempts.forget", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        file(store, Mail(1, joe.token, joe.login), rules=RULES)
    assert events(crm) == []


def test_the_id_of_an_event_is_stable_and_sorts_by_time() -> None:
    assert event_id(42, NOW) == "evt_1a19b7ca680_42"
    assert event_number("evt_1a19b7ca680_42") == 42
    assert [event_number(text) for text in ("42", "evt_", "evt_x_1", "evt_1_")] == [None] * 4
    assert event_id(43, NOW) > event_id(42, NOW.replace(hour=8))
