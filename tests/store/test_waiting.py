"""A mail that waits and the record that it waits for find each other, whichever is written first (R15)."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, text

from tests.store.crm import NOW, QUEUE, Crm, Mail, User, decide, file
from worker.domain.addresses import Address
from worker.domain.patterns import Module, SearchPattern
from worker.store import commit as commits
from worker.store.administration.office import Office
from worker.store.administration.record_import import import_records
from worker.store.administration.record_rows import OwnedDraft, RecordDraft, insert_records
from worker.store.administration.records import add_record
from worker.store.attempts import Uids
from worker.store.database import Database
from worker.store.intake import IntakeStore
from worker.store.mailboxes import mailbox_id
from worker.store.tables import AssociationRow, ProfileRow, UnmatchedRow, VerdictRow
from worker.store.waiting import attach_waiting

JANE = "jane@client.example"
DRAFT = RecordDraft(Address.parse(JANE))


@pytest.fixture
def joe(crm: Crm) -> User:
    return crm.user(crm.account(), "joe@acme.example", SearchPattern.CONTACTS_THEN_LEADS_ONLY)


@pytest.fixture
def office(database: Database) -> Office:
    return Office(database)


def ends(crm: Crm) -> tuple[int, int]:
    """How many associations and how many recipients that wait."""
    return crm.count(AssociationRow), crm.count(UnmatchedRow)


def wait_until_blocked(database: Database) -> None:
    """Somebody waits for an advisory lock."""
    query = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    deadline = time.monotonic() + 10
    while True:
        with database.read() as connection:
            if connection.scalar(query):
                return
        assert time.monotonic() < deadline, "nobody waits"
        time.sleep(0.01)


def add_on(connection: Connection, account_id: int) -> int:
    """What adding a record does, up to the commit."""
    inserted = insert_records(connection, account_id, Module.CONTACT, [OwnedDraft(DRAFT, None)], NOW)
    return attach_waiting(connection, account_id, Module.CONTACT, inserted.by_address)


@pytest.mark.parametrize("by_import", [False, True], ids=["by hand", "by import"])
def test_a_record_added_between_decision_and_commit_gets_the_mail(
    store: IntakeStore, crm: Crm, joe: User, office: Office, by_import: bool
) -> None:
    filings = decide(store, Mail(1, joe.token, joe.login, [JANE, "kim@client.example"]))
    if by_import:
        import_records(office, Module.LEAD, [DRAFT], now=NOW, progress=lambda _done: None)
    else:
        add_record(office, Module.LEAD, DRAFT, now=NOW)
    store.commit(QUEUE, filings, NOW)
    assert [row["address_key"] for row in crm.rows(UnmatchedRow)] == ["kim@client.example"]
    assert [row["created"] for row in crm.rows(AssociationRow)] == [False]
    [jane, kim] = crm.rows(VerdictRow)[0]["trace"]["recipients"]
    assert (jane["result"], jane["module"], kim["result"]) == ("matched", "lead", "unmatched")


def test_of_several_records_added_meanwhile_the_rules_choose(
    store: IntakeStore, crm: Crm, joe: User, office: Office
) -> None:
    """R15: contacts before leads; R16: the owner's own before an older one."""
    filings = decide(store, Mail(1, joe.token, joe.login))
    crm.record(joe.account_id, JANE, Module.LEAD, owner_id=joe.id)
    crm.record(joe.account_id, JANE, owner_id=None)
    own = crm.record(joe.account_id, JANE, owner_id=joe.id)
    store.commit(QUEUE, filings, NOW)
    assert [row["record_id"] for row in crm.rows(AssociationRow)] == [own]


def test_two_addresses_of_one_record_added_meanwhile_are_one_association(
    store: IntakeStore, crm: Crm, joe: User
) -> None:
    filings = decide(store, Mail(1, joe.token, joe.login, [JANE, "jane@home.example"]))
    crm.record(joe.account_id, JANE, secondary_email="jane@home.example", secondary_email_key="jane@home.example")
    store.commit(QUEUE, filings, NOW)
    assert ends(crm) == (1, 0)


def test_a_record_that_the_owner_may_not_see_leaves_the_mail_waiting(
    store: IntakeStore, database: Database, crm: Crm, joe: User
) -> None:
    """R10."""
    with database.begin() as connection:
        connection.execute(text(f"UPDATE {ProfileRow.__tablename__} SET leads = false"))
    filings = decide(store, Mail(1, joe.token, joe.login))
    crm.record(joe.account_id, JANE, Module.LEAD)
    store.commit(QUEUE, filings, NOW)
    assert ends(crm) == (0, 1)


def test_a_record_of_another_account_leaves_the_mail_waiting(store: IntakeStore, crm: Crm, joe: User) -> None:
    filings = decide(store, Mail(1, joe.token, joe.login))
    crm.record(crm.account("Other"), JANE)
    store.commit(QUEUE, filings, NOW)
    assert ends(crm) == (0, 1)


