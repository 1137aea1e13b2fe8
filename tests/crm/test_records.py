"""The life of leads and contacts, and the mail that follows them (R15, R16, R25)."""

import json
from typing import Any

import pytest

from tests.crm.conftest import BEN, CARL, JANE
from tests.harness.crm import NOW, Arrive, Rows
from worker.crm import accounts, emails, record_life, record_lists, users
from worker.crm.emails import EmailFilter
from worker.crm.record_life import ChangedRecord
from worker.crm.record_lists import RecordFilter
from worker.crm.work import By, Crm
from worker.domain.addresses import Address
from worker.domain.errors import Refused
from worker.domain.permissions import Module, Permission
from worker.domain.records import RecordChange
from worker.store.tables import AssociationRow, EmailRow, EventRow, RecordRow, UnmatchedRow

BY = By(None, NOW)
CONTACT, LEAD = Module.CONTACT, Module.LEAD
NEW = "carl@new.example"


def change(email: str | None = None, secondary: str | None = None, **more: Any) -> RecordChange:
    given = {"email": email, "secondary_email": secondary}
    addresses: dict[str, Any] = {name: Address.parse(text) for name, text in given.items() if text}
    return RecordChange(**addresses, **more)


def add(crm: Crm, email: str = CARL, module: Module = CONTACT, **more: Any) -> int:
    return record_life.add_record(crm, module, change(email, **more), BY).record.summary.id


def edit(crm: Crm, number: int, module: Module = CONTACT, **more: Any) -> ChangedRecord:
    return record_life.edit_record(crm, module, str(number), change(**more), BY)


def listed(crm: Crm, module: Module = CONTACT, email: str | None = None) -> list[str | None]:
    return [record.email for record in record_lists.list_records(crm, RecordFilter(module, email), limit=None)]


def on_record(crm: Crm, name: str | int, module: Module = CONTACT) -> int:
    return len(emails.list_emails(crm, EmailFilter(module, str(name)), limit=None))


def wait_for(crm: Crm, login: str) -> None:
    users.set_pattern(crm, login, "contacts-then-leads-only")


def told(crm: Crm) -> list[str]:
    return [
        f"{row['type']} {json.loads(row['packed'] or row['data']).get('record_id')}"
        for row in Rows(crm.database).rows(EventRow)
    ]


def test_a_record_without_a_name_gets_its_address_as_last_name(crm: Crm, jane: str) -> None:
    added = record_life.add_record(crm, CONTACT, change("Carl@Client.Example", owner="JANE@acme.example"), BY)
    assert (added.record.summary.last_name, added.record.summary.owner) == ("Carl@client.example", JANE)


def test_modules_are_listed_apart_newest_first_and_up_to_the_limit(crm: Crm) -> None:
    for number in range(3):
        add(crm, f"c{number}@client.example")
    add(crm, "lea@client.example", LEAD)
    assert listed(crm) == ["c2@client.example", "c1@client.example", "c0@client.example"]
    assert listed(crm, LEAD) == ["lea@client.example"]
    assert len(record_lists.list_records(crm, RecordFilter(CONTACT), limit=2)) == 2


def test_a_record_is_found_by_its_secondary_email_and_by_its_owner(crm: Crm, jane: str) -> None:
    add(crm, secondary="carl@home.example", owner=jane)
    add(crm, "dora@client.example")
    assert listed(crm, email="CARL@HOME.example") == [CARL]
    wanted = RecordFilter(CONTACT, owner=jane)
    assert [record.email for record in record_lists.list_records(crm, wanted, limit=None)] == [CARL]


def test_an_unknown_owner_is_refused_and_nothing_is_made(crm: Crm, jane: str) -> None:
    with pytest.raises(Refused, match="no user"):
        add(crm, owner="nobody@acme.example")
    assert listed(crm) == []


def test_accounts_do_not_see_each_others_records(crm: Crm) -> None:
    for name in ("One", "Two"):
        accounts.add_account(crm, name, now=NOW)
    one, two = (Crm(crm.database, name) for name in ("One", "Two"))
    number = add(one, external_id="K1")
    assert (listed(one), listed(two)) == ([CARL], [])
    for name in (str(number), CARL, "external:K1"):
        with pytest.raises(Refused, match="no contact"):
            record_lists.show_record(two, CONTACT, name)
    assert add(two, external_id="K1") != number


@pytest.mark.parametrize("module", list(Module))
def test_waiting_mail_attaches_itself_to_the_first_record_only(
    crm: Crm, jane: str, arrive: Arrive, module: Module
) -> None:
    wait_for(crm, jane)
    arrive(jane, subject="one")
    arrive(jane, subject="two")
    assert record_life.add_record(crm, module, change(CARL), BY).attached == 2
    assert on_record(crm, CARL, module) == 2
    assert record_life.add_record(crm, module, change(CARL), BY).attached == 0


