"""Leads and contacts by hand and by import, and the mail that waits for them (R15, R16)."""

import pytest

from tests.crm.conftest import BEN, CARL, JANE, Arrive
from tests.store.crm import NOW
from worker.crm import accounts, dropboxes, emails, never_log, profiles, record_import, records, users
from worker.crm.office import Office
from worker.crm.record_rows import RecordDraft
from worker.domain.addresses import Address
from worker.domain.errors import Refused
from worker.domain.patterns import Module
from worker.domain.profiles import Permission


def draft(email: str = CARL, secondary: str | None = None, owner: str | None = None, line: int = 0) -> RecordDraft:
    return RecordDraft(
        Address.parse(email),
        secondary_email=Address.parse(secondary) if secondary else None,
        owner=owner,
        line=line,
    )


def add(office: Office, record: RecordDraft, module: Module = Module.CONTACT) -> records.AddedRecord:
    return records.add_record(office, module, record, now=NOW)


def listed(office: Office, module: Module = Module.CONTACT, email: str | None = None) -> list[str | None]:
    found = records.list_records(office, records.RecordFilter(module, email), limit=None)
    return [record.email for record in found]


def on_record(office: Office, module: Module, address: str = CARL) -> int:
    return len(emails.list_emails(office, emails.EmailFilter(module, address), limit=None))


def wait_for(office: Office, login: str) -> None:
    dropboxes.set_pattern(office, login, "contacts-then-leads-only")


def test_a_record_without_a_name_gets_its_address_as_last_name(office: Office, jane: str) -> None:
    record = add(office, draft("Carl@Client.Example", owner="JANE@acme.example")).record
    assert (record.last_name, record.owner) == ("Carl@client.example", JANE)


def test_modules_are_listed_apart_newest_first_and_up_to_the_limit(office: Office) -> None:
    for number in range(3):
        add(office, draft(f"c{number}@client.example"))
    add(office, draft("lea@client.example"), Module.LEAD)
    assert listed(office) == ["c2@client.example", "c1@client.example", "c0@client.example"]
    assert listed(office, Module.LEAD) == ["lea@client.example"]
    assert len(records.list_records(office, records.RecordFilter(Module.CONTACT), limit=2)) == 2


def test_a_record_is_found_by_its_secondary_email_and_by_its_owner(office: Office, jane: str) -> None:
    add(office, draft(secondary="carl@home.example", owner=jane))
    add(office, draft("dora@client.example"))
    assert listed(office, email="CARL@HOME.example") == [CARL]
    wanted = records.RecordFilter(Module.CONTACT, owner=jane)
    assert [record.email for record in records.list_records(office, wanted, limit=None)] == [CARL]


def test_an_unknown_owner_is_refused_and_nothing_is_made(office: Office, jane: str) -> None:
    with pytest.raises(Refused, match="no user"):
        add(office, draft(owner="nobody@acme.example"))
    assert listed(office) == []


def test_accounts_do_not_see_each_others_records(office: Office) -> None:
    accounts.add_account(office.database, "One", now=NOW)
    accounts.add_account(office.database, "Two", now=NOW)
    add(Office(office.database, "One"), draft())
    assert listed(Office(office.database, "One")) == [CARL]
    assert listed(Office(office.database, "Two")) == []


@pytest.mark.parametrize("module", list(Module))
def test_waiting_mail_attaches_itself_to_the_first_record_only(
    office: Office, jane: str, arrive: Arrive, module: Module
) -> None:
    wait_for(office, jane)
    arrive(jane, subject="one")
    arrive(jane, subject="two")
    assert add(office, draft(), module).attached == 2
    assert on_record(office, module) == 2
    assert add(office, draft(), module).attached == 0


