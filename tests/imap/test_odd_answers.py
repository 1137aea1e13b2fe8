"""Answers that servers are known to give and RFC 9051 has otherwise: understood where they can be, spoiling nothing."""

import gc
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from freezegun import freeze_time

from tests.imap.conftest import Opened
from tests.imap.opening import plain
from tests.imap.scripted import LOST, USUAL, Answers, Scripted
from worker.domain.errors import Unavailable
from worker.domain.messages import Arrival
from worker.domain.outcomes import Folder
from worker.imap import ImapMailbox
from worker.imap.answers import BODY_ITEMS
from worker.imap.protocol import Protocol
from worker.imap.session import Session

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HEAD = b"Subject: x\r\n\r\n"
INTERNALDATE = b'INTERNALDATE "23-Nov-2026 14:00:00 +0200"'


def answering(fetch: bytes | Callable[[str], bytes]) -> Answers:
    return {"UID FETCH": fetch}


def asked(command: str) -> set[int]:
    """The UIDs that a FETCH names."""
    uids: set[int] = set()
    for piece in command.split()[2].split(","):
        first, _, last = piece.partition(":")
        uids.update(range(int(first), int(last or first) + 1))
    return uids


def literal(key: bytes, octets: bytes) -> bytes:
    return key + b" {%d}\r\n" % len(octets) + octets


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (b"UID 5 " + INTERNALDATE + b" RFC822.SIZE 99 " + literal(b"RFC822.HEADER", HEAD), Arrival(5, NOON, 99, HEAD)),
        (b"UID 5 " + literal(b'BODY[HEADER.FIELDS ("To")]<0>', HEAD) + b" RFC822.SIZE 99", Arrival(5, NOON, 99, HEAD)),
        (b"UID 5 " + INTERNALDATE + b" " + literal(b"BODY[HEADER.FIELDS (TO)]", HEAD), Arrival(5, NOON, 0, HEAD)),
        (b'UID 5 INTERNALDATE "nonsense" RFC822.SIZE 99 BODY[HEADER.FIELDS (TO)] ""', Arrival(5, NOON, 99, b"")),
        (b"UID 5 RFC822.SIZE 99", Arrival(5, NOON, 99, b"", head_is_complete=False)),
        (b"UID 5 RFC822.SIZE 99 BODY[HEADER.FIELDS (TO)]<0> NIL", Arrival(5, NOON, 99, b"", head_is_complete=False)),
    ],
    ids=["RFC822.HEADER", "quoted names, no date", "no size", "nonsense for a date", "no head", "NIL for a head"],
)
def test_a_head_is_understood_in_each_form_that_servers_give_it(opened: Opened, answer: bytes, wanted: Arrival) -> None:
    with Scripted(answering(b"* 1 FETCH (" + answer + b")\r\nTAG OK done\r\n")) as server, freeze_time(NOON):
        assert opened(plain(server.port)).heads([5]) == [wanted]


@pytest.mark.parametrize("key", [b"BODY[]", b"RFC822", b"body[]", b"BODY[]<0>"])
def test_a_body_is_understood_under_each_name_that_servers_give_it(opened: Opened, key: bytes) -> None:
    with Scripted(answering(b"* 1 FETCH (UID 5 " + literal(key, HEAD) + b")\r\nTAG OK done\r\n")) as server:
        assert opened(plain(server.port)).bodies([5]) == {5: HEAD}


@pytest.mark.parametrize("answer", [b"UID 5", b"UID 5 BODY[] NIL", b"FLAGS (\\Seen)", b"UID 5 FLAGS ()"])
def test_a_message_without_its_body_is_absent(opened: Opened, answer: bytes) -> None:
    with Scripted(answering(b"* 5 FETCH (" + answer + b")\r\nTAG OK done\r\n")) as server:
        assert opened(plain(server.port)).bodies([5]) == {}


def test_answers_that_nobody_asked_for_are_no_messages(opened: Opened) -> None:
    unasked = b"* 5 FETCH (FLAGS (\\Seen))\r\n* 6 FETCH (UID 77 RFC822.SIZE 1)\r\n* 9 EXISTS\r\nTAG OK done\r\n"
    with Scripted(answering(unasked)) as server:
        assert opened(plain(server.port)).heads([5, 6]) == []


def test_what_was_answered_before_a_no_is_kept_and_the_bad_message_found_alone(opened: Opened) -> None:
    def fetch(command: str) -> bytes:
        before_the_bad = [uid for uid in sorted(asked(command)) if uid < 13 or 13 not in asked(command)]
        told = b"".join(b"* 1 FETCH (UID %d %s)\r\n" % (uid, literal(b"BODY[]", HEAD)) for uid in before_the_bad)
        return told + (b"TAG NO [SERVERBUG] cannot\r\n" if 13 in asked(command) else b"TAG OK done\r\n")

    with Scripted(answering(fetch)) as server:
        assert set(opened(plain(server.port)).bodies(range(1, 41))) == set(range(1, 41)) - {13}
    assert len([command for command in server.commands if command.startswith("UID FETCH")]) < 16