def test_waiting_mail_finds_a_secondary_email(crm: Crm, jane: str, arrive: Arrive) -> None:
    wait_for(crm, jane)
    arrive(jane, to=["Carl@Home.example", CARL])
    add(crm, secondary="carl@home.example")
    [email] = emails.list_emails(crm, EmailFilter(CONTACT, "carl@home.example"), limit=None)
    assert [(record.email, record.created) for record in email.records] == [(CARL, False)]
    assert emails.show_email(crm, email.id).unmatched == ()


def test_waiting_mail_stays_out_of_a_module_that_its_owner_may_not_see(crm: Crm, ben: str, arrive: Arrive) -> None:
    wait_for(crm, ben)
    arrive(ben)
    accounts.revoke(crm, "Standard", Permission.LEADS, acting=JANE)
    assert record_life.add_record(crm, LEAD, change(CARL), BY).attached == 0
    assert record_life.add_record(crm, CONTACT, change(CARL), BY).attached == 1


def test_waiting_mail_of_another_account_is_left_alone(crm: Crm, jane: str, arrive: Arrive) -> None:
    mine, other = Crm(crm.database, "Default"), Crm(crm.database, "Other")
    accounts.add_account(crm, "Other", now=NOW)
    users.add_user(other, BEN, profile=None, now=NOW)
    wait_for(mine, jane)
    wait_for(other, BEN)
    arrive(jane, at=mine)
    arrive(BEN, to=["dora@client.example"], at=other)
    assert record_life.add_record(other, CONTACT, change(CARL), BY).attached == 0
    assert record_life.add_record(mine, CONTACT, change(CARL), BY).attached == 1


def test_a_changed_address_keeps_matching_and_a_cleared_or_removed_one_does_not(
    crm: Crm, jane: str, arrive: Arrive
) -> None:
    number = add(crm)
    done = edit(crm, number, email=NEW, last_name="Carl")
    assert (done.record.summary.email, done.record.addresses) == (NEW, (NEW, CARL))
    assert (done.record.changed_at, done.record.changed_by) == (NOW, None)
    arrive(jane)
    arrive(jane, to=[NEW])
    assert on_record(crm, number) == 2
    edit(crm, number, remove=(Address.parse(CARL),))
    arrive(jane, subject="to a stranger")
    assert on_record(crm, number) == 2
    assert sorted(map(str, listed(crm))) == [CARL, NEW]


def test_an_address_that_an_edit_adds_gets_the_mail_that_waits_for_it(crm: Crm, jane: str, arrive: Arrive) -> None:
    """Also where the email is on the record already, by another address."""
    number = add(crm)
    wait_for(crm, jane)
    arrive(jane, to=[CARL, NEW])
    arrive(jane, to=[NEW], subject="alone")
    assert edit(crm, number, add=(Address.parse(NEW),)).attached == 1
    assert (on_record(crm, number), Rows(crm.database).count(UnmatchedRow)) == (2, 0)


def test_an_edit_that_changes_nothing_says_so_by_leaving_no_trace(crm: Crm) -> None:
    number = add(crm, last_name="Carl")
    assert edit(crm, number, email=CARL, last_name="Carl").record.changed_at is None


def test_an_external_id_belongs_to_one_record_of_a_module(crm: Crm) -> None:
    first, second = add(crm, external_id="K1"), add(crm, "dora@client.example")
    for act in (
        lambda: edit(crm, second, external_id="K1"),
        lambda: add(crm, "eve@client.example", external_id="K1"),
    ):
        with pytest.raises(Refused, match=f"external ID K1 is that of contact {first} already"):
            act()
    assert add(crm, "lea@client.example", LEAD, external_id="K1")


def test_a_record_is_named_by_number_address_or_external_id(crm: Crm) -> None:
    number = add(crm, external_id="K 1/Ä", secondary="carl@home.example")
    for name in (str(number), CARL.upper(), "carl@home.example", "external:K 1/Ä"):
        assert record_lists.show_record(crm, CONTACT, name).summary.id == number
    other = add(crm)
    with pytest.raises(Refused, match=f"2 contacts have the address {CARL}: {number}, {other}"):
        record_lists.show_record(crm, CONTACT, CARL)
    with pytest.raises(Refused, match=f"{number} is a contact, not a lead"):
        record_lists.show_record(crm, LEAD, str(number))
    for name in ("999", "9" * 30, "carl", "external:", "nobody@client.example"):
        with pytest.raises(Refused):
            record_lists.show_record(crm, CONTACT, name)


