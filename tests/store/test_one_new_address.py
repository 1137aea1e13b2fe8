"""R17 where two patterns want a record for one new address in one moment."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from tests.harness.crm import Mail, Rows, User, file
from tests.store.beside import Beside
from worker.domain.outcomes import Outcome
from worker.domain.permissions import Module, SearchPattern
from worker.store.database import Database
from worker.store.poll_store import PollStore
from worker.store.tables import AssociationRow, EmailOwnerRow, EmailRow, RecordRow

NEW_LEAD = SearchPattern.CONTACTS_THEN_LEADS_OR_NEW_LEAD
NEW_CONTACT = SearchPattern.CONTACTS_THEN_LEADS_OR_NEW_CONTACT
EITHER = {NEW_LEAD: NEW_CONTACT, NEW_CONTACT: NEW_LEAD}


@pytest.fixture
def joe(crm: Rows) -> User:
    return crm.user(crm.account(), "joe@acme.example", NEW_CONTACT)


@pytest.mark.parametrize("first", EITHER)
def test_of_two_patterns_that_race_for_a_new_address_the_later_finds_what_the_first_made(
    url: str, open_database: Callable[[str], Database], crm: Rows, joe: User, first: SearchPattern
) -> None:
    """The result is the same as if they had come one after the other (R17)."""
    ann = crm.user(joe.account_id, "ann@acme.example", first)
    ben = crm.user(joe.account_id, "ben@acme.example", EITHER[first])
    sooner, later = (PollStore(open_database(url)) for _ in range(2))
    with Beside() as beside:
        file(
            sooner,
            Mail(1, ann.token, ann.login),
            meanwhile=lambda: beside.start_and_wait_in_vain(file, later, Mail(2, ben.token, ben.login)),
        )
    assert len(crm.rows(RecordRow)) == 1
    assert [row["created"] for row in crm.rows(AssociationRow)] == [True, False]


def test_workers_of_two_patterns_in_one_moment_make_one_record_of_each_address(
    url: str, open_database: Callable[[str], Database], crm: Rows, joe: User
) -> None:
    """Check that no worker has to decide twice (R17)."""
    ann = crm.user(joe.account_id, "ann@acme.example", NEW_LEAD)
    workers = [PollStore(open_database(url)) for _ in range(2)]
    together = Barrier(2)

    def work(place: int) -> None:
        owner = (joe, ann)[place]
        for number in range(20):
            together.wait()
            file(workers[place], Mail(100 * place + number, owner.token, owner.login, [f"c{number}@client.example"]))

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(work, range(2)))
    assert sorted(row["email"] for row in crm.rows(RecordRow)) == sorted(f"c{n}@client.example" for n in range(20))
    assert crm.count(AssociationRow) == 40


def test_copies_of_a_mail_merge_filed_in_one_moment_give_each_recipient_the_email(
    url: str, open_database: Callable[[str], Database], crm: Rows, joe: User
) -> None:
    """Store the email once, once for its owner, and once on each record (R19)."""
    workers = [PollStore(open_database(url)) for _ in range(2)]
    together = Barrier(2)

    def work(place: int) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for number in range(20):
            together.wait()
            to = [f"c{number // 2 * 2 + (place + number) % 2}@client.example"]
            mail = Mail(100 * place + number, joe.token, joe.login, to, message_id="<merge@acme.example>")
            outcomes += [filing.deciding.outcome for filing in file(workers[place], mail)]
        return outcomes

    with ThreadPoolExecutor(2) as threads:
        outcomes = [outcome for each in threads.map(work, range(2)) for outcome in each]
    assert (outcomes.count(Outcome.ASSOCIATED), outcomes.count(Outcome.DUPLICATE)) == (20, 20)
    assert (crm.count(EmailRow), crm.count(EmailOwnerRow), crm.count(AssociationRow)) == (1, 1, 20)
    assert sorted(row["email"] for row in crm.rows(RecordRow)) == sorted(f"c{n}@client.example" for n in range(20))


def test_patterns_that_search_one_module_each_make_a_record_each(store: PollStore, crm: Rows, joe: User) -> None:
    """A pattern with leads only never finds a contact (R15)."""
    patterns = (SearchPattern.LEADS_OR_NEW_LEAD, SearchPattern.CONTACTS_OR_NEW_CONTACT)
    ann, ben = (crm.user(joe.account_id, f"{pattern}@acme.example", pattern) for pattern in patterns)
    file(store, Mail(1, ann.token, ann.login))
    file(store, Mail(2, ben.token, ben.login))
    assert sorted(row["module"] for row in crm.rows(RecordRow)) == ["contact", "lead"]


def test_a_record_that_an_earlier_mail_of_the_batch_makes_is_nobody_elses_doing(
    store: PollStore, crm: Rows, joe: User
) -> None:
    """Joe would find the lead, too, but not before the contact; his mail makes nothing that could be a twin of it."""
    ann = crm.user(joe.account_id, "ann@acme.example", SearchPattern.CONTACTS_OR_NEW_CONTACT)
    crm.record(joe.account_id, "lea@client.example", module=Module.LEAD)
    to = ["lea@client.example"]
    file(store, Mail(1, ann.token, ann.login, to), Mail(2, joe.token, joe.login, to))
    (made,) = [row for row in crm.rows(RecordRow) if row["made_for"]]
    assert (made["module"], {row["record_id"] for row in crm.rows(AssociationRow)}) == ("contact", {made["id"]})
