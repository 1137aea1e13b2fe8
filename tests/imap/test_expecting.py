"""Heads and bodies that are asked for before they are needed: the answer is the same, whatever comes between."""

import time

import pytest

from tests.imap.conftest import Opened
from tests.imap.opening import plain
from tests.imap.scripted import LOST, Answers, Scripted
from tests.servers.cut import Cut
from tests.servers.dovecot import Dovecot
from worker.domain.errors import Unavailable
from worker.domain.outcomes import Folder
from worker.imap import ImapMailbox

MAILS = [b"From: jane@example.com\r\nTo: %d@example.com\r\n\r\nbody\r\n" % number for number in range(6)]


def told(uid: int) -> bytes:
    return b"* 1 FETCH (UID %d BODY[] {9}\r\nTo: y\r\n\r\n)\r\n" % uid


BODY = b"To: y\r\n\r\n"


@pytest.fixture
def uids(dovecot: Dovecot, mailbox_user: str, mailbox: ImapMailbox) -> list[int]:
    dovecot.deliver_many(mailbox_user, MAILS)
    mailbox.open()
    return mailbox.uids(0, 100)


def test_expected_heads_are_those_that_are_asked_for_at_once(mailbox: ImapMailbox, uids: list[int]) -> None:
    at_once = mailbox.heads(uids)
    mailbox.expect_heads(uids)
    assert mailbox.heads(uids) == at_once


def test_other_heads_than_the_expected_ones_are_their_own(mailbox: ImapMailbox, uids: list[int]) -> None:
    mailbox.expect_heads(uids[:3])
    assert [arrival.uid for arrival in mailbox.heads(uids[2:])] == uids[2:]
    assert [arrival.uid for arrival in mailbox.heads(uids[:3])] == uids[:3]


def test_whatever_is_done_between_is_done_and_the_heads_come_all_the_same(
    dovecot: Dovecot, mailbox_user: str, mailbox: ImapMailbox, uids: list[int]
) -> None:
    mailbox.expect_heads(uids[1:])
    assert len(mailbox.bodies(uids)) == 6
    assert [arrival.uid for arrival in mailbox.heads(uids[1:])] == uids[1:]
    mailbox.expect_heads(uids[1:])
    mailbox.move(uids[:1], Folder.ASSOCIATED)
    assert dovecot.folder(mailbox_user, "Associated") == MAILS[:1]
    assert [arrival.uid for arrival in mailbox.heads(uids[1:])] == uids[1:]
    mailbox.expect_heads(uids[1:])
    assert mailbox.open().messages == 5
    assert [arrival.uid for arrival in mailbox.heads(uids[1:])] == uids[1:]


def test_bodies_and_the_next_heads_are_expected_together(
    dovecot: Dovecot, cut: Cut, opened: Opened, mailbox_user: str
) -> None:
    dovecot.deliver_many(mailbox_user, MAILS)
    mailbox = opened(plain(cut.port, mailbox_user))
    uids = mailbox.uids(0, 100)
    trips = cut.round_trips
    mailbox.expect_bodies(uids[:3])
    mailbox.expect_heads(uids[3:])
    assert list(mailbox.bodies(uids[:3]).values()) == MAILS[:3]
    assert [arrival.uid for arrival in mailbox.heads(uids[3:])] == uids[3:]
    assert cut.round_trips - trips <= 2


def test_what_is_read_in_another_order_than_expected_is_asked_for_again(mailbox: ImapMailbox, uids: list[int]) -> None:
    mailbox.expect_bodies(uids[:3])
    mailbox.expect_heads(uids[3:])
    assert [arrival.uid for arrival in mailbox.heads(uids[3:])] == uids[3:]
    assert list(mailbox.bodies(uids[:3]).values()) == MAILS[:3]
    mailbox.expect_heads(uids)
    assert list(mailbox.bodies(uids).values()) == MAILS