def test_a_merged_record_leaves_its_emails_addresses_and_key_to_the_other(crm: Crm, jane: str, arrive: Arrive) -> None:
    gone = add(crm, external_id="K1", secondary="carl@home.example")
    kept = add(crm, NEW, last_name="Carl")
    arrive(jane, to=[CARL], subject="one")
    arrive(jane, to=[CARL, NEW], subject="both")
    done = record_life.merge_records(crm, CONTACT, str(gone), By(jane, NOW), into=str(kept))
    assert (done.record.summary.external_id, done.record.changed_by, done.lost_external_id) == ("K1", jane, None)
    assert done.record.addresses == (NEW, CARL, "carl@home.example")
    assert on_record(crm, kept) == 2
    assert Rows(crm.database).count(AssociationRow) == 2
    arrive(jane, to=["carl@home.example"], subject="later")
    assert on_record(crm, kept) == 3
    with pytest.raises(Refused, match=f"contact {gone} was merged into record {kept} on 2026-11-02 by {jane}"):
        record_lists.show_record(crm, CONTACT, str(gone))
    assert f"record.merged {kept}" in told(crm)


def test_of_two_external_ids_the_one_of_the_record_that_stays_is_kept(crm: Crm) -> None:
    gone, kept = add(crm, external_id="K1"), add(crm, NEW, external_id="K2")
    done = record_life.merge_records(crm, CONTACT, str(gone), BY, into=str(kept))
    assert (done.record.summary.external_id, done.lost_external_id) == ("K2", "K1")


def test_what_cannot_be_merged_is_refused_and_stays(crm: Crm) -> None:
    contact, lead = add(crm), add(crm, "lea@client.example", LEAD)
    for number, into, why in (
        (contact, contact, "into itself"),
        (contact, lead, f"contact {contact} cannot be merged into a lead"),
        (contact, 999, "no contact 999"),
        (999, contact, "no contact 999"),
    ):
        with pytest.raises(Refused, match=why):
            record_life.merge_records(crm, CONTACT, str(number), BY, into=str(into))
    with pytest.raises(Refused, match=f"lead {lead} cannot be merged into a contact"):
        record_life.merge_records(crm, LEAD, str(lead), BY, into=str(contact))
    assert Rows(crm.database).count(RecordRow) == 2


@pytest.mark.parametrize("into", [False, True], ids=["to a new contact", "into one that exists"])
def test_a_converted_lead_takes_its_emails_along(crm: Crm, jane: str, arrive: Arrive, into: bool) -> None:
    lead = add(crm, CARL, LEAD, external_id="K1", last_name="Carl")
    arrive(jane, subject="to the lead")
    contact = add(crm, NEW) if into else None
    done = record_life.convert_lead(crm, str(lead), BY, into=str(contact) if contact else None)
    assert (done.record.module, done.record.summary.external_id) == (CONTACT, "K1")
    assert done.record.summary.id == (contact or lead)
    assert listed(crm, LEAD) == []
    arrive(jane, subject="to the contact")
    assert on_record(crm, CARL) == 2


def test_a_lead_whose_key_a_contact_has_is_not_converted(crm: Crm) -> None:
    contact, lead = add(crm, external_id="K1"), add(crm, NEW, LEAD, external_id="K1")
    with pytest.raises(Refused, match=f"external ID K1 is that of contact {contact}"):
        record_life.convert_lead(crm, str(lead), BY, into=None)
    assert listed(crm, LEAD) == [NEW]


def test_a_lead_and_a_contact_that_mail_made_for_one_address_can_become_one_module(
    crm: Crm, jane: str, arrive: Arrive
) -> None:
    """Allow people two records with one address; only mail may not make them (R17)."""
    for pattern in ("leads-or-new-lead", "contacts-or-new-contact"):
        users.set_pattern(crm, jane, pattern)
        arrive(jane, subject=pattern)
    assert record_life.convert_lead(crm, CARL, BY, into=None).record.module is CONTACT
    assert listed(crm) == [CARL, CARL]


def test_a_deleted_record_leaves_its_emails_and_says_which_lose_their_last_record(
    crm: Crm, jane: str, arrive: Arrive
) -> None:
    number, other = add(crm), add(crm, NEW)
    arrive(jane, subject="one")
    arrive(jane, to=[CARL, NEW], subject="both")
    deleted = record_life.delete_record(crm, CONTACT, CARL, By(jane, NOW))
    assert (deleted.record.summary.id, deleted.emails_without_record) == (number, 1)
    rows = Rows(crm.database)
    assert (rows.count(EmailRow), on_record(crm, other)) == (2, 1)
    with pytest.raises(Refused, match=f"contact {number} was deleted on 2026-11-02 by {jane}"):
        record_lists.show_record(crm, CONTACT, str(number))
    arrive(jane, subject="again")
    assert sorted(map(str, listed(crm))) == [CARL, NEW]
    assert f"record.deleted {number}" in told(crm)


