"""Imports: each row finds its record or makes one, and the same rows twice change nothing (R24)."""

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from tests.crm.conftest import BEN, CARL, JANE
from tests.harness.crm import NOW, Arrive, Mail, Rows, file
from tests.store.beside import Beside
from worker.crm import accounts, emails, record_import, record_life, record_lists, users
from worker.crm.emails import EmailFilter
from worker.crm.record_import import BadRow, ImportPlan, Key, import_records
from worker.crm.record_lists import RecordFilter, RecordSummary
from worker.crm.webhooks import add_webhook
from worker.crm.work import By, Crm
from worker.domain.addresses import Address
from worker.domain.errors import Refused
from worker.domain.permissions import Module, Permission
from worker.domain.records import RecordChange
from worker.store.database import Database
from worker.store.poll_store import PollStore
from worker.store.tables import EventRow, RecordAddressRow, RecordRow

BY = By(None, NOW)
CONTACTS = ImportPlan(Module.CONTACT)
LEADS = ImportPlan(Module.LEAD)
BY_EMAIL = ImportPlan(Module.CONTACT, Key.EMAIL)


def rows(*given: dict[str, Any]) -> list[RecordChange | BadRow]:
    """Make the rows of a file, from line 2 on."""
    found: list[RecordChange | BadRow] = []
    for line, cells in enumerate(given, 2):
        values: dict[str, Any] = {
            name: Address.parse(value) if value and "email" in name else value for name, value in cells.items()
        }
        found.append(RecordChange(**values, line=line))
    return found


def imported(
    crm: Crm, given: Iterable[RecordChange | BadRow], plan: ImportPlan = CONTACTS, by: By = BY
) -> tuple[dict[str, int], dict[int, str]]:
    """Import; gives the counts that are not 0, and why which line was skipped."""
    counts: Counter[str] = Counter()
    bad: dict[int, str] = {}
    for done in import_records(crm, plan, given, by):
        counts.update(done.counts)
        bad.update({row.line: row.why for row in done.bad})
    return {name: count for name, count in counts.items() if count}, bad


def listed(crm: Crm, module: Module = Module.CONTACT) -> list[RecordSummary]:
    return list(reversed(record_lists.list_records(crm, RecordFilter(module), limit=None)))


def test_the_same_rows_twice_change_nothing(crm: Crm, jane: str) -> None:
    given = rows(
        {"external_id": "K1", "email": CARL, "last_name": "Carl", "first_name": "C", "owner": jane},
        {"external_id": "K2", "email": CARL, "last_name": "", "first_name": "", "owner": None},
        {"external_id": "K3", "email": None, "last_name": "No mail", "first_name": "", "owner": None},
        {"external_id": None, "email": "dora@client.example", "last_name": "", "first_name": "", "owner": None},
    )
    assert imported(crm, given) == ({"created": 4}, {})
    before = listed(crm), Rows(crm.database).rows(RecordAddressRow), Rows(crm.database).count(EventRow)
    assert imported(crm, given) == ({"unchanged": 4}, {})
    assert (listed(crm), Rows(crm.database).rows(RecordAddressRow), Rows(crm.database).count(EventRow)) == before
    assert [(r.external_id, r.email, r.last_name) for r in listed(crm)] == [
        ("K1", CARL, "Carl"),
        ("K2", CARL, CARL),
        ("K3", None, "No mail"),
        (None, "dora@client.example", "dora@client.example"),
    ]


def test_a_record_that_was_merged_is_not_made_again(crm: Crm) -> None:
    given = rows(
        {"external_id": "K1", "email": CARL, "last_name": "Carl"},
        {"external_id": "K2", "email": "carl@home.example", "last_name": "Carl C."},
    )
    imported(crm, given)
    record_life.merge_records(crm, Module.CONTACT, "external:K1", BY, into="external:K2")
    [survivor] = listed(crm)
    told = {2: f"contact K1 was merged into record {survivor.id}, which has a key of its own"}
    for _ in range(2):
        assert imported(crm, given) == ({"unchanged": 1, "skipped": 1}, told)
    assert listed(crm) == [survivor]