def test_a_server_that_refuses_every_fetch_is_an_outage(opened: Opened) -> None:
    with Scripted(answering(b"TAG NO [UNAVAILABLE] the disk is away\r\n")) as server:
        mailbox = opened(plain(server.port))
        with pytest.raises(Unavailable, match="the disk is away"):
            mailbox.bodies(range(1, 500))


@pytest.mark.parametrize(
    "structure",
    [b"(" * 5000 + b")" * 5000, b'("A" "' + b"x" * 1_100_000 + b'")', b'("TEXT" "PLAIN'],
    ids=["too deep", "too long", "cut off"],
)
def test_a_structure_that_cannot_be_taken_in_does_not_spoil_the_others(opened: Opened, structure: bytes) -> None:
    def fetch(command: str) -> bytes:
        good = b'("APPLICATION" "ZIP" NIL NIL NIL "BASE64" 6202)'
        lines = [
            b"* 1 FETCH (UID %d BODYSTRUCTURE %s)\r\n" % (uid, structure if uid == 3 else good)
            for uid in asked(command)
        ]
        return b"".join(lines) + b"TAG OK done\r\n"

    with Scripted(answering(fetch)) as server:
        assert opened(plain(server.port)).attachment_bytes([1, 2, 3, 4]) == {1: 4499, 2: 4499, 4: 4499}


def test_a_backlog_of_a_million_is_searched_in_lines_that_imaplib_takes(opened: Opened) -> None:
    def search(command: str) -> bytes:
        first, last = (1_000_000 if end == "*" else int(end) for end in command.split()[2].split(":"))
        above = int(command.split()[4].split(":", maxsplit=1)[0]) if "UID" in command[10:] else 1
        uids = [uid for uid in (4_000_000_000 + number for number in range(first, last + 1)) if uid >= above]
        return b"* SEARCH " + b" ".join(b"%d" % uid for uid in uids) + b"\r\nTAG OK done\r\n"

    selected = b"* 1000000 EXISTS\r\n* OK [UIDVALIDITY 7] v\r\nTAG OK [READ-WRITE] selected\r\n"
    with Scripted({"SELECT": selected, "UID SEARCH": search}) as server:
        mailbox = opened(plain(server.port))
        assert mailbox.uids(0, 200_000) == [4_000_000_000 + number for number in range(1, 200_001)]
        assert mailbox.uids(4_000_000_000 + 999_990, 500) == [4_000_000_000 + n for n in range(999_991, 1_000_001)]
    assert len([command for command in server.commands if command.startswith("UID SEARCH")]) < 40


def test_messages_that_go_while_we_search_hide_no_later_ones(opened: Opened) -> None:
    there = list(range(101, 141))
    seen = list(there)

    def search(command: str) -> bytes:
        first, last = (len(seen) if end == "*" else int(end) for end in command.split()[2].split(":"))
        found = seen[first - 1 : last]
        gone = [uid for uid in seen if uid <= 110]
        told = b"* 1 EXPUNGE\r\n" * len(gone)
        del seen[: len(gone)]
        return b"* SEARCH " + b" ".join(b"%d" % uid for uid in found) + b"\r\n" + told + b"TAG OK done\r\n"

    selected = b"* 40 EXISTS\r\n* OK [UIDVALIDITY 7] v\r\nTAG OK [READ-WRITE] selected\r\n"
    with Scripted({"SELECT": selected, "UID SEARCH": search}) as server:
        assert opened(plain(server.port)).uids(105, 20) == list(range(106, 126))


def test_a_read_only_queue_is_told_as_such(opened: Opened) -> None:
    selected = b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7] v\r\nTAG OK [READ-ONLY] selected\r\n"
    with Scripted({"SELECT": selected}) as server, pytest.raises(Unavailable, match="INBOX is read-only"):
        opened(plain(server.port))


def test_a_full_folder_is_an_outage_and_nothing_is_removed(opened: Opened) -> None:
    full = {"UID MOVE": b"TAG NO [OVERQUOTA] full\r\n", "CREATE": b"TAG NO [ALREADYEXISTS] there\r\n"}
    with Scripted(full) as server:
        mailbox = opened(plain(server.port))
        with pytest.raises(Unavailable, match=r'cannot MOVE "Associated": .*\[OVERQUOTA\] full'):
            mailbox.move([5], Folder.ASSOCIATED)
    assert not [command for command in server.commands if "EXPUNGE" in command]