def test_messages_that_are_moved_away_meanwhile_are_absent(
    dovecot: Dovecot, mailbox_user: str, mailbox: ImapMailbox, uids: list[int]
) -> None:
    with dovecot.connect(mailbox_user) as person:
        person.select_folder("INBOX")
        person.delete_messages(uids[:2])
        person.expunge()
    mailbox.expect_bodies(uids)
    mailbox.expect_heads(uids)
    assert list(mailbox.bodies(uids)) == uids[2:]
    assert [arrival.uid for arrival in mailbox.heads(uids)] == uids[2:]


def test_a_connection_that_is_lost_between_is_replaced(
    dovecot: Dovecot, mailbox_user: str, cut: Cut, opened: Opened
) -> None:
    dovecot.deliver_many(mailbox_user, MAILS)
    mailbox = opened(plain(cut.port, mailbox_user))
    uids = mailbox.uids(0, 100)
    mailbox.expect_bodies(uids)
    mailbox.expect_heads(uids)
    cut.cut()
    assert list(mailbox.bodies(uids).values()) == MAILS
    assert [arrival.uid for arrival in mailbox.heads(uids)] == uids


@pytest.mark.parametrize("first", [b"TAG NO not now\r\n", b"TAG BAD what\r\n", b"* 1 FETCH (((\r\nTAG OK\r\n", LOST])
def test_heads_that_the_server_does_not_give_ahead_are_asked_for_again(opened: Opened, first: bytes) -> None:
    answers = iter([first])
    given = b"* 1 FETCH (UID 5 RFC822.SIZE 9 BODY[HEADER.FIELDS (TO)] {9}\r\nTo: x\r\n\r\n)\r\nTAG OK done\r\n"
    with Scripted({"UID FETCH": lambda _command: next(answers, given)}) as server:
        mailbox = opened(plain(server.port))
        mailbox.expect_heads([5])
        assert [arrival.uid for arrival in mailbox.heads([5])] == [5]


def test_an_answer_that_comes_within_another_one_is_kept_for_its_turn(opened: Opened) -> None:
    """RFC 9051 §5.5 lets a server work on a command before it has answered the one before; Dovecot does."""
    head = b"* %d FETCH (UID %d RFC822.SIZE 9 BODY[HEADER.FIELDS (TO)] {9}\r\nTo: x\r\n\r\n)\r\n"
    heads = [head % (uid, uid) for uid in (6, 7)]
    answers = iter([heads[0] + told(5) + b"TAG OK done\r\n", heads[1] + b"TAG OK done\r\n"])
    with Scripted({"UID FETCH": lambda _command: next(answers, b"TAG OK done\r\n")}) as server:
        mailbox = opened(plain(server.port))
        mailbox.expect_bodies([5])
        mailbox.expect_heads([6, 7])
        assert mailbox.bodies([5]) == {5: BODY}
        assert [arrival.uid for arrival in mailbox.heads([6, 7])] == [6, 7]
        mailbox.expect_heads([6])
        mailbox.heads([6])
        fetches = [command for command in server.commands if command.startswith("UID FETCH")]
        assert len(fetches) == 4, "nothing is kept for another turn than its own"


def test_what_is_expected_of_a_connection_that_is_gone_is_no_error(
    dovecot: Dovecot, mailbox_user: str, cut: Cut, opened: Opened
) -> None:
    dovecot.deliver_many(mailbox_user, MAILS)
    mailbox = opened(plain(cut.port, mailbox_user))
    cut.cut()
    mailbox.expect_heads([1, 2])
    assert [arrival.uid for arrival in mailbox.heads([1, 2])] == [1, 2]


def test_the_server_is_at_work_before_anybody_waits(
    dovecot: Dovecot, mailbox_user: str, cut: Cut, opened: Opened
) -> None:
    dovecot.deliver_many(mailbox_user, MAILS)
    mailbox = opened(plain(cut.port, mailbox_user))
    before = cut.passed()
    mailbox.expect_heads([1, 2, 3])
    deadline = time.monotonic() + 10
    while cut.passed() < before + 3 * 80 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert cut.passed() >= before + 3 * 80