@pytest.mark.parametrize("together", [False, True], ids=["one after the other", "in one batch"])
def test_a_record_that_a_colleagues_mail_makes_gets_the_mail_that_waits_for_it(
    store: IntakeStore, crm: Crm, joe: User, together: bool
) -> None:
    """R15: however the record comes to be."""
    ann = crm.user(joe.account_id, "ann@acme.example")
    mails = [Mail(1, joe.token, joe.login), Mail(2, ann.token, ann.login)]
    for batch in [mails] if together else [[mail] for mail in mails]:
        file(store, *batch)
    assert [(row["email_id"], row["created"]) for row in crm.rows(AssociationRow)] == [(1, False), (2, True)]
    assert crm.count(UnmatchedRow) == 0
    file(store, Mail(3, joe.token, joe.login))
    assert ends(crm) == (3, 0)


def test_a_mail_that_waits_for_a_record_and_makes_it_for_another_owner_stands_on_it_once(
    store: IntakeStore, crm: Crm, joe: User
) -> None:
    """R18, R19: the same email through two dropboxes, the first of which makes no records."""
    ann = crm.user(joe.account_id, "ann@acme.example")
    crm.sender(ann, joe.login, slot=2)
    file(store, *(Mail(uid, to.token, joe.login, message_id="<one@mail>") for uid, to in ((1, joe), (2, ann))))
    assert [row["created"] for row in crm.rows(AssociationRow)] == [True]
    assert crm.count(UnmatchedRow) == 0


def test_a_mail_of_another_account_that_makes_the_record_leaves_it_waiting(
    store: IntakeStore, crm: Crm, joe: User
) -> None:
    ann = crm.user(crm.account("Other"), "ann@other.example")
    file(store, Mail(1, joe.token, joe.login), Mail(2, ann.token, ann.login))
    assert ends(crm) == (1, 1)


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_mail_that_waits_and_one_that_makes_its_record_are_committed_in_one_moment(
    url: str, open_database: Callable[[str], Database], database: Database, crm: Crm, joe: User
) -> None:
    ann = crm.user(joe.account_id, "ann@acme.example")
    store = IntakeStore(database)
    store.take_in_hand(QUEUE, [1, 2], alone=False)  # the mailbox is known to both
    waits, makes = decide(store, Mail(1, joe.token, joe.login)), decide(store, Mail(2, ann.token, ann.login))
    with ThreadPoolExecutor(1) as other:
        with database.begin() as connection:
            messages = Uids(mailbox_id(connection, QUEUE.name), QUEUE.uidvalidity, [2])
            commits.commit(connection, messages, makes, NOW)
            committed = other.submit(IntakeStore(open_database(url)).commit, QUEUE, waits, NOW)
            wait_until_blocked(database)
        committed.result(10)
    assert ends(crm) == (2, 0)


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_mails_that_make_records_of_one_account_do_not_wait_for_each_other(
    url: str, open_database: Callable[[str], Database], database: Database, crm: Crm, joe: User
) -> None:
    ann = crm.user(joe.account_id, "ann@acme.example")
    with database.begin() as connection:
        add_on(connection, joe.account_id)
        file(IntakeStore(open_database(url)), Mail(1, ann.token, ann.login, ["kim@client.example"]))
    assert ends(crm) == (1, 0)


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_mail_is_committed_while_its_record_is_being_added(
    store: IntakeStore, database: Database, crm: Crm, joe: User
) -> None:
    filings = decide(store, Mail(1, joe.token, joe.login))
    with ThreadPoolExecutor(1) as other:
        with database.begin() as connection:
            assert add_on(connection, joe.account_id) == 0
            committed = other.submit(store.commit, QUEUE, filings, NOW)
            wait_until_blocked(database)
        committed.result(10)
    assert ends(crm) == (1, 0)


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_record_is_added_while_its_mail_is_being_committed(
    store: IntakeStore, database: Database, office: Office, crm: Crm, joe: User
) -> None:
    filings = decide(store, Mail(1, joe.token, joe.login))
    with ThreadPoolExecutor(1) as other:
        with database.begin() as connection:
            messages = Uids(mailbox_id(connection, QUEUE.name), QUEUE.uidvalidity, [1])
            commits.commit(connection, messages, filings, NOW)
            added = other.submit(add_record, office, Module.CONTACT, DRAFT, now=NOW)
            wait_until_blocked(database)
        assert added.result(10).attached == 1
    assert ends(crm) == (1, 0)


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_mail_for_other_accounts_does_not_wait_for_an_import(
    url: str, open_database: Callable[[str], Database], database: Database, crm: Crm, joe: User
) -> None:
    ann = crm.user(crm.account("Other"), "ann@other.example", SearchPattern.CONTACTS_THEN_LEADS_ONLY)
    with database.begin() as connection:
        add_on(connection, joe.account_id)
        file(IntakeStore(open_database(url)), Mail(1, ann.token, ann.login))
    assert ends(crm) == (0, 1)