def test_waiting_mail_finds_a_secondary_email(office: Office, jane: str, arrive: Arrive) -> None:
    wait_for(office, jane)
    arrive(jane, to=["Carl@Home.example", CARL])
    assert add(office, draft(secondary="carl@home.example")).attached == 1
    [email] = emails.list_emails(office, emails.EmailFilter(Module.CONTACT, "carl@home.example"), limit=None)
    assert [(record.email, record.created) for record in email.records] == [(CARL, False)]
    assert emails.show_email(office, email.id).unmatched == ()


def test_waiting_mail_stays_out_of_a_module_that_its_owner_may_not_see(
    office: Office, ben: str, arrive: Arrive
) -> None:
    wait_for(office, ben)
    arrive(ben)
    profiles.revoke(office, "Standard", Permission.LEADS, acting=JANE)
    assert add(office, draft(), Module.LEAD).attached == 0
    assert add(office, draft(), Module.CONTACT).attached == 1


def test_waiting_mail_of_another_account_is_left_alone(office: Office, jane: str, arrive: Arrive) -> None:
    mine, other = Office(office.database, "Default"), Office(office.database, "Other")
    accounts.add_account(office.database, "Other", now=NOW)
    users.add_user(other, BEN, profile=None, now=NOW)
    wait_for(mine, jane)
    wait_for(other, BEN)
    arrive(jane, at=mine)
    arrive(BEN, to=["dora@client.example"], at=other)
    assert add(other, draft()).attached == 0
    assert add(mine, draft()).attached == 1


def test_an_import_makes_the_good_rows_names_the_bad_and_attaches(office: Office, jane: str, arrive: Arrive) -> None:
    wait_for(office, jane)
    arrive(jane)
    drafts = [
        draft("a@client.example", line=2),
        draft(owner=jane, line=3),
        draft("b@client.example", owner="nobody@acme.example", line=4),
        draft("c@client.example", owner="no address", line=5),
    ]
    steps: list[int] = []
    done = record_import.import_records(office, Module.CONTACT, drafts, now=NOW, progress=steps.append)
    assert (done.records, done.attached) == (2, 1)
    assert [row.line for row in done.bad] == [4, 5]
    assert "nobody@acme.example" in done.bad[0].why
    assert listed(office) == [CARL, "a@client.example"]
    assert steps == [4]


def test_an_import_of_more_than_one_step_makes_every_record(office: Office) -> None:
    drafts = [draft(f"p{number}@client.example") for number in range(record_import.AT_ONCE + 1)]
    steps: list[int] = []
    done = record_import.import_records(office, Module.LEAD, drafts, now=NOW, progress=steps.append)
    assert done.records == len(drafts)
    assert steps == [record_import.AT_ONCE, len(drafts)]


def test_an_import_of_nothing_makes_nothing(office: Office) -> None:
    done = record_import.import_records(office, Module.LEAD, [], now=NOW, progress=lambda _done: None)
    assert done == record_import.Imported(0, 0, ())


def test_the_never_log_list_takes_addresses_and_domains(office: Office) -> None:
    entries = [never_log.never_log(office, text, now=NOW) for text in ("Boss@Bank.example", "@B\u00fccher.example")]
    assert entries == ["boss@bank.example", "xn--bcher-kva.example"]
    assert never_log.list_never_log(office, limit=None) == entries
    assert never_log.list_never_log(office, limit=1) == entries[:1]
    with pytest.raises(Refused, match="already"):
        never_log.never_log(office, "boss@bank.EXAMPLE", now=NOW)
    assert never_log.log_again(office, "BOSS@bank.example") == "boss@bank.example"
    with pytest.raises(Refused, match="not on the never-log list"):
        never_log.log_again(office, "boss@bank.example")


@pytest.mark.parametrize("text", ["", "bank", "boss@", "a b@c.example", "bank..example", "@"])
def test_what_is_neither_address_nor_domain_is_refused(office: Office, text: str) -> None:
    with pytest.raises(Refused, match="neither an address"):
        never_log.never_log(office, text, now=NOW)
