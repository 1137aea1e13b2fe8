"""Leads and contacts by hand and by import, and the mail that waits for them (R15, R16)."""

import pytest

from tests.crm.conftest import BEN, CARL, JANE, Arrive
from tests.store.crm import NOW
from worker.crm import accounts, dropboxes, emails, never_log, profiles, record_import, records, users
from worker.crm.record_rows import RecordDraft
from worker.crm.work import Crm
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


def add(crm: Crm, record: RecordDraft, module: Module = Module.CONTACT) -> records.AddedRecord:
    return records.add_record(crm, module, record, now=NOW)


def listed(crm: Crm, module: Module = Module.CONTACT, email: str | None = None) -> list[str | None]:
    found = records.list_records(crm, records.RecordFilter(module, email), limit=None)
    return [record.email for record in found]


def on_record(crm: Crm, module: Module, address: str = CARL) -> int:
    return len(emails.list_emails(crm, emails.EmailFilter(module, address), limit=None))


def wait_for(crm: Crm, login: str) -> None:
    dropboxes.set_pattern(crm, login, "contacts-then-leads-only")


def test_a_record_without_a_name_gets_its_address_as_last_name(crm: Crm, jane: str) -> None:
    record = add(crm, draft("Carl@Client.Example", owner="JANE@acme.example")).record
    assert (record.last_name, record.owner) == ("Carl@client.example", JANE)


def test_modules_are_listed_apart_newest_first_and_up_to_the_limit(crm: Crm) -> None:
    for number in range(3):
        add(crm, draft(f"c{number}@client.example"))
    add(crm, draft("lea@client.example"), Module.LEAD)
    assert listed(crm) == ["c2@client.example", "c1@client.example", "c0@client.example"]
    assert listed(crm, Module.LEAD) == ["lea@client.example"]
    assert len(records.list_records(crm, records.RecordFilter(Module.CONTACT), limit=2)) == 2


def test_a_record_is_found_by_its_secondary_email_and_by_its_owner(crm: Crm, jane: str) -> None:
    add(crm, draft(secondary="carl@home.example", owner=jane))
    add(crm, draft("dora@client.example"))
    assert listed(crm, email="CARL@HOME.example") == [CARL]
    wanted = records.RecordFilter(Module.CONTACT, owner=jane)
    assert [record.email for record in records.list_records(crm, wanted, limit=None)] == [CARL]


def test_an_unknown_owner_is_refused_and_nothing_is_made(crm: Crm, jane: str) -> None:
    with pytest.raises(Refused, match="no user"):
        add(crm, draft(owner="nobody@acme.example"))
    assert listed(crm) == []


def test_accounts_do_not_see_each_others_records(crm: Crm) -> None:
    accounts.add_account(crm, "One", now=NOW)
    accounts.add_account(crm, "Two", now=NOW)
    add(Crm(crm.database, "One"), draft())
    assert listed(Crm(crm.database, "One")) == [CARL]
    assert listed(Crm(crm.database, "Two")) == []


@pytest.mark.parametrize("module", list(Module))
def test_waiting_mail_attaches_itself_to_the_first_record_only(
    crm: Crm, jane: str, arrive: Arrive, module: Module
) -> None:
    wait_for(crm, jane)
    arrive(jane, subject="one")
    arrive(jane, subject="two")
    assert add(crm, draft(), module).attached == 2
    assert on_record(crm, module) == 2
    assert add(crm, draft(), module).attached == 0


def test_waiting_mail_finds_a_secondary_email(crm: Crm, jane: str, arrive: Arrive) -> None:
    wait_for(crm, jane)
    arrive(jane, to=["Carl@Home.example", CARL])
    assert add(crm, draft(secondary="carl@home.example")).attached == 1
    [email] = emails.list_emails(crm, emails.EmailFilter(Module.CONTACT, "carl@home.example"), limit=None)
    assert [(record.email, record.created) for record in email.records] == [(CARL, False)]
    assert emails.show_email(crm, email.id).unmatched == ()


def test_waiting_mail_stays_out_of_a_module_that_its_owner_may_not_see(crm: Crm, ben: str, arrive: Arrive) -> None:
    wait_for(crm, ben)
    arrive(ben)
    profiles.revoke(crm, "Standard", Permission.LEADS, acting=JANE)
    assert add(crm, draft(), Module.LEAD).attached == 0
    assert add(crm, draft(), Module.CONTACT).attached == 1


def test_waiting_mail_of_another_account_is_left_alone(crm: Crm, jane: str, arrive: Arrive) -> None:
    mine, other = Crm(crm.database, "Default"), Crm(crm.database, "Other")
    accounts.add_account(crm, "Other", now=NOW)
    users.add_user(other, BEN, profile=None, now=NOW)
    wait_for(mine, jane)
    wait_for(other, BEN)
    arrive(jane, at=mine)
    arrive(BEN, to=["dora@client.example"], at=other)
    assert add(other, draft()).attached == 0
    assert add(mine, draft()).attached == 1


def test_an_import_makes_the_good_rows_names_the_bad_and_attaches(crm: Crm, jane: str, arrive: Arrive) -> None:
    wait_for(crm, jane)
    arrive(jane)
    drafts = [
        draft("a@client.example", line=2),
        draft(owner=jane, line=3),
        draft("b@client.example", owner="nobody@acme.example", line=4),
        draft("c@client.example", owner="no address", line=5),
    ]
    steps: list[int] = []
    done = record_import.import_records(crm, Module.CONTACT, drafts, now=NOW, progress=steps.append)
    assert (done.records, done.attached) == (2, 1)
    assert [row.line for row in done.bad] == [4, 5]
    assert "nobody@acme.example" in done.bad[0].why
    assert listed(crm) == [CARL, "a@client.example"]
    assert steps == [4]


def test_an_import_of_more_than_one_step_makes_every_record(crm: Crm) -> None:
    drafts = [draft(f"p{number}@client.example") for number in range(record_import.AT_ONCE + 1)]
    steps: list[int] = []
    done = record_import.import_records(crm, Module.LEAD, drafts, now=NOW, progress=steps.append)
    assert done.records == len(drafts)
    assert steps == [record_import.AT_ONCE, len(drafts)]


def test_an_import_of_nothing_makes_nothing(crm: Crm) -> None:
    done = record_import.import_records(crm, Module.LEAD, [], now=NOW, progress=lambda _done: None)
    assert done == record_import.Imported(0, 0, ())


def test_the_never_log_list_takes_addresses_and_domains(crm: Crm) -> None:
    entries = [never_log.never_log(crm, text, now=NOW) for text in ("Boss@Bank.example", "@B\u00fccher.example")]
    assert entries == ["boss@bank.example", "xn--bcher-kva.example"]
    assert never_log.list_never_log(crm, limit=None) == entries
    assert never_log.list_never_log(crm, limit=1) == entries[:1]
    with pytest.raises(Refused, match="already"):
        never_log.never_log(crm, "boss@bank.EXAMPLE", now=NOW)
    assert never_log.log_again(crm, "BOSS@bank.example") == "boss@bank.example"
    with pytest.raises(Refused, match="not on the never-log list"):
        never_log.log_again(crm, "boss@bank.example")


@pytest.mark.parametrize("text", ["", "bank", "boss@", "a b@c.example", "bank..example", "@"])
def test_what_is_neither_address_nor_domain_is_refused(crm: Crm, text: str) -> None:
    with pytest.raises(Refused, match="neither an address"):
        never_log.never_log(crm, text, now=NOW)