@pytest.mark.parametrize("into", [None, "external:C1", "external:C2"])
def test_a_lead_that_was_converted_is_not_made_again_until_its_contact_is_deleted(crm: Crm, into: str | None) -> None:
    given = rows({"external_id": "C1", "email": CARL, "last_name": "Carl"})
    imported(crm, given, LEADS)
    if into:
        key = into.removeprefix("external:")
        imported(crm, rows({"external_id": key, "email": "other@client.example", "last_name": "Other"}))
    contact = record_life.convert_lead(crm, "external:C1", BY, into=into).record.summary.id
    told = {2: f"lead C1 is contact {contact} now"}
    assert imported(crm, given, LEADS) == ({"skipped": 1}, told)
    record_life.delete_record(crm, Module.CONTACT, str(contact), BY)
    assert imported(crm, given, LEADS) == ({"created": 1}, {})


def test_only_the_columns_that_the_rows_have_are_updated_and_an_empty_cell_clears(crm: Crm, jane: str) -> None:
    imported(crm, rows({"external_id": "K1", "email": CARL, "last_name": "Carl", "first_name": "C", "owner": jane}))
    assert imported(crm, rows({"external_id": "K1", "first_name": "Cäsar"})) == ({"updated": 1}, {})
    [carl] = listed(crm)
    assert (carl.email, carl.last_name, carl.first_name, carl.owner) == (CARL, "Carl", "Cäsar", jane)
    cleared = {"external_id": "K1", "email": None, "last_name": "", "first_name": "", "owner": None}
    assert imported(crm, rows(cleared)) == ({"updated": 1}, {})
    [carl] = listed(crm)
    assert (carl.email, carl.last_name, carl.first_name, carl.owner) == (None, "K1", "", None)
    assert imported(crm, rows(cleared)) == ({"unchanged": 1}, {})


def test_an_address_that_the_crm_changes_keeps_matching(crm: Crm, jane: str, arrive: Arrive) -> None:
    imported(crm, rows({"external_id": "K1", "email": CARL, "secondary_email": "c@home.example"}))
    new = rows({"external_id": "K1", "email": "c@home.example", "secondary_email": "carl@new.example"})
    assert imported(crm, new) == ({"updated": 1}, {})
    assert imported(crm, new) == ({"unchanged": 1}, {})
    arrive(jane)
    detail = record_lists.show_record(crm, Module.CONTACT, CARL)
    assert detail.addresses == ("c@home.example", "carl@new.example", CARL)
    assert len(emails.list_emails(crm, EmailFilter(Module.CONTACT, "external:K1"), limit=None)) == 1


def test_a_record_that_mail_made_gets_the_key_of_the_row_with_its_address(crm: Crm, jane: str, arrive: Arrive) -> None:
    arrive(jane)
    given = rows({"external_id": "K1", "email": CARL, "last_name": "Carl"}, {"external_id": "K2", "email": CARL})
    assert imported(crm, given) == ({"created": 1, "updated": 1}, {})
    assert [(r.external_id, r.last_name) for r in listed(crm)] == [("K1", "Carl"), ("K2", CARL)]
    assert imported(crm, given) == ({"unchanged": 2}, {})


def test_by_email_a_row_that_several_records_fit_is_refused_and_the_others_are_done(crm: Crm) -> None:
    imported(crm, rows({"external_id": "K1", "email": CARL}, {"external_id": "K2", "email": CARL}))
    counts, bad = imported(crm, rows({"email": CARL, "last_name": "C"}, {"email": "d@client.example"}), BY_EMAIL)
    assert counts == {"created": 1, "skipped": 1}
    first, second, _ = listed(crm)
    assert bad == {2: f"2 contacts have the address {CARL}: {first.id}, {second.id}"}


