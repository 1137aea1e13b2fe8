"""A mail that waits and the record that it waits for find each other, whichever is written first (R15)."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import Connection, text

from tests.harness.crm import NOW, Mail, Rows, User, file
from tests.store.beside import Beside
from worker.crm.record_import import ImportPlan, import_records
from worker.crm.record_life import add_record
from worker.crm.record_rows import Author, attach, insert_records
from worker.crm.work import By, Crm, Work
from worker.domain.addresses import Address
from worker.domain.permissions import Module, SearchPattern
from worker.domain.records import RecordChange, RecordState, changed
from worker.store.database import Database
from worker.store.health import standing_by
from worker.store.poll_store import PollStore
from worker.store.tables import AssociationRow, ProfileRow, UnmatchedRow

JANE = "jane@client.example"
ADDED = RecordChange(email=Address.parse(JANE), line=2)
STATE = changed(RecordState(), ADDED, None)
BY = By(None, NOW)


@pytest.fixture
def joe(crm: Rows) -> User:
    return crm.user(crm.account(), "joe@acme.example", SearchPattern.CONTACTS_THEN_LEADS_ONLY)


@pytest.fixture
def worker_crm(database: Database) -> Crm:
    return Crm(database)


def ends(crm: Rows) -> tuple[int, int]:
    """Return the number of associations and of recipients that wait."""
    return crm.count(AssociationRow), crm.count(UnmatchedRow)


def add_on(connection: Connection, account_id: int) -> int:
    """Do what adding a record does, up to the commit."""
    work = Work(connection, "Acme")
    assert work.account.id == account_id
    author = Author(None, NOW)
    [number] = insert_records(work, Module.CONTACT, [STATE], author)
    return attach(work, Module.CONTACT, [(number, STATE)], author)


@pytest.mark.parametrize("by_import", [False, True], ids=["by hand", "by import"])
def test_a_record_added_while_its_mail_is_being_filed_gets_the_mail(
    url: str, open_database: Callable[[str], Database], store: PollStore, crm: Rows, joe: User, by_import: bool
) -> None:
    """The mail was decided without it."""
    worker_crm = Crm(open_database(url))

    def add() -> int:
        if by_import:
            [done] = import_records(worker_crm, ImportPlan(Module.LEAD), [ADDED], BY)
            return done.attached
        return add_record(worker_crm, Module.LEAD, ADDED, BY).attached

    with Beside() as beside:
        mail = Mail(1, joe.token, joe.login, [JANE, "kim@client.example"])
        file(store, mail, meanwhile=lambda: beside.start_and_wait_in_vain(add))
        assert beside.results == [1]
    assert [row["address_key"] for row in crm.rows(UnmatchedRow)] == ["kim@client.example"]
    assert [row["created"] for row in crm.rows(AssociationRow)] == [False]


def test_a_mail_that_is_filed_while_its_record_is_being_added_finds_it(
    url: str, open_database: Callable[[str], Database], database: Database, crm: Rows, joe: User
) -> None:
    with Beside() as beside:
        with database.begin() as connection:
            assert add_on(connection, joe.account_id) == 0
            beside.start_and_wait_in_vain(file, PollStore(open_database(url)), Mail(1, joe.token, joe.login))
        assert [filing.deciding.trace.recipients[0].result for (filing,) in beside.results] == ["matched"]
    assert ends(crm) == (1, 0)


def test_a_record_that_the_owner_may_not_see_leaves_the_mail_waiting(
    store: PollStore, database: Database, crm: Rows, joe: User, worker_crm: Crm
) -> None:
    # R10
    with database.begin() as connection:
        connection.execute(text(f"UPDATE {ProfileRow.__tablename__} SET leads = false"))
    file(store, Mail(1, joe.token, joe.login))
    assert add_record(worker_crm, Module.LEAD, ADDED, BY).attached == 0
    assert ends(crm) == (0, 1)


def test_a_record_of_another_account_leaves_the_mail_waiting(
    store: PollStore, database: Database, crm: Rows, joe: User
) -> None:
    crm.account("Other")
    file(store, Mail(1, joe.token, joe.login))
    assert add_record(Crm(database, "Other"), Module.CONTACT, ADDED, BY).attached == 0
    assert ends(crm) == (0, 1)


@pytest.mark.parametrize("together", [False, True], ids=["one after the other", "in one batch"])
def test_a_record_that_a_colleagues_mail_makes_gets_the_mail_that_waits_for_it(
    store: PollStore, crm: Rows, joe: User, together: bool
) -> None:
    """This holds for every way to create the record (R15)."""
    ann = crm.user(joe.account_id, "ann@acme.example")
    mails = [Mail(1, joe.token, joe.login), Mail(2, ann.token, ann.login)]
    for batch in [mails] if together else [[mail] for mail in mails]:
        file(store, *batch)
    assert [(row["email_id"], row["created"]) for row in crm.rows(AssociationRow)] == [(1, False), (2, True)]
    assert crm.count(UnmatchedRow) == 0
    file(store, Mail(3, joe.token, joe.login))
    assert ends(crm) == (3, 0)


def test_a_mail_that_waits_for_a_record_and_makes_it_for_another_owner_stands_on_it_once(
    store: PollStore, crm: Rows, joe: User
) -> None:
    """File the same email through two dropboxes; the first one makes no records (R18, R19)."""
    ann = crm.user(joe.account_id, "ann@acme.example")
    crm.sender(ann, joe.login, slot=2)
    file(store, *(Mail(uid, to.token, joe.login, message_id="<one@mail>") for uid, to in ((1, joe), (2, ann))))
    assert [row["created"] for row in crm.rows(AssociationRow)] == [True]
    assert crm.count(UnmatchedRow) == 0


def test_a_mail_of_another_account_that_makes_the_record_leaves_it_waiting(
    store: PollStore, crm: Rows, joe: User
) -> None:
    ann = crm.user(crm.account("Other"), "ann@other.example")
    file(store, Mail(1, joe.token, joe.login), Mail(2, ann.token, ann.login))
    assert ends(crm) == (1, 1)


def test_a_mail_that_waits_and_one_that_makes_its_record_are_filed_in_one_moment(
    url: str, open_database: Callable[[str], Database], crm: Rows, joe: User
) -> None:
    ann = crm.user(joe.account_id, "ann@acme.example")
    waits, makes = Mail(1, joe.token, joe.login), Mail(2, ann.token, ann.login)
    for number, (first, second) in enumerate([(waits, makes), (makes, waits)], start=1):
        workers = [PollStore(open_database(url)) for _ in range(2)]
        mails = [
            replace(mail, uid=10 * number + mail.uid, to=[f"c{number}@client.example"]) for mail in (first, second)
        ]
        with Beside() as beside:

            def meanwhile(beside: Beside = beside, worker: PollStore = workers[1], mail: Mail = mails[1]) -> None:
                beside.start_and_wait_in_vain(file, worker, mail)

            file(workers[0], mails[0], meanwhile=meanwhile)
        assert ends(crm) == (2 * number, 0)


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_people_who_add_records_to_one_account_do_not_wait_for_each_other(
    url: str, open_database: Callable[[str], Database], database: Database, joe: User
) -> None:
    with database.begin() as connection:
        add_on(connection, joe.account_id)
        assert add_record(Crm(open_database(url)), Module.LEAD, ADDED, BY).attached == 0


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_mail_for_other_accounts_waits_neither_for_mail_nor_for_an_import(
    url: str, open_database: Callable[[str], Database], store: PollStore, database: Database, crm: Rows, joe: User
) -> None:
    ann = crm.user(crm.account("Other"), "ann@other.example", SearchPattern.CONTACTS_THEN_LEADS_ONLY)
    beside = PollStore(open_database(url))
    with database.begin() as connection:
        add_on(connection, joe.account_id)
        file(beside, Mail(1, ann.token, ann.login))
    file(store, Mail(2, joe.token, joe.login), meanwhile=lambda: file(beside, Mail(3, ann.token, ann.login)))
    assert ends(crm) == (1, 2)


def test_whoever_files_mail_does_not_look_like_one_that_stands_by(
    store: PollStore, database: Database, joe: User
) -> None:
    """`status` tells the one from the other by locks of the same kind."""
    seen: list[object] = []
    file(store, Mail(1, joe.token, joe.login), meanwhile=lambda: seen.append(standing_by(database)))
    assert seen == [{}]
