"""R13: how many records one owner's mail makes in a day, also where two workers file it at once."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.harness.crm import NOW, QUEUE, RULES, Mail, Rows, User, file, judged
from tests.notices.test_certainty import vouching
from tests.store.beside import Beside
from worker.domain.outcomes import Code, Outcome
from worker.domain.verdicts import Filing, Limit, RecipientResult
from worker.filing import file_batch, wanted
from worker.store.database import Database
from worker.store.poll_store import PollStore
from worker.store.tables import EmailRow, RecordQuotaRow, RecordRow, UnmatchedRow
from worker.store.traces import NoticeOutbox

THREE = replace(RULES, max_new_records_per_day=3)


@pytest.fixture
def joe(crm: Rows) -> User:
    return crm.user(crm.account(), "joe@acme.example")


def mail(uid: int, whose: User, *people: str) -> Mail:
    return Mail(uid, whose.token, whose.login, [f"{name}@client.example" for name in people])


def file_at(store: PollStore, moment: datetime, *mails: Mail) -> None:
    candidates = judged(store, *mails, rules=THREE)
    store.file(QUEUE, wanted(candidates), lambda views: file_batch(candidates, THREE, views), moment)


def results(filing: Filing) -> list[RecipientResult]:
    return [found.result for found in filing.deciding.trace.recipients]


def test_beyond_the_limit_mail_is_filed_and_its_new_recipients_wait(store: PollStore, crm: Rows, joe: User) -> None:
    first, second = file(store, mail(1, joe, "a", "b"), mail(2, joe, "b", "c", "d"), rules=THREE)
    assert results(first) == [RecipientResult.CREATED, RecipientResult.CREATED]
    assert results(second) == [RecipientResult.MATCHED, RecipientResult.CREATED, RecipientResult.UNMATCHED]
    (third,) = file(store, mail(3, joe, "e"), rules=THREE)
    assert (third.deciding.outcome, results(third)) == (Outcome.ASSOCIATED, [RecipientResult.UNMATCHED])
    why = third.deciding.trace.recipients[0].why
    assert (why.code, why.values) == (Code.NEW_RECORDS_LIMIT, {"limit": 3})
    assert (crm.count(RecordRow), crm.count(EmailRow)) == (3, 3)
    assert {row["address"] for row in crm.rows(UnmatchedRow)} == {"d@client.example", "e@client.example"}


def test_who_exists_is_found_whatever_was_made(store: PollStore, crm: Rows, joe: User) -> None:
    file(store, mail(1, joe, "a", "b", "c"), rules=THREE)
    (filing,) = file(store, mail(2, joe, "a", "b", "c"), rules=THREE)
    assert set(results(filing)) == {RecipientResult.MATCHED}


def test_each_owner_and_each_day_counts_for_itself(store: PollStore, crm: Rows, joe: User) -> None:
    ann = crm.user(joe.account_id, "ann@acme.example")
    file_at(store, NOW, mail(1, joe, "a", "b", "c", "d"), mail(2, ann, "e"))
    assert crm.count(RecordRow) == 4
    file_at(store, NOW + timedelta(days=1), mail(3, joe, "d", "f", "g", "h"))
    assert crm.count(RecordRow) == 7
    counts = {row["user_id"]: row["made"] for row in crm.rows(RecordQuotaRow)}
    assert counts == {joe.id: 3, ann.id: 1}


def test_two_workers_at_once_make_no_more_than_one(
    url: str, open_database: Callable[[str], Database], crm: Rows, joe: User
) -> None:
    one, other = (PollStore(open_database(url)) for _ in range(2))
    with Beside() as beside:
        file(
            one,
            mail(1, joe, "a", "b"),
            rules=THREE,
            meanwhile=lambda: beside.start_and_wait_in_vain(file, other, mail(2, joe, "c", "d"), rules=THREE),
        )
    assert crm.count(RecordRow) == 3
    assert [row["made"] for row in crm.rows(RecordQuotaRow)] == [3]
    assert [row["address"] for row in crm.rows(UnmatchedRow)] == ["d@client.example"]


def test_the_owner_is_told_once_a_day_where_the_mail_is_certainly_theirs(
    database: Database, crm: Rows, joe: User
) -> None:
    store, outbox = PollStore(database, gives_notice=True), NoticeOutbox(database)
    certain = replace(vouching("acme.example"), max_new_records_per_day=1)
    for uid, name in enumerate("abc", 1):
        file(store, mail(uid, joe, name), rules=certain)
    notices = [*iter(lambda: outbox.take(NOW), None)]
    assert [(notice.key.cause, notice.recipients) for notice in notices] == [
        (Limit.NEW_RECORDS, ("b@client.example",)),
    ]
    file(store, mail(9, joe, "z"), rules=replace(RULES, max_new_records_per_day=1))
    assert outbox.take(NOW) is None