def test_what_two_rows_of_a_file_claim_is_the_first_ones(crm: Crm) -> None:
    given = rows(
        {"external_id": "K1", "email": CARL},
        {"external_id": "K1", "email": "d@client.example"},
        {"external_id": None, "email": "e@client.example"},
        {"external_id": None, "email": "E@client.example"},
    )
    for counts in ({"created": 2, "skipped": 2}, {"unchanged": 2, "skipped": 2}):
        assert imported(crm, given) == (
            counts,
            {
                3: "the external ID K1 is that of line 2 already",
                5: "the email e@client.example is that of line 4 already",
            },
        )


def test_a_second_row_for_one_record_by_its_former_address_does_not_undo_the_first(crm: Crm) -> None:
    imported(crm, rows({"email": CARL}))
    record_life.edit_record(crm, Module.CONTACT, CARL, RecordChange(email=Address.parse("carl@new.example")), BY)
    given = rows({"email": "carl@new.example"}, {"email": CARL})
    counts, bad = imported(crm, given, BY_EMAIL)
    assert counts == {"unchanged": 1, "skipped": 1}
    assert bad == {3: "the record 1 is that of line 2 already"}


def test_an_external_id_of_another_record_refuses_the_row_that_is_found_by_email(crm: Crm) -> None:
    imported(crm, rows({"external_id": "K1", "email": CARL}, {"external_id": "K2", "email": "d@client.example"}))
    counts, bad = imported(crm, rows({"external_id": "K1", "email": "d@client.example"}), BY_EMAIL)
    assert (counts, bad) == ({"skipped": 1}, {2: "the external ID K1 is that of contact 1 already"})
    assert imported(crm, rows({"external_id": None, "email": CARL}), BY_EMAIL)[0] == {"updated": 1}
    assert [record.external_id for record in listed(crm)] == [None, "K2"]


def test_a_row_whose_owner_is_no_user_is_refused(crm: Crm, jane: str) -> None:
    given = rows({"email": "a@client.example", "owner": "nobody@acme.example"}, {"email": CARL, "owner": JANE.upper()})
    counts, bad = imported(crm, given)
    assert counts == {"created": 1, "skipped": 1}
    assert bad == {2: "the owner nobody@acme.example is no user of account Default"}


def test_waiting_mail_is_attached_to_what_was_imported(crm: Crm, jane: str, arrive: Arrive) -> None:
    users.set_pattern(crm, jane, "contacts-then-leads-only")
    arrive(jane, to=[CARL], subject="one")
    arrive(jane, to=["new@client.example"], subject="two")
    assert imported(crm, rows({"external_id": "K1", "email": CARL}))[0] == {"created": 1, "attached": 1}
    moved = rows({"external_id": "K1", "email": "new@client.example"})
    assert imported(crm, moved)[0] == {"updated": 1, "attached": 1}


def test_a_dry_run_counts_and_writes_nothing(crm: Crm, jane: str, arrive: Arrive) -> None:
    users.set_pattern(crm, jane, "contacts-then-leads-only")
    arrive(jane, to=["new@client.example"])
    imported(crm, rows({"email": CARL}))
    before = [Rows(crm.database).rows(row) for row in (RecordRow, RecordAddressRow, EventRow)]
    dry = ImportPlan(Module.CONTACT, dry_run=True)
    given = rows({"email": CARL, "last_name": "C"}, {"email": "new@client.example"})
    assert imported(crm, given, dry)[0] == {"created": 1, "updated": 1, "attached": 1}
    assert [Rows(crm.database).rows(row) for row in (RecordRow, RecordAddressRow, EventRow)] == before


def test_an_import_by_a_user_who_may_not_is_refused(crm: Crm, ben: str) -> None:
    accounts.revoke(crm, "Standard", Permission.CONTACTS, acting=JANE)
    with pytest.raises(Refused, match="may not change contacts"):
        imported(crm, rows({"email": CARL}), by=By(BEN, NOW))
    assert imported(crm, rows({"email": CARL}), by=By(JANE, NOW))[0] == {"created": 1}
    assert record_lists.show_record(crm, Module.CONTACT, CARL).created_by == JANE


