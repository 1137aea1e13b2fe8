"""Moving what is done: on servers with and without MOVE and UIDPLUS, and never at the cost of what others flagged."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from tests.imap.opening import access_to, plain
from tests.imap.scripted import Answers, Scripted
from tests.servers.cut import Cut
from tests.servers.dovecot import Dovecot, DovecotSettings
from worker.domain.errors import Refused, Unavailable
from worker.domain.outcomes import Folder
from worker.imap import ImapAccess, ImapMailbox

Started = Callable[[DovecotSettings], Dovecot]
Opened = Callable[[ImapAccess], ImapMailbox]
WITHOUT_MOVE = DovecotSettings(without=frozenset({"MOVE"}))
WITHOUT_BOTH = DovecotSettings(without=frozenset({"MOVE", "UIDPLUS"}))
COURIER_LIKE = DovecotSettings(without=frozenset({"MOVE", "UIDPLUS"}), prefix="INBOX.")
WAYS = [DovecotSettings(), WITHOUT_MOVE, WITHOUT_BOTH, COURIER_LIKE]
NAMES = ["MOVE", "UIDPLUS", "neither", "neither, INBOX. prefix"]


def mails(count: int) -> list[bytes]:
    return [b"Subject: %d\r\n\r\nbody\r\n" % number for number in range(count)]


def name(server: Dovecot, folder: Folder) -> str:
    return server.settings.prefix + folder


@pytest.mark.parametrize("settings", WAYS, ids=NAMES)
def test_messages_end_in_a_folder_that_is_made_when_absent(
    dovecot_with: Started, opened: Opened, mailbox_user: str, settings: DovecotSettings
) -> None:
    server = dovecot_with(settings)
    first, second, third = mails(3)
    server.deliver_many(mailbox_user, [first, second, third])
    mailbox = opened(access_to(server, mailbox_user))
    mailbox.move([1, 3, 99], Folder.ASSOCIATED)
    assert server.folder(mailbox_user) == [second]
    assert server.folder(mailbox_user, name(server, Folder.ASSOCIATED)) == [first, third]
    with server.connect(mailbox_user) as person:
        assert name(server, Folder.ASSOCIATED) in [found for _, _, found in person.list_sub_folders()]


@pytest.mark.parametrize(
    ("settings", "folder"),
    [(DovecotSettings(), "Rejected"), (COURIER_LIKE, "INBOX.Rejected"), (COURIER_LIKE, "Rejected")],
)
def test_a_folder_for_done_mail_is_never_the_queue(
    dovecot_with: Started, opened: Opened, mailbox_user: str, settings: DovecotSettings, folder: str
) -> None:
    server = dovecot_with(settings)
    with pytest.raises(Refused, match="Rejected is where done mail is moved to"):
        opened(replace(access_to(server, mailbox_user), folder=folder))


@pytest.mark.parametrize("settings", WAYS, ids=NAMES)
def test_a_move_of_what_was_moved_does_nothing(
    dovecot_with: Started, opened: Opened, mailbox_user: str, settings: DovecotSettings
) -> None:
    server = dovecot_with(settings)
    server.deliver_many(mailbox_user, mails(2))
    mailbox = opened(access_to(server, mailbox_user))
    for _ in range(3):
        mailbox.move([1, 2], Folder.REJECTED)
        mailbox.open()
    assert len(server.folder(mailbox_user, name(server, Folder.REJECTED))) == 2


@pytest.mark.parametrize("settings", WAYS, ids=NAMES)
def test_what_others_flagged_is_never_expunged(
    dovecot_with: Started, opened: Opened, mailbox_user: str, settings: DovecotSettings
) -> None:
    server = dovecot_with(settings)
    _, theirs, _ = messages = mails(3)
    server.deliver_many(mailbox_user, messages)
    with server.connect(mailbox_user) as person:
        person.select_folder("INBOX")
        person.add_flags([2], [b"\\Deleted"])
    mailbox = opened(access_to(server, mailbox_user))
    mailbox.move([1, 3], Folder.ASSOCIATED)
    assert theirs in server.folder(mailbox_user)
    assert len(server.folder(mailbox_user, name(server, Folder.ASSOCIATED))) == 2


def test_what_had_to_stay_flagged_is_not_copied_again_by_another_process_and_goes_when_it_may(
    dovecot_with: Started, opened: Opened, mailbox_user: str
) -> None:
    server = dovecot_with(WITHOUT_BOTH)
    ours, theirs = messages = mails(2)
    server.deliver_many(mailbox_user, messages)
    with server.connect(mailbox_user) as person:
        person.select_folder("INBOX")
        person.add_flags([2], [b"\\Deleted"])
        opened(access_to(server, mailbox_user)).move([1], Folder.ASSOCIATED)
        assert sorted(server.folder(mailbox_user)) == [ours, theirs]
        opened(access_to(server, mailbox_user)).move([1], Folder.ASSOCIATED)
        assert server.folder(mailbox_user, "Associated") == [ours]
        person.remove_flags([2], [b"\\Deleted"])
    opened(access_to(server, mailbox_user)).move([1], Folder.ASSOCIATED)
    assert server.folder(mailbox_user) == [theirs]
    assert server.folder(mailbox_user, "Associated") == [ours]


@pytest.mark.parametrize("settings", [WITHOUT_MOVE, WITHOUT_BOTH], ids=["UIDPLUS", "neither"])
def test_a_message_that_a_person_flagged_as_deleted_still_reaches_its_folder(
    dovecot_with: Started, opened: Opened, mailbox_user: str, settings: DovecotSettings
) -> None:
    server = dovecot_with(settings)
    server.deliver_many(mailbox_user, mails(1))
    with server.connect(mailbox_user) as person:
        person.select_folder("INBOX")
        person.add_flags([1], [b"\\Deleted"])
    opened(access_to(server, mailbox_user)).move([1], Folder.REJECTED)
    assert server.folder(mailbox_user) == []
    assert server.folder(mailbox_user, "Rejected") == mails(1)


def test_a_thousand_scattered_messages_are_moved_in_a_few_commands(
    dovecot: Dovecot, opened: Opened, mailbox_user: str
) -> None:
    dovecot.deliver_many(mailbox_user, mails(1000))
    mailbox = opened(access_to(dovecot, mailbox_user))
    mailbox.move(range(1, 1001, 2), Folder.ASSOCIATED)
    assert len(dovecot.folder(mailbox_user)) == len(dovecot.folder(mailbox_user, "Associated")) == 500


def test_a_folder_deleted_meanwhile_is_made_again(dovecot: Dovecot, opened: Opened, mailbox_user: str) -> None:
    dovecot.deliver_many(mailbox_user, mails(2))
    mailbox = opened(access_to(dovecot, mailbox_user))
    mailbox.move([1], Folder.REJECTED)
    with dovecot.connect(mailbox_user) as person:
        person.delete_folder("Rejected")
    mailbox.move([2], Folder.REJECTED)
    assert dovecot.folder(mailbox_user, "Rejected") == mails(2)[1:]


def test_moves_and_fetches_share_one_connection_that_knows_the_newest_mail(
    dovecot: Dovecot, cut: Cut, opened: Opened, mailbox_user: str
) -> None:
    dovecot.deliver_many(mailbox_user, mails(20))
    mailbox = opened(plain(cut.port, mailbox_user))
    mailbox.expect_bodies(range(1, 11))
    mailbox.expect_heads(range(11, 21))
    mailbox.move(range(1, 11), Folder.ASSOCIATED)
    assert len(mailbox.heads(range(11, 21))) == 10
    dovecot.deliver_many(mailbox_user, [b"Subject: late\r\n\r\n"])
    mailbox.open()
    assert mailbox.uids(0, 100) == list(range(11, 22))
    mailbox.move([21], Folder.REJECTED)
    assert dovecot.folder(mailbox_user, "Rejected") == [b"Subject: late\r\n\r\n"]
    assert cut.connections == 1


def test_a_folder_that_takes_nothing_is_an_outage_in_the_servers_words_and_nothing_is_lost(
    dovecot: Dovecot, opened: Opened, mailbox_user: str
) -> None:
    dovecot.deliver_many(mailbox_user, mails(2))
    mailbox = opened(access_to(dovecot, mailbox_user))
    mailbox.move([1], Folder.ASSOCIATED)
    folder = dovecot.mail / mailbox_user / "Maildir" / ".Associated"
    closed = [folder, folder / "tmp", folder / "new", folder / "cur"]
    for part in closed:
        part.chmod(0o555)
    with pytest.raises(Unavailable, match=r"cannot MOVE \"Associated\": "):
        mailbox.move([2], Folder.ASSOCIATED)
    mailbox.move([99], Folder.REJECTED)
    assert dovecot.folder(mailbox_user) == mails(2)[1:]
    for part in closed:
        part.chmod(0o755)
    mailbox.move([2], Folder.ASSOCIATED)
    assert sorted(dovecot.folder(mailbox_user, "Associated")) == mails(2)


def test_messages_are_found_read_and_brought_back_into_the_queue(
    dovecot: Dovecot, opened: Opened, mailbox_user: str
) -> None:
    raw = b'Message-ID: <a"b@example.com>\r\nSubject: back\r\n\r\nbody\r\n'
    dovecot.deliver_many(mailbox_user, [*mails(1), raw])
    mailbox = opened(access_to(dovecot, mailbox_user))
    mailbox.move([1, 2], Folder.QUARANTINE)
    assert mailbox.find(None, '<a"b@example.com>') == []
    (uid,) = mailbox.find(Folder.QUARANTINE, '<a"b@example.com>')
    assert mailbox.fetch_one(Folder.QUARANTINE, uid) == raw
    mailbox.restore([uid], Folder.QUARANTINE)
    assert dovecot.folder(mailbox_user) == [raw]
    (back,) = mailbox.uids(0, 10)
    assert mailbox.bodies([back]) == {back: raw}
    with pytest.raises(Refused, match="no message with UID 999 in Quarantine"):
        mailbox.fetch_one(Folder.QUARANTINE, 999)
    assert mailbox.find(None, "<x>\r\nA LOGOUT") == []


def test_a_folder_that_was_never_made_cannot_be_searched(opened: Opened, access: ImapAccess) -> None:
    with pytest.raises(Unavailable, match="cannot open the folder Quarantine"):
        opened(access).find(Folder.QUARANTINE, "<a@example.com>")


def test_reports_name_folders_as_the_server_does(dovecot_with: Started, opened: Opened, mailbox_user: str) -> None:
    server = dovecot_with(COURIER_LIKE)
    server.deliver(mailbox_user, mails(1)[0], arrived=1_700_000_000)
    server.deliver_many(mailbox_user, mails(1))
    mailbox = opened(access_to(server, mailbox_user))
    backlog = mailbox.backlog()
    assert backlog.messages == 2
    assert backlog.oldest is not None
    assert backlog.oldest.timestamp() == 1_700_000_000
    mailbox.move([1], Folder.REJECTED)
    found = {report.name: report.messages for report in mailbox.folder_report()}
    assert found == {"INBOX": 1, "INBOX.Associated": None, "INBOX.Rejected": 1, "INBOX.Quarantine": None}
    assert "IDLE" in mailbox.capabilities()
    assert "MOVE" not in mailbox.capabilities()


HEAD = b"* 1 FETCH (UID 5 RFC822.SIZE 9 BODY[HEADER] {9}\r\nTo: x\r\n\r\n)\r\nTAG OK done\r\n"


@pytest.mark.parametrize(
    ("there", "again", "error"), [(b"TAG NO not now\r\n", 7, "not now"), (HEAD, 8, "created again")]
)
def test_after_a_search_for_copies_no_other_folder_is_taken_for_the_queue(
    opened: Opened, there: bytes, again: int, error: str
) -> None:
    """A server may give all folders the same UIDVALIDITY, and the queue may be created again meanwhile."""
    select = b"* 3 EXISTS\r\n* OK [UIDVALIDITY %d] v\r\n* OK [PERMANENTFLAGS (\\*)] f\r\nTAG OK [READ-WRITE] s\r\n"
    validities, fetched = iter([7, 7, again]), iter([HEAD, there])
    answers: Answers = {
        "CAPABILITY": b"* CAPABILITY IMAP4rev1 UIDPLUS\r\nTAG OK done\r\n",
        "SELECT": lambda _command: select % next(validities),
        "UID SEARCH": lambda command: b"* SEARCH%s\r\nTAG OK done\r\n" % (b"" if "Copied" in command else b" 5"),
        "UID FETCH": lambda _command: next(fetched, HEAD),
        "LIST": b'* LIST () "/" Associated\r\nTAG OK done\r\n',
        "STATUS": b"* STATUS Associated (MESSAGES 3)\r\nTAG OK done\r\n",
    }
    with Scripted(answers) as server:
        mailbox = opened(plain(server.port))
        with pytest.raises(Unavailable, match=error):
            mailbox.move([5], Folder.ASSOCIATED)
        with suppress(Unavailable):
            mailbox.heads([5])
        used = [command.partition(" (")[0] for command in server.commands]
    assert used[used.index('SELECT "Associated"') :][:4] == [
        'SELECT "Associated"',
        "UID SEARCH 1:*",
        "UID FETCH 5",
        'SELECT "INBOX"',
    ]
    assert not [command for command in used if command.startswith("UID COPY")]