@pytest.mark.parametrize(
    "first",
    [b"TAG NO no\r\n", b"TAG BAD what\r\n", b"* BYE bye\r\n", b"nonsense\r\n", b"* OK and no word more\r\n", LOST],
)
def test_a_failure_of_what_is_expected_is_no_failure_of_another_command(opened: Opened, first: bytes) -> None:
    """A message at which the server fails is found when it is its turn; nothing else is held up by it."""
    answers = iter([first])
    given: Answers = {
        "UID FETCH": lambda _command: next(answers, told(5) + b"TAG OK done\r\n"),
        "UID MOVE": b"TAG OK moved\r\n",
    }
    with Scripted(given) as server:
        mailbox = opened(plain(server.port, timeout_seconds=0.2))
        mailbox.expect_heads([6])
        mailbox.move([4], Folder.ASSOCIATED)
        assert server.commands[-1] == 'UID MOVE 4 "Associated"'
        assert mailbox.bodies([5]) == {5: BODY}


@pytest.mark.parametrize("ended", [b"TAG OK done\r\n", b"TAG NO one of them is damaged\r\n"])
def test_only_what_is_missing_is_asked_for_again(opened: Opened, ended: bytes) -> None:
    answers = iter([told(4) + told(6) + ended, b"TAG OK done\r\n"])
    with Scripted({"UID FETCH": lambda _command: next(answers)}) as server:
        mailbox = opened(plain(server.port))
        mailbox.expect_bodies([4, 5, 6])
        assert mailbox.bodies([4, 5, 6]) == {4: BODY, 6: BODY}
        assert server.commands[-2:] == ["UID FETCH 4:6 (UID BODY.PEEK[])", "UID FETCH 5 (UID BODY.PEEK[])"]


@pytest.mark.parametrize("first", [b"TAG OK nothing\r\n", b"TAG BAD one at a time\r\n", LOST])
def test_a_server_that_gives_nothing_ahead_is_asked_at_need_until_the_queue_is_opened_again(
    opened: Opened, first: bytes
) -> None:
    answers = iter([first])
    with Scripted({"UID FETCH": lambda _command: next(answers, told(5) + b"TAG OK done\r\n")}) as server:
        mailbox = opened(plain(server.port))
        mailbox.expect_bodies([5])
        assert mailbox.bodies([5]) == {5: BODY}
        mailbox.expect_heads([6])
        assert mailbox.bodies([5]) == {5: BODY}
        mailbox.open()
        mailbox.expect_heads([6])
        mailbox.open()
        used = [command.partition(" (")[0] for command in server.commands]
    assert used[-5:] == ["UID FETCH 5", "UID FETCH 5", 'SELECT "INBOX"', "UID FETCH 6", 'SELECT "INBOX"']


def test_no_uid_is_used_in_a_queue_that_was_created_again(opened: Opened) -> None:
    validities = iter([7, 8, 8])
    selected = {"SELECT": lambda _command: b"* 3 EXISTS\r\n* OK [UIDVALIDITY %d]\r\nTAG OK done\r\n" % next(validities)}
    with Scripted({**selected, "UID FETCH": b"TAG OK done\r\n", "UID MOVE": b"TAG OK done\r\n"}) as server:
        mailbox = opened(plain(server.port))
        mailbox.expect_bodies([5])
        with pytest.raises(Unavailable, match="created again"):
            mailbox.reopen()
        with pytest.raises(Unavailable, match="created again"):
            mailbox.move([5], Folder.ASSOCIATED)
        mailbox.expect_bodies([5])
        with pytest.raises(Unavailable, match="created again"):
            mailbox.bodies([5])
        assert [command for command in server.commands if command.startswith("UID")] == [
            "UID FETCH 5 (UID BODY.PEEK[])"
        ]
        assert mailbox.open().uidvalidity == 8