@pytest.mark.parametrize("lacking", ["SELECT", "STATUS"])
def test_an_answer_that_lacks_what_belongs_in_it_is_an_outage(opened: Opened, lacking: str) -> None:
    answers: Answers = {
        "SELECT": b"* OK [UIDVALIDITY 7] v\r\nTAG OK [READ-WRITE] s\r\n" if lacking == "SELECT" else USUAL["SELECT"],
        "LIST": b'* LIST () "/" INBOX\r\nTAG OK l\r\n',
        "STATUS": b"* STATUS INBOX ()\r\nTAG OK s\r\n",
    }
    with Scripted(answers) as server, pytest.raises(Unavailable, match="an answer that cannot be read"):
        opened(plain(server.port)).folder_report()


@pytest.mark.parametrize("answer", [b"TAG OK [EXPUNGEISSUED] done\r\n", b"TAG NO [EXPUNGEISSUED] gone\r\n"])
def test_a_copy_that_was_done_is_not_done_again_because_others_removed_messages(opened: Opened, answer: bytes) -> None:
    answers = [answer, b"TAG OK done\r\n"]
    lesser: Answers = {
        "CAPABILITY": b"* CAPABILITY IMAP4rev1 UIDPLUS\r\nTAG OK c\r\n",
        "UID COPY": lambda _: answers.pop(0),
        "UID SEARCH": b"* SEARCH\r\nTAG OK s\r\n",
        "UID STORE": b"TAG OK marked\r\n",
        "UID EXPUNGE": b"TAG OK done\r\n",
        "NOOP": b"* 1 EXPUNGE\r\nTAG OK done\r\n",
    }
    with Scripted(lesser) as server:
        opened(plain(server.port)).move([5, 6], Folder.ASSOCIATED)
    copies = [command for command in server.commands if command.startswith("UID COPY")]
    assert len(copies) == (1 if b"OK" in answer else 2)


def test_messages_that_others_remove_are_counted_and_not_remembered_one_by_one() -> None:
    removing = b"* 1 EXPUNGE\r\n" * 500 + b"* 1 FETCH (UID 5 BODY[] {1}\r\nx)\r\nTAG OK done\r\n"
    selected = b"* 2000 EXISTS\r\n* OK [UIDVALIDITY 7] v\r\nTAG OK [READ-WRITE] s\r\n"
    with Scripted({"SELECT": selected, "UID FETCH": removing}) as server:
        session = Session(plain(server.port))
        session.select("INBOX")
        for _ in range(3):
            session.fetch("5", BODY_ITEMS)
        assert (session.expunged(), session.present()) == (1500, 500)
        [protocol] = (each for each in gc.get_objects() if isinstance(each, Protocol) and each.port == server.port)
        assert "EXPUNGE" not in protocol.untagged_responses
        session.select("INBOX")
        assert (session.expunged(), session.present()) == (0, 2000)
        session.close()


def test_a_copy_that_is_refused_leaves_the_message_alone(opened: Opened) -> None:
    lesser = {
        "CAPABILITY": b"* CAPABILITY IMAP4rev1\r\nTAG OK c\r\n",
        "UID COPY": b"TAG NO [OVERQUOTA] full\r\n",
        "UID SEARCH": b"* SEARCH\r\nTAG OK s\r\n",
        "UID STORE": b"TAG OK marked\r\n",
        "CREATE": b"TAG NO there\r\n",
    }
    with Scripted(lesser) as server:
        mailbox = opened(plain(server.port))
        with pytest.raises(Unavailable, match="OVERQUOTA"):
            mailbox.move([5], Folder.ASSOCIATED)
    stored = [command.partition("STORE ")[2] for command in server.commands if "STORE" in command]
    assert stored == ["5 +FLAGS.SILENT ($BccDropboxCopying)"]
    assert not [command for command in server.commands if "EXPUNGE" in command]


@pytest.mark.parametrize("garbage", [b"?!\r\n", b"* 1 FETCH (UID 5 BODY[] {9999}\r\nsecret words", LOST, b"* BYE\r\n"])
def test_a_connection_that_goes_mad_is_an_outage_that_shows_no_mail(opened: Opened, garbage: bytes) -> None:
    with Scripted(answering(garbage)) as server:
        mailbox = opened(plain(server.port, timeout_seconds=0.3))
        with pytest.raises(Unavailable) as told:
            mailbox.bodies([5])
        assert "secret words" not in str(told.value)
        assert mailbox.open().messages == 3


def test_a_server_that_never_says_goodbye_is_left(opened: Opened) -> None:
    with Scripted({"LOGOUT": LOST}) as server:
        mailbox = ImapMailbox(plain(server.port))
        mailbox.open()
        mailbox.close()
        mailbox.close()
        assert mailbox.open().messages == 3
        mailbox.close()