def test_a_record_is_changed_only_by_a_user_who_may(crm: Crm, ben: str) -> None:
    accounts.revoke(crm, "Standard", Permission.LEADS, acting=JANE)
    lead, contact = add(crm, CARL, LEAD), add(crm, NEW)
    by = By(ben, NOW)
    for act in (
        lambda: record_life.add_record(crm, LEAD, change("x@client.example"), by),
        lambda: record_life.edit_record(crm, LEAD, str(lead), change(last_name="X"), by),
        lambda: record_life.delete_record(crm, LEAD, str(lead), by),
        lambda: record_life.convert_lead(crm, str(lead), by, into=None),
    ):
        with pytest.raises(Refused, match="may not change leads: the profile Standard lacks leads"):
            act()
    done = record_life.edit_record(crm, CONTACT, str(contact), change(last_name="X"), by)
    assert done.record.changed_by == ben
    users.disable_user(crm, ben)
    with pytest.raises(Refused, match="is disabled"):
        record_life.delete_record(crm, CONTACT, str(contact), by)


def test_what_waits_is_listed_by_address_and_assigned_by_hand(crm: Crm, jane: str, arrive: Arrive) -> None:
    wait_for(crm, jane)
    arrive(jane, to=[CARL, NEW], subject="one")
    arrive(jane, to=["Carl@client.example"], subject="two")
    waiting = {found.address: found.emails for found in emails.list_unmatched(crm, limit=None)}
    assert {address.lower(): count for address, count in waiting.items()} == {CARL: 2, NEW: 1}
    number = add(crm, "known@client.example")
    done = emails.assign_unmatched(crm, CARL, CONTACT, BY, to=str(number))
    assert (done.attached, done.record.addresses) == (2, ("known@client.example", CARL))
    arrive(jane, subject="three")
    assert on_record(crm, number) == 3
    made = emails.assign_unmatched(crm, NEW, LEAD, By(jane, NOW), to=None)
    assert (made.attached, made.record.summary.owner, made.record.created_by) == (1, jane, jane)
    assert emails.list_unmatched(crm, limit=None) == []
    with pytest.raises(Refused, match=f"no email waits for {CARL}"):
        emails.assign_unmatched(crm, CARL, CONTACT, BY, to=str(number))


def test_emails_that_wait_are_listed_apart(crm: Crm, jane: str, arrive: Arrive) -> None:
    arrive(jane, subject="known")
    wait_for(crm, jane)
    arrive(jane, to=[NEW], subject="unknown")
    assert [email.subject for email in emails.list_emails(crm, EmailFilter(waits=True), limit=None)] == ["unknown"]


def test_records_that_share_an_address_are_listed_so_that_one_is_left(crm: Crm) -> None:
    one, two, three = (add(crm, secondary=None) for _ in range(3))
    four = add(crm, NEW)
    five = add(crm, "eve@client.example", secondary=NEW)
    edit(crm, five, add=(Address.parse(CARL),))
    add(crm, CARL, LEAD)
    found = record_lists.list_duplicates(crm, CONTACT, limit=None)
    assert [(pair.id, pair.duplicate_id) for pair in found] == [(one, two), (one, three), (one, five), (one, four)]
    for pair in found:
        record_life.merge_records(crm, CONTACT, str(pair.duplicate_id), BY, into=str(pair.id))
    assert record_lists.list_duplicates(crm, CONTACT, limit=None) == []
    assert listed(crm) == [CARL]


def test_the_never_log_list_takes_addresses_and_domains(crm: Crm) -> None:
    entries = [accounts.never_log(crm, text, now=NOW) for text in ("Boss@Bank.example", "@B\u00fccher.example")]
    assert entries == ["boss@bank.example", "xn--bcher-kva.example"]
    assert accounts.list_never_log(crm, limit=None) == entries
    assert accounts.list_never_log(crm, limit=1) == entries[:1]
    with pytest.raises(Refused, match="already"):
        accounts.never_log(crm, "boss@bank.EXAMPLE", now=NOW)
    assert accounts.log_again(crm, "BOSS@bank.example") == "boss@bank.example"
    with pytest.raises(Refused, match="not on the never-log list"):
        accounts.log_again(crm, "boss@bank.example")


@pytest.mark.parametrize("text", ["", "bank", "boss@", "a b@c.example", "bank..example", "@"])
def test_what_is_neither_address_nor_domain_is_refused(crm: Crm, text: str) -> None:
    with pytest.raises(Refused, match="neither an address"):
        accounts.never_log(crm, text, now=NOW)
