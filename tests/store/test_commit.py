"""What a commit writes, that it writes all or nothing, and that writers who race end in the same place."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import text

from tests.harness.crm import NOW, QUEUE, RULES, Mail, Rows, User, commit, decide, file
from worker.domain.authentication import AuthenticationResults, MethodResult
from worker.domain.errors import Conflict
from worker.domain.messages import Attachment
from worker.domain.outcomes import Code, Folder, Outcome, Reason, detail
from worker.domain.permissions import SearchPattern
from worker.domain.records import SOURCE
from worker.filing import Rules, quarantined
from worker.store.database import Database
from worker.store.originals import StoredOriginal, unpack
from worker.store.poll_store import PollStore
from worker.store.tables import (
    AssociationRow,
    AttemptRow,
    DecisionRow,
    EmailContentRow,
    EmailOwnerRow,
    EmailRow,
    RecordAddressRow,
    RecordRow,
    SenderRow,
    UnmatchedRow,
    VerdictRow,
)

SAME = "<same@mail.example>"
WRITTEN = (RecordRow, EmailRow, EmailContentRow, EmailOwnerRow, AssociationRow, UnmatchedRow, DecisionRow, VerdictRow)


@pytest.fixture
def joe(crm: Rows) -> User:
    return crm.user(crm.account(), "joe@acme.example")


def proving_rules() -> Rules:
    """Return rules by which the server vouches for acme.example (R13)."""
    passes = AuthenticationResults("mx.example", (MethodResult("dkim", "pass", {"header.d": "acme.example"}),))
    return replace(RULES, authserv_id="mx.example", read_results=lambda _value: passes)


def test_a_created_record_is_as_the_rules_say(store: PollStore, crm: Rows, joe: User) -> None:
    file(store, Mail(1, joe.token, joe.login, ["Jane Doe <Jane@Client.example>"]))
    (record,) = crm.rows(RecordRow)
    del record["id"]
    assert record == {
        "account_id": joe.account_id,
        "module": "contact",
        "last_name": "Jane@client.example",
        "first_name": "",
        "email": "Jane@client.example",
        "external_id": None,
        "owner_id": joe.id,
        "source": SOURCE,
        "made_for": "jane@client.example",
        "created_at": NOW,
        "created_by": None,
        "changed_at": None,
        "changed_by": None,
    }
    (address,) = crm.rows(RecordAddressRow)
    assert (address["position"], address["address_key"]) == (1, "jane@client.example")


def test_an_email_is_kept_with_its_original_and_its_fields(store: PollStore, crm: Rows, joe: User) -> None:
    raw = b"\x00\xff octets as they came\r\n" * 1000
    mail = Mail(7, joe.token, joe.login, body=raw, attachments=(Attachment("offer.pdf", "application/pdf", 12),))
    file(store, mail)
    (email,) = crm.rows(EmailRow)
    (content,) = crm.rows(EmailContentRow)
    assert unpack(StoredOriginal(content["original"], content["encoding"], content["digest"])) == raw
    assert content["email_id"] == email.pop("id")
    assert email == {
        "account_id": joe.account_id,
        "fingerprint": mail.content.fingerprint,
        "message_id": "<7@mail.example>",
        "thread_id": "<7@mail.example>",
        "subject": "Offer",
        "sender": "joe@acme.example",
        "recipients": ["jane@client.example"],
        "attachments": [{"name": "offer.pdf", "type": "application/pdf", "size": 12}],
        "snippet": "text",
        "sent_at": NOW,
        "arrived_at": NOW,
        "stored_at": NOW,
        "size": len(raw),
        "verified": False,
    }


def test_the_decision_tells_the_story_with_the_numbers_of_new_records(store: PollStore, crm: Rows, joe: User) -> None:
    file(store, Mail(3, joe.token, joe.login, ["jane@client.example", "joe@acme.example"]))
    (record,), (email,) = crm.rows(RecordRow), crm.rows(EmailRow)
    (decision,), (verdict,) = crm.rows(DecisionRow), crm.rows(VerdictRow)
    assert (decision["uid"], decision["uidvalidity"], decision["outcome"]) == (3, QUEUE.uidvalidity, "associated")
    assert {**verdict, "packed": json.loads(verdict["packed"])} == {
        "decision_id": decision["id"],
        "ordinal": 0,
        "account_id": joe.account_id,
        "user_id": joe.id,
        "outcome": "associated",
        "reason": None,
        "email_id": email["id"],
        "trace": {},
        "packed": {
            "route": {"header": "Delivered-To", "token": joe.token[:4] + "…"},
            "sender": {"address": "joe@acme.example", "check": {"code": "registered"}},
            "recipients": [
                {
                    "address": "jane@client.example",
                    "result": "created",
                    "why": {"code": "new_record", "searched": ["contact", "lead"], "module": "contact"},
                    "module": "contact",
                    "record": record["id"],
                },
                {
                    "address": "joe@acme.example",
                    "result": "skipped",
                    "why": {"code": "own_address"},
                },
            ],
        },
    }


def test_a_rejected_and_a_quarantined_message_leave_a_decision_and_nothing_else(
    store: PollStore, crm: Rows, joe: User
) -> None:
    stranger = Mail(1, joe.token, "mallory@other.example")
    bad = Mail(2, joe.token, joe.login)
    commit(store, QUEUE, [*decide(store, stranger), quarantined(bad.arrival, bad.content.head, "KeyError: x")], NOW)
    assert [(row["outcome"], row["reason"]) for row in crm.rows(VerdictRow)] == [
        ("rejected", Reason.SENDER_NOT_REGISTERED),
        ("quarantined", None),
    ]
    assert crm.rows(VerdictRow)[1]["trace"]["note"] == {"code": "error", "error": "KeyError: x"}
    assert crm.count(EmailRow) == crm.count(RecordRow) == 0
    assert store.known(QUEUE, [1, 2, 3]).decided == {1: Folder.REJECTED, 2: Folder.QUARANTINE}


def test_an_email_of_two_owners_is_stored_once_and_the_second_adds_what_is_missing(
    store: PollStore, crm: Rows, joe: User
) -> None:
    ann = crm.user(joe.account_id, "ann@acme.example", SearchPattern.LEADS_OR_NEW_LEAD)
    crm.sender(ann, joe.login, slot=2)
    file(store, Mail(1, joe.token, joe.login, message_id=SAME))
    filings = file(store, Mail(2, ann.token, joe.login, message_id=SAME))
    assert filings[0].deciding.outcome is Outcome.ASSOCIATED
    assert crm.count(EmailRow) == 1
    assert {row["user_id"] for row in crm.rows(EmailOwnerRow)} == {joe.id, ann.id}
    assert sorted(row["module"] for row in crm.rows(RecordRow)) == ["contact", "lead"]
    assert crm.count(AssociationRow) == 2


def test_the_same_email_twice_in_one_batch_is_stored_once(store: PollStore, crm: Rows, joe: User) -> None:
    filings = file(
        store, Mail(1, joe.token, joe.login, message_id=SAME), Mail(2, joe.token, joe.login, message_id=SAME)
    )
    assert [filing.deciding.outcome for filing in filings] == [Outcome.ASSOCIATED, Outcome.DUPLICATE]
    assert (crm.count(EmailRow), crm.count(DecisionRow), crm.count(AssociationRow)) == (1, 2, 1)
    assert len({row["email_id"] for row in crm.rows(VerdictRow)}) == 1


def test_a_recipient_whom_nothing_may_be_made_for_waits_as_unmatched(store: PollStore, crm: Rows) -> None:
    user = crm.user(crm.account(), "joe@acme.example", SearchPattern.CONTACTS_THEN_LEADS_ONLY)
    file(store, Mail(1, user.token, user.login))
    (row,) = crm.rows(UnmatchedRow)
    assert (row["address_key"], row["address"]) == ("jane@client.example", "jane@client.example")
    again = file(store, Mail(2, user.token, user.login, message_id="<1@mail.example>"))
    assert again[0].deciding.outcome is Outcome.DUPLICATE


def test_an_authenticated_mail_proves_its_sender_for_good(store: PollStore, crm: Rows, joe: User) -> None:
    crm.sender(joe, "joe.private@acme.example", slot=2, proven_at=None)
    mail = Mail(1, joe.token, "joe.private@acme.example")
    assert file(store, mail)[0].deciding.reason is Reason.SENDER_NOT_REGISTERED
    assert file(store, replace(mail, uid=2), rules=proving_rules())[0].deciding.outcome is Outcome.ASSOCIATED
    assert [row["proven_at"] for row in crm.rows(SenderRow)] == [NOW, NOW]
    assert file(store, replace(mail, uid=3))[0].deciding.outcome is Outcome.ASSOCIATED


def test_marks_are_taken_off_by_the_commit(store: PollStore, crm: Rows, joe: User) -> None:
    store.mark(QUEUE, [1, 2], alone=False)
    file(store, Mail(1, joe.token, joe.login))
    assert [row["uid"] for row in crm.rows(AttemptRow)] == [2]


def test_what_no_database_takes_is_left_out_of_texts(store: PollStore, crm: Rows, joe: User) -> None:
    nasty = "a\x00b\ud800c\\u0000"
    mail = Mail(1, joe.token, joe.login, more={"subject": nasty, "snippet": nasty, "thread_id": nasty})
    mail.attachments = (Attachment(nasty, "text/plain", 1),)
    (filing,) = decide(store, mail)
    verdict = replace(filing.verdicts[0], trace=replace(filing.verdicts[0].trace, note=detail(Code.ERROR, error=nasty)))
    hostile = replace(filing, message_id=nasty, sender=nasty, recipients=(nasty,), verdicts=(verdict,))
    commit(store, QUEUE, [hostile], NOW)
    (email,), (decision,), (stored,) = crm.rows(EmailRow), crm.rows(DecisionRow), crm.rows(VerdictRow)
    clean = "abc\\u0000"
    assert {email["subject"], email["snippet"], email["sender"], decision["message_id"]} == {clean}
    assert (email["recipients"], email["attachments"][0]["name"]) == ([clean], clean)
    assert json.loads(stored["packed"])["note"] == {"code": "error", "error": clean}


def test_an_endless_message_id_does_not_break_the_index(store: PollStore, crm: Rows, joe: User) -> None:
    (filing,) = decide(store, Mail(1, joe.token, joe.login))
    endless = "".join(chr(0x4E00 + place) for place in range(5000))
    commit(store, QUEUE, [replace(filing, message_id=endless)], NOW)
    assert endless.startswith(crm.rows(DecisionRow)[0]["message_id"])


@pytest.mark.parametrize("year", [1, 9999])
def test_odd_dates_and_sizes_are_kept_as_stated(store: PollStore, crm: Rows, joe: User, year: int) -> None:
    sent_at = datetime(year, 12, 31, 23, 59, tzinfo=UTC)
    (filing,) = decide(store, Mail(2**32 - 1, joe.token, joe.login, more={"sent_at": sent_at}))
    commit(store, QUEUE, [replace(filing, size=2**32 - 1)], NOW)
    assert crm.rows(EmailRow)[0]["sent_at"] == sent_at
    assert crm.rows(DecisionRow)[0]["size"] == 2**32 - 1


def test_a_commit_that_breaks_a_constraint_leaves_nothing_behind(store: PollStore, crm: Rows, joe: User) -> None:
    file(store, Mail(1, joe.token, joe.login, ["first@client.example"]))
    store.mark(QUEUE, [1, 2], alone=False)
    before = [crm.rows(table) for table in (*WRITTEN, AttemptRow)]
    filings = decide(store, Mail(2, joe.token, joe.login, ["second@client.example"]), Mail(1, joe.token, joe.login))
    with pytest.raises(Conflict):
        commit(store, QUEUE, filings, NOW)
    assert [crm.rows(table) for table in (*WRITTEN, AttemptRow)] == before
    assert store.known(QUEUE, [1, 2]).decided == {1: Folder.ASSOCIATED}


def test_a_decision_upon_an_old_view_is_a_conflict_and_a_new_view_resolves_it(
    store: PollStore, crm: Rows, joe: User
) -> None:
    stale = decide(store, Mail(1, joe.token, joe.login))
    file(store, Mail(2, joe.token, joe.login))
    with pytest.raises(Conflict):
        commit(store, QUEUE, stale, NOW)
    file(store, Mail(1, joe.token, joe.login))
    assert (crm.count(RecordRow), crm.count(EmailRow), crm.count(AssociationRow)) == (1, 2, 2)


def test_a_made_record_whose_address_was_edited_is_found_instead_of_colliding(
    store: PollStore, database: Database, crm: Rows, joe: User
) -> None:
    file(store, Mail(1, joe.token, joe.login))
    with database.begin() as connection:
        connection.execute(text("UPDATE record SET email = 'j@new.example'"))
        connection.execute(text("UPDATE record_address SET position = 3"))
    filings = file(store, Mail(2, joe.token, joe.login))
    assert filings[0].deciding.trace.recipients[0].result == "matched"
    assert (crm.count(RecordRow), crm.count(AssociationRow)) == (1, 2)


def test_an_owner_who_is_gone_before_the_commit_is_a_conflict(store: PollStore, database: Database, joe: User) -> None:
    filings = decide(store, Mail(1, joe.token, joe.login))
    with database.begin() as connection:
        for table in ("token", "sender", "dropbox_user"):
            connection.execute(text(f"DELETE FROM {table}"))
    with pytest.raises(Conflict):
        commit(store, QUEUE, filings, NOW)


def test_two_workers_and_eight_threads_on_one_new_address_make_one_record(
    url: str, open_database: Callable[[str], Database], crm: Rows, joe: User
) -> None:
    workers = [PollStore(open_database(url)) for _ in range(2)]
    together = Barrier(8)

    def work(place: int) -> None:
        mails = [
            Mail(
                100 * place + number,
                joe.token,
                joe.login,
                [f"c{(place + number) % 5}@client.example", "jane@client.example"],
            )
            for number in range(5)
        ]
        mails.append(Mail(100 * place + 50, joe.token, joe.login, message_id=SAME))
        together.wait()
        file(workers[place % 2], *mails)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert sorted(row["email"] for row in crm.rows(RecordRow)) == [
        *(f"c{number}@client.example" for number in range(5)),
        "jane@client.example",
    ]
    assert crm.count(EmailRow) == 8 * 5 + 1
    assert crm.count(DecisionRow) == 8 * 6
    assert crm.count(AssociationRow) == 8 * 5 * 2 + 1
    assert sum(row["created"] for row in crm.rows(AssociationRow)) == 6


def test_two_workers_on_the_same_messages_decide_each_once(
    url: str, open_database: Callable[[str], Database], crm: Rows, joe: User
) -> None:
    mails = [Mail(uid, joe.token, joe.login, [f"c{uid}@client.example"]) for uid in range(1, 21)]
    together = Barrier(2)

    def work(store: PollStore) -> bool:
        filings = decide(store, *mails)
        together.wait()
        try:
            commit(store, QUEUE, filings, NOW + timedelta(seconds=1))
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(2) as threads:
        won = list(threads.map(work, [PollStore(open_database(url)) for _ in range(2)]))
    assert sorted(won) == [False, True]
    assert [crm.count(table) for table in (RecordRow, EmailRow, AssociationRow, DecisionRow)] == [20] * 4


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_the_log_of_sqlite_does_not_grow_with_the_mail_that_is_filed(
    store: PollStore, database: Database, joe: User
) -> None:
    """The log has a limit, however fast the commits follow one another."""
    assert database.file is not None
    log = database.file.with_name(database.file.name + "-wal")
    for uid in range(1, 151):
        file(store, Mail(uid, joe.token, joe.login, body=bytes([uid]) * 1_000_000))
    assert log.stat().st_size < 80_000_000