def test_an_import_of_more_than_one_chunk_makes_every_record_once(crm: Crm) -> None:
    count = record_import.AT_ONCE + 1
    given = rows(*({"external_id": f"K{number}", "email": f"p{number}@client.example"} for number in range(count)))
    assert imported(crm, given)[0] == {"created": count}
    given.append(RecordChange(external_id="K0", line=count + 2))
    assert imported(crm, given) == (
        {"unchanged": count, "skipped": 1},
        {count + 2: "the external ID K0 is that of line 2 already"},
    )


def test_an_import_tells_the_accounts_webhook_what_it_did(crm: Crm, jane: str) -> None:
    imported(crm, rows({"email": CARL}))
    assert Rows(crm.database).count(EventRow) == 0
    add_webhook(crm, "https://crm.example/hook", rotate=False, now=NOW)
    imported(crm, rows({"email": CARL, "last_name": "C"}, {"email": "d@client.example"}))
    assert [row["type"] for row in Rows(crm.database).rows(EventRow)] == ["record.created", "record.updated"]


def test_an_import_of_nothing_makes_nothing(crm: Crm) -> None:
    assert imported(crm, []) == ({}, {})


def test_an_import_and_mail_to_the_same_new_address_make_one_record(
    url: str, crm: Crm, jane: str, open_database: Callable[[str], Database]
) -> None:
    """Whatever comes first: the other waits, and finds it."""
    token = users.show_dropbox(crm, jane).token or ""
    store, beside_crm = PollStore(open_database(url)), Crm(open_database(url))
    with Beside() as beside:

        def import_beside() -> None:
            beside.start_and_wait_in_vain(imported, beside_crm, rows({"external_id": "K1", "email": CARL}))

        file(store, Mail(1, token, jane, [CARL]), meanwhile=import_beside)
        assert beside.results == [({"updated": 1}, {})]
    assert [record.external_id for record in listed(crm)] == ["K1"]


def test_imports_of_the_same_rows_at_once_make_each_record_once(
    url: str, crm: Crm, jane: str, open_database: Callable[[str], Database]
) -> None:
    given = rows(*({"external_id": f"K{number % 25}", "email": f"p{number}@client.example"} for number in range(25)))
    by_email = rows(*({"email": f"p{number}@client.example", "first_name": "P"} for number in range(25, 50)))
    together = Barrier(4)

    def work(place: int) -> dict[str, int]:
        mine = Crm(open_database(url))
        together.wait()
        return imported(mine, [given, by_email][place % 2])[0]

    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(work, range(4)))
    assert sum(each.get("created", 0) for each in done) == 50
    assert sum(each.get("unchanged", 0) for each in done) == 50
    assert len(listed(crm)) == len({record.email for record in listed(crm)}) == 50


def test_people_who_give_one_external_id_at_once_give_it_to_one_record(
    url: str, crm: Crm, jane: str, open_database: Callable[[str], Database]
) -> None:
    together = Barrier(4)

    def add(place: int) -> bool:
        mine = Crm(open_database(url))
        change = RecordChange(external_id="K1", email=Address.parse(f"p{place}@client.example"))
        together.wait()
        try:
            record_life.add_record(mine, Module.CONTACT, change, BY)
        except Refused:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(add, range(4))) == [False, False, False, True]


def test_a_record_that_is_merged_while_its_mail_is_filed_passes_the_mail_on(
    url: str, crm: Crm, jane: str, open_database: Callable[[str], Database]
) -> None:
    imported(crm, rows({"external_id": "K1", "email": CARL}, {"external_id": "K2", "email": "new@client.example"}))
    token = users.show_dropbox(crm, jane).token or ""
    store, beside_crm = PollStore(open_database(url)), Crm(open_database(url))
    with Beside() as beside:

        def merge_beside() -> None:
            beside.start_and_wait_in_vain(
                record_life.merge_records, beside_crm, Module.CONTACT, "external:K1", BY, into="external:K2"
            )

        file(store, Mail(1, token, jane, [CARL]), meanwhile=merge_beside)
    assert len(emails.list_emails(crm, EmailFilter(Module.CONTACT, "external:K2"), limit=None)) == 1
    assert [record.external_id for record in listed(crm)] == ["K2"]
