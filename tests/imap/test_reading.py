"""Reading the queue of a real server: what is there, byte for byte, in few round trips, and nothing changed by it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tests.imap.opening import access_to, plain
from tests.servers.cut import Cut, Towards
from tests.servers.dovecot import Dovecot
from worker.domain.errors import Refused, Unavailable
from worker.domain.outcomes import Folder
from worker.imap import ImapAccess, ImapMailbox

HEAD = (
    b"Return-Path: <jane@example.com>\r\n"
    b"Delivered-To: drop+first@drop.example\r\n"
    b"Received: from a.example\r\n\tby mx.drop.example with SMTP\r\n\tfor <drop+x@drop.example>;"
    b" Mon, 23 Nov 2026 09:00:00 +0000\r\n"
    b"Received: from b.example by a.example; Mon, 23 Nov 2026 08:00:00 +0000\r\n"
    b"X-Original-To: drop+forged@drop.example\r\n"
    b"delivered-to: drop+second@drop.example\r\n"
    b"From : Jane <jane@example.com>\r\n"
    b"FROM: other@example.com\r\n"
    b"To: a@example.com,\r\n b@example.com\r\n"
    b"Subject: Our\r\n offer\r\n"
)
MAIL = HEAD + b"X-Spam: not asked for\r\n\r\nbody \xff\x01\r\n.\r\n"


def test_open_tells_where_we_are(dovecot: Dovecot, mailbox_user: str, access: ImapAccess, mailbox: ImapMailbox) -> None:
    dovecot.deliver_many(mailbox_user, [MAIL, MAIL])
    queue = mailbox.open()
    assert queue.name == f"{mailbox_user}@127.0.0.1/INBOX"
    assert queue.messages == 2
    assert queue == mailbox.open()


def test_a_head_holds_every_deciding_field_and_the_subject_in_its_order_as_it_was_written(
    dovecot: Dovecot, mailbox_user: str, mailbox: ImapMailbox
) -> None:
    dovecot.deliver(mailbox_user, MAIL, arrived=1_700_000_000)
    mailbox.open()
    (arrival,) = mailbox.heads([1])
    assert arrival.head == HEAD + b"\r\n"
    assert arrival.head_is_complete
    assert arrival.size == len(MAIL)
    assert arrival.arrived_at == datetime.fromtimestamp(1_700_000_000, UTC)
    assert arrival.arrived_at.tzinfo is UTC


def test_an_overlong_head_is_cut_and_says_so(dovecot: Dovecot, mailbox_user: str, mailbox: ImapMailbox) -> None:
    long = b"".join(b"To: somebody-%06d@example.com\r\n" % number for number in range(5000))
    dovecot.deliver(mailbox_user, long + b"\r\nbody\r\n")
    mailbox.open()
    (arrival,) = mailbox.heads([1])
    assert len(arrival.head) == 65536
    assert not arrival.head_is_complete


def test_a_subject_without_end_costs_no_more_than_a_head_may(dovecot: Dovecot, mailbox_user: str, cut: Cut) -> None:
    """Strangers write it, and nothing is decided by it."""
    dovecot.deliver(mailbox_user, HEAD + b"Subject: " + 20_000 * (60 * b"x" + b"\r\n ") + b"end\r\n\r\nbody\r\n")
    mailbox = ImapMailbox(plain(cut.port, mailbox_user), ("Subject",))
    mailbox.open()
    before = cut.passed(Towards.CLIENT)
    (arrival,) = mailbox.heads([1])
    assert not arrival.head_is_complete
    assert arrival.head.startswith(b"Return-Path: <jane@example.com>\r\n")
    assert cut.passed(Towards.CLIENT) - before < 70_000
    mailbox.close()


def test_bodies_come_byte_for_byte(dovecot: Dovecot, mailbox_user: str, mailbox: ImapMailbox) -> None:
    dovecot.deliver_many(mailbox_user, [MAIL, b"\r\n", b'Subject: {5}\r\n\r\n(\\"NIL)\r\n'])
    mailbox.open()
    assert list(mailbox.bodies([1, 2, 3]).values()) == dovecot.folder(mailbox_user)


def test_messages_that_are_gone_are_absent(dovecot: Dovecot, mailbox_user: str, mailbox: ImapMailbox) -> None:
    dovecot.deliver_many(mailbox_user, [MAIL, MAIL])
    mailbox.open()
    with dovecot.connect(mailbox_user) as person:
        person.select_folder("INBOX")
        person.delete_messages([1])
        person.expunge()
    assert list(mailbox.bodies([1, 2, 99])) == [2]
    assert [arrival.uid for arrival in mailbox.heads([1, 2, 99])] == [2]
    assert list(mailbox.attachment_bytes([1, 2, 99])) == [2]


def test_reading_changes_no_flag_and_asks_for_none(dovecot: Dovecot, mailbox_user: str, mailbox: ImapMailbox) -> None:
    dovecot.deliver_many(mailbox_user, [MAIL, MAIL])
    with dovecot.connect(mailbox_user) as person:
        person.select_folder("INBOX")
        person.add_flags([2], [b"\\Seen", b"\\Deleted"])
        mailbox.open()
        assert mailbox.uids(0, 10) == [1, 2]
        assert len(mailbox.bodies([1, 2])) == len(mailbox.heads([1, 2])) == 2
        person.noop()
        assert b"\\Seen" not in person.get_flags([1])[1]
        assert b"\\Deleted" in person.get_flags([2])[2]


def test_flags_changed_by_a_person_meanwhile_disturb_nothing(
    dovecot: Dovecot, mailbox_user: str, mailbox: ImapMailbox
) -> None:
    dovecot.deliver_many(mailbox_user, [MAIL] * 5)
    mailbox.open()
    with dovecot.connect(mailbox_user) as person:
        person.select_folder("INBOX")
        person.add_flags([1, 2, 3, 4, 5], [b"\\Flagged"])
    assert [arrival.uid for arrival in mailbox.heads([2, 4])] == [2, 4]
    assert mailbox.bodies([5]) == {5: MAIL}


def test_uids_are_given_in_order_above_a_bound_and_no_more_than_asked(
    dovecot: Dovecot, mailbox_user: str, mailbox: ImapMailbox
) -> None:
    dovecot.deliver_many(mailbox_user, [MAIL] * 30)
    mailbox.open()
    assert mailbox.uids(0, 7) == [1, 2, 3, 4, 5, 6, 7]
    assert mailbox.uids(7, 7) == [8, 9, 10, 11, 12, 13, 14]
    assert mailbox.uids(28, 7) == [29, 30]
    assert mailbox.uids(30, 7) == []
    assert mailbox.uids(4_000_000_000, 7) == []


def test_messages_moved_away_between_two_windows_hide_none(
    dovecot: Dovecot, mailbox_user: str, mailbox: ImapMailbox
) -> None:
    dovecot.deliver_many(mailbox_user, [MAIL] * 40)
    mailbox.open()
    assert mailbox.uids(0, 10) == list(range(1, 11))
    with dovecot.connect(mailbox_user) as person:
        person.create_folder("Elsewhere")
        person.select_folder("INBOX")
        person.move("1:10", "Elsewhere")
    assert mailbox.uids(10, 30) == list(range(11, 41))
    assert mailbox.uids(10, 30) == list(range(11, 41))


def test_a_few_messages_with_high_uids_are_found_in_one_round_trip(
    dovecot: Dovecot, mailbox_user: str, cut: Cut, opened: Callable[[ImapAccess], ImapMailbox]
) -> None:
    dovecot.deliver_many(mailbox_user, [MAIL] * 3)
    with dovecot.connect(mailbox_user) as person:
        person.select_folder("INBOX")
    uidlist = next((dovecot.mail / mailbox_user / "Maildir").glob("dovecot-uidlist"))
    first, *lines = uidlist.read_text().splitlines()
    lines = [f"{5_000_000 + int(line.split(' ', 1)[0])} {line.split(' ', 1)[1]}" for line in lines]
    uidlist.write_text("\n".join([first.replace("N4", "N5000004"), *lines]) + "\n")
    for index in (dovecot.mail / mailbox_user / "Maildir").glob("dovecot.index*"):
        index.unlink()
    mailbox = opened(plain(cut.port, mailbox_user))
    before = cut.round_trips
    assert mailbox.uids(0, 500) == [5_000_001, 5_000_002, 5_000_003]
    assert cut.round_trips - before == 1
    assert len(mailbox.bodies([5_000_001, 5_000_003])) == 2


def test_a_poll_that_finds_nothing_is_one_round_trip(
    dovecot: Dovecot, mailbox_user: str, cut: Cut, opened: Callable[[ImapAccess], ImapMailbox]
) -> None:
    mailbox = opened(plain(cut.port, mailbox_user))
    before = cut.round_trips
    assert mailbox.open().messages == 0
    assert mailbox.uids(0, 500) == []
    assert cut.round_trips - before == 1


def test_heads_and_bodies_are_one_fetch_each_whatever_their_number(
    dovecot: Dovecot, mailbox_user: str, cut: Cut, opened: Callable[[ImapAccess], ImapMailbox]
) -> None:
    dovecot.deliver_many(mailbox_user, [MAIL] * 300)
    mailbox = opened(plain(cut.port, mailbox_user))
    uids = mailbox.uids(0, 1000)
    before = cut.connections
    assert len(mailbox.heads(uids)) == len(mailbox.bodies(uids)) == 300
    assert cut.connections == before == 1


def test_a_recreated_folder_is_noticed_before_other_messages_are_taken_for_ours(
    dovecot: Dovecot, mailbox_user: str, cut: Cut, opened: Callable[[ImapAccess], ImapMailbox]
) -> None:
    with dovecot.connect(mailbox_user) as person:
        person.create_folder("Drop")
    dovecot.deliver(mailbox_user, MAIL, "Drop")
    mailbox = opened(plain(cut.port, mailbox_user, folder="Drop"))
    queue = mailbox.open()
    with dovecot.connect(mailbox_user) as person:
        while person.folder_status("Drop", ["UIDVALIDITY"])[b"UIDVALIDITY"] == queue.uidvalidity:
            person.delete_folder("Drop")
            time.sleep(0.2)  # Dovecot takes the second as the value
            person.create_folder("Drop")
    dovecot.deliver(mailbox_user, b"Subject: another\r\n\r\n", "Drop")
    cut.cut()
    with pytest.raises(Unavailable):
        mailbox.bodies([1])
    with pytest.raises(Unavailable, match="created again"):
        mailbox.bodies([1])
    with pytest.raises(Unavailable, match="created again"):
        mailbox.move([1], Folder.REJECTED)
    assert mailbox.open().uidvalidity != queue.uidvalidity
    assert mailbox.bodies([1]) == {1: b"Subject: another\r\n\r\n"}


def test_a_queue_that_does_not_exist_is_told_in_one_line(dovecot: Dovecot, mailbox_user: str) -> None:
    mailbox = ImapMailbox(access_to(dovecot, mailbox_user, folder="Nowhere"))
    with pytest.raises(Unavailable) as told:
        mailbox.open()
    assert str(told.value).startswith(f"IMAP server 127.0.0.1:{dovecot.imap}: cannot open the folder Nowhere: ")
    assert "\n" not in str(told.value)
    mailbox.close()


def test_no_field_name_can_smuggle_a_command() -> None:
    with pytest.raises(Refused, match="no name of a header field"):
        ImapMailbox(plain(1), ("Delivered-To)] BODY[]",))
