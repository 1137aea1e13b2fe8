"""What `status` is built on."""

from datetime import timedelta

import pytest

from tests.harness.crm import NOW, QUEUE, Mail, Rows, commit, decide
from worker.domain.outcomes import Outcome, Reason
from worker.store.database import Database
from worker.store.health import Ends, MailboxHealth, Poll, ends_since, mailboxes, record_poll
from worker.store.poll_store import PollStore

LATER = NOW + timedelta(minutes=1)


def test_a_bad_poll_keeps_what_the_last_good_one_saw(database: Database) -> None:
    record_poll(database, Poll(QUEUE.name, NOW, "process 1", backlog=3, oldest=NOW - timedelta(hours=1)))
    record_poll(database, Poll(QUEUE.name, LATER, "process 2", error="imap: refused"))
    assert mailboxes(database) == [
        MailboxHealth(QUEUE.name, LATER, NOW, "imap: refused", 3, NOW - timedelta(hours=1), "process 2")
    ]


def test_a_good_poll_takes_the_last_error_away(database: Database) -> None:
    record_poll(database, Poll(QUEUE.name, NOW, "process 1", error="imap: refused"))
    record_poll(database, Poll(QUEUE.name, LATER, "process 1", backlog=0))
    assert mailboxes(database) == [MailboxHealth(QUEUE.name, LATER, LATER, None, 0, None, "process 1")]


def test_ends_are_counted_once_a_message_with_the_time_they_took(database: Database) -> None:
    crm = Rows(database)
    user = crm.user(crm.account(), "joe@acme.example")
    store = PollStore(database)
    good = [Mail(uid, user.token, user.login) for uid in range(1, 99)]
    stranger = Mail(99, user.token, "mallory@other.example")
    nobody = Mail(100, "unknown", user.login)
    for seconds, mails in ((2, good[:-1]), (30, good[-1:]), (60, [stranger, nobody])):
        commit(store, QUEUE, decide(store, *mails), NOW + timedelta(seconds=seconds))
    ends = ends_since(database, NOW)
    assert (ends.outcomes, ends.reasons) == (
        {Outcome.ASSOCIATED: 98, Outcome.REJECTED: 2},
        {Reason.SENDER_NOT_REGISTERED: 1, Reason.UNKNOWN_TOKEN: 1},
    )
    assert ends.median_seconds == pytest.approx(2, abs=0.01)
    assert ends.slowest_percent_seconds == pytest.approx(30, abs=0.01)


def test_ends_before_the_asked_time_or_of_another_mailbox_are_left_out(database: Database) -> None:
    crm = Rows(database)
    user = crm.user(crm.account(), "joe@acme.example")
    store = PollStore(database)
    commit(store, QUEUE, decide(store, Mail(1, user.token, user.login)), NOW)
    nothing = Ends({}, {}, None, None)
    assert ends_since(database, LATER) == nothing
    assert ends_since(database, NOW, "other@mx.example/INBOX") == nothing
    assert ends_since(database, NOW, QUEUE.name).outcomes == {Outcome.ASSOCIATED: 1}
