"""Notices are written with the decision, at most one per owner, cause and day, and each is sent by one worker."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from threading import Barrier, Thread

import pytest
from sqlalchemy import update

from tests.harness.crm import NOW, QUEUE, Mail, Rows, User, commit, decide
from tests.notices.test_certainty import VOUCHED
from worker.domain.errors import Conflict
from worker.domain.messages import Attachment
from worker.domain.outcomes import Code, Outcome, Reason, detail
from worker.domain.verdicts import Notice
from worker.store.database import Database
from worker.store.poll_store import PollStore
from worker.store.tables import DecisionRow, NoticeRow, UserRow
from worker.store.traces import NoticeOutbox

LARGE = (Attachment("film.mp4", "video/mp4", 11 * 1024 * 1024),)


@pytest.fixture
def store(database: Database) -> PollStore:
    return PollStore(database, gives_notice=True)


@pytest.fixture
def outbox(database: Database) -> NoticeOutbox:
    return NoticeOutbox(database)


@pytest.fixture
def joe(crm: Rows) -> User:
    return crm.user(crm.account(), "joe@acme.example")


def too_large(uid: int, joe: User, **more: str) -> Mail:
    return Mail(uid, joe.token, joe.login, attachments=LARGE, **more)  # type: ignore[arg-type]


def to_nobody(uid: int, joe: User) -> Mail:
    return Mail(uid, joe.token, joe.login, to=[joe.login])


def file(store: PollStore, *mails: Mail, at: datetime = NOW) -> None:
    commit(store, QUEUE, decide(store, *mails, rules=VOUCHED), at)


def all_of(outbox: NoticeOutbox, at: datetime = NOW) -> list[Notice]:
    return [*iter(lambda: outbox.take(at), None)]


def test_a_rejection_of_certain_mail_leaves_a_notice(store: PollStore, outbox: NoticeOutbox, joe: User) -> None:
    file(store, too_large(1, joe, subject="Our film"))
    (notice,) = all_of(outbox)
    assert (notice.login.text, notice.key.cause, notice.key.day) == (
        "joe@acme.example",
        Reason.ATTACHMENTS_TOO_LARGE,
        date(2026, 11, 2),
    )
    assert (notice.subject, notice.sender, notice.recipients, notice.message_id, notice.arrived_at) == (
        *("Our film", "joe@acme.example", ("jane@client.example",), "<1@mail.example>", NOW),
    )
    assert notice.note == detail(Code.ATTACHMENTS_SIZE, size=11534336, limit=10485760)


def test_a_notice_names_the_account_where_there_are_several(
    store: PollStore, outbox: NoticeOutbox, crm: Rows, joe: User
) -> None:
    file(store, to_nobody(1, joe))
    (notice,) = all_of(outbox)
    assert notice.account is None
    outbox.put_back(notice)
    crm.account("Bee")
    (again,) = all_of(outbox)
    assert again == replace(notice, account="Acme")


def test_word_goes_to_the_login_whatever_address_the_mail_came_from(
    store: PollStore, outbox: NoticeOutbox, crm: Rows, joe: User
) -> None:
    crm.sender(joe, "joe@home.example", slot=2)
    mail = too_large(1, joe)
    mail.sender = "joe@home.example"
    file(store, mail)
    (notice,) = all_of(outbox)
    assert (notice.login.text, notice.sender) == ("joe@acme.example", "joe@home.example")


def test_no_notice_is_written_unless_asked_for(database: Database, outbox: NoticeOutbox, joe: User) -> None:
    file(PollStore(database), too_large(1, joe))
    assert outbox.take(NOW) is None


def test_mail_that_is_filed_or_may_not_be_theirs_leaves_none(store: PollStore, outbox: NoticeOutbox, joe: User) -> None:
    forged = too_large(2, joe)
    forged.sender = "eve@acme.example"
    file(store, Mail(1, joe.token, joe.login), forged, Mail(3, "0" * 25 + "z", joe.login))
    assert outbox.take(NOW) is None


def test_one_notice_per_owner_cause_and_day(store: PollStore, outbox: NoticeOutbox, crm: Rows, joe: User) -> None:
    ann = crm.user(joe.account_id, "ann@acme.example")
    file(store, too_large(1, joe, subject="first"), too_large(2, joe), to_nobody(3, joe), too_large(4, ann))
    file(store, too_large(5, joe), at=NOW + timedelta(hours=14, minutes=59))
    today = all_of(outbox)
    assert [(notice.login.text, notice.key.cause.value, notice.subject) for notice in today] == [
        ("joe@acme.example", "attachments_too_large", "first"),
        ("joe@acme.example", "no_recipients", "Offer"),
        ("ann@acme.example", "attachments_too_large", "Offer"),
    ]
    for notice in today:
        outbox.settle(notice, NOW)
    file(store, too_large(6, joe), at=NOW + timedelta(hours=15))
    (next_day,) = all_of(outbox, NOW + timedelta(hours=15))
    assert next_day.key.day == date(2026, 11, 3)


def test_what_was_told_is_not_told_again_that_day(store: PollStore, outbox: NoticeOutbox, joe: User) -> None:
    file(store, too_large(1, joe))
    for notice in all_of(outbox):
        outbox.settle(notice, NOW)
    file(store, too_large(2, joe), at=NOW + timedelta(hours=1))
    assert all_of(outbox, NOW + timedelta(hours=1)) == []


def test_a_commit_that_fails_leaves_no_notice(store: PollStore, outbox: NoticeOutbox, crm: Rows, joe: User) -> None:
    filings = decide(store, too_large(1, joe), rules=VOUCHED)
    commit(store, QUEUE, decide(store, to_nobody(1, joe), rules=VOUCHED), NOW)
    with pytest.raises(Conflict):
        commit(store, QUEUE, filings, NOW)
    assert [row["cause"] for row in crm.rows(NoticeRow)] == ["no_recipients"]
    assert crm.count(DecisionRow) == 1


def test_workers_that_reject_for_the_same_reason_at_once_write_one(
    database: Database, outbox: NoticeOutbox, joe: User
) -> None:
    stores = [PollStore(database, gives_notice=True) for _ in range(4)]
    batches = [decide(stores[0], too_large(uid, joe), rules=VOUCHED) for uid in range(1, 5)]
    together = Barrier(4)

    def work(store: PollStore, number: int) -> None:
        together.wait()
        commit(store, QUEUE, batches[number], NOW)

    stores[0].release(QUEUE, [])  # the mailbox's own row is there already
    threads = [Thread(target=work, args=(store, number)) for number, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(all_of(outbox)) == 1


def test_who_takes_a_notice_has_it_alone_until_it_is_long_silent(
    store: PollStore, outbox: NoticeOutbox, database: Database, joe: User
) -> None:
    file(store, too_large(1, joe))
    notice = outbox.take(NOW)
    other = NoticeOutbox(database)
    assert notice is not None
    assert other.take(NOW + timedelta(minutes=14)) is None
    assert other.take(NOW + timedelta(minutes=16)) == notice


def test_a_notice_put_back_waits_again_and_a_settled_one_never(
    store: PollStore, outbox: NoticeOutbox, crm: Rows, joe: User
) -> None:
    file(store, too_large(1, joe))
    notice = outbox.take(NOW)
    assert notice is not None
    outbox.put_back(notice)
    assert outbox.take(NOW) == notice
    outbox.settle(notice, NOW, "550 no such user")
    assert outbox.take(NOW + timedelta(days=1)) is None
    (row,) = crm.rows(NoticeRow)
    assert (row["settled_at"], row["refusal"]) == (NOW, "550 no such user")


def test_two_owners_of_one_mail_are_told_each_of_their_own_end(
    store: PollStore, outbox: NoticeOutbox, crm: Rows, joe: User
) -> None:
    ann = crm.user(joe.account_id, "ann@acme.example")
    filing = decide(store, too_large(1, joe), rules=VOUCHED)[0]
    (of_joe,) = filing.verdicts
    assert of_joe.owner is not None
    of_ann = replace(
        of_joe, owner=replace(of_joe.owner, id=ann.id, login=ann.login), outcome=Outcome.QUARANTINED, reason=None
    )
    commit(store, QUEUE, [replace(filing, verdicts=(of_joe, of_ann))], NOW)
    assert {(notice.login.text, notice.key.cause.value) for notice in all_of(outbox)} == {
        ("joe@acme.example", "attachments_too_large"),
        ("ann@acme.example", "quarantined"),
    }


def test_a_login_in_a_domain_that_is_refused_today_still_gets_its_notices(
    database: Database, store: PollStore, outbox: NoticeOutbox, joe: User
) -> None:
    file(store, to_nobody(1, joe))
    old = ("joe@ᛮ.example", "joe@xn--yxe.example")
    with database.begin() as connection:
        connection.execute(update(UserRow).values(login=old[0], login_key=old[1]))
    (notice,) = all_of(outbox)
    assert (notice.login.text, notice.login.key) == old
