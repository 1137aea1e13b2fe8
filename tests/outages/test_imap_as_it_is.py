"""What people and other programs do to the mailbox while it is polled, and what servers answer."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.harness.running import await_true
from tests.outages.between import CutHere, breaks
from tests.outages.conftest import InFrontOf, Opened
from tests.outages.ledger import Ledger, await_balance, subject_of
from tests.servers.dovecot import Dovecot, DovecotSettings
from tests.servers.dovecot_configuration import by_version
from worker.store.originals import StoredOriginal, unpack

HEADS, BODIES, MOVE = b"BODY.PEEK[HEADER", b"BODY.PEEK[]", b"UID MOVE"
STEPS = pytest.mark.parametrize("step", [b"SEARCH", HEADS, BODIES, MOVE], ids=["search", "heads", "bodies", "move"])
ALL = 10


def poll(ledger: Ledger) -> tuple[int, str]:
    ran = ledger.run("poll")
    return ran.code, ran.err


def poll_well(ledger: Ledger) -> None:
    code, told = poll(ledger)
    assert code == 0, told


def by_a_person(ledger: Ledger, *commands: tuple[Any, ...]) -> Callable[[], None]:
    """Another client, which selects the queue and gives these commands."""

    def act() -> None:
        with ledger.dovecot.connect(ledger.mailbox) as person:
            person.select_folder("INBOX")
            for name, *arguments in commands:
                getattr(person, name)(*arguments)

    return act


def make_anew(ledger: Ledger) -> None:
    """Have the server number all messages afresh, as it does when its index is lost."""
    for index in (ledger.dovecot.mail / ledger.mailbox / "Maildir").glob("dovecot*"):
        if index.is_file():
            index.unlink()


def await_another_uidvalidity() -> None:
    """Dovecot takes the second in which it makes a folder: one made again within it would be the same folder."""
    time.sleep(1.1)


def test_under_a_new_uidvalidity_all_is_read_again_and_what_is_filed_is_recognised_by_its_content(
    ledger: Ledger, in_front_of: InFrontOf
) -> None:
    mails = ledger.deliver_letters(ALL)
    proxy = in_front_of(ledger)
    proxy.before(MOVE, breaks)
    code, told = poll(ledger)
    assert (code, ledger.outcomes(), ledger.folder()) == (1, {"associated": ALL}, mails), told
    await_another_uidvalidity()
    make_anew(ledger)
    more = ledger.deliver_letters(2, first=ALL)
    poll_well(ledger)
    assert ledger.outcomes() == {"associated": ALL + 2, "duplicate": ALL}
    assert len(ledger.query("SELECT DISTINCT uidvalidity FROM decision")) == 2
    assert ledger.differences(mails + more) == []


def test_a_queue_that_is_deleted_and_made_again_in_the_midst_of_a_poll_is_read_anew(
    ledger: Ledger, in_front_of: InFrontOf
) -> None:
    server, user = ledger.dovecot, ledger.mailbox
    ledger.settings["imap_folder"] = "Drop"
    with server.connect(user) as person:
        person.create_folder("Drop")
    for mail in ledger.letters(ALL):
        server.deliver(user, mail, "Drop")
    others = ledger.letters(ALL, first=100)

    def make_again() -> None:
        await_another_uidvalidity()
        with server.connect(user) as person:
            person.delete_folder("Drop")
            person.create_folder("Drop")
        for mail in others:
            server.deliver(user, mail, "Drop")

    in_front_of(ledger).before(BODIES, make_again)
    poll(ledger)
    poll_well(ledger)
    filed = {subject for (subject,) in ledger.query("SELECT subject FROM email")}
    assert filed >= set(map(subject_of, others))
    assert server.folder(user, "Drop") == []
    assert set(map(subject_of, ledger.folder("Associated"))) >= set(map(subject_of, others))
    assert not ledger.blamed()


@STEPS
def test_what_a_person_takes_away_is_passed_over_and_the_rest_is_filed(
    ledger: Ledger, in_front_of: InFrontOf, step: bytes
) -> None:
    mails = ledger.deliver_letters(ALL)
    with ledger.dovecot.connect(ledger.mailbox) as person:
        person.create_folder("Mine")
    taken = by_a_person(ledger, ("delete_messages", [2, 4]), ("expunge", [2, 4]), ("move", [6], "Mine"))
    in_front_of(ledger).before(step, taken)
    poll_well(ledger)
    poll_well(ledger)
    left = [mail for number, mail in enumerate(mails, 1) if number not in {2, 4, 6}]
    assert ledger.folder("Associated") == left
    assert ledger.folder("Mine") == [mails[5]]
    assert ledger.folder() == []
    filed = {subject for (subject,) in ledger.query("SELECT subject FROM email")}
    assert filed == set(map(subject_of, mails if step == MOVE else left))
    assert (ledger.count("attempt"), ledger.outcomes()) == (0, {"associated": len(filed)})


@STEPS
def test_mail_that_comes_meanwhile_is_filed_once(ledger: Ledger, in_front_of: InFrontOf, step: bytes) -> None:
    mails = ledger.deliver_letters(ALL)
    in_front_of(ledger).before(step, lambda: ledger.deliver_letters(3, first=ALL))
    poll_well(ledger)
    poll_well(ledger)
    assert ledger.differences(mails + ledger.letters(3, first=ALL)) == []


@STEPS
def test_flags_that_people_set_meanwhile_make_no_difference(
    ledger: Ledger, in_front_of: InFrontOf, step: bytes
) -> None:
    mails = ledger.deliver_letters(ALL)
    everything = list(range(1, ALL + 1))
    flags = [rb"\Seen", rb"\Flagged", "$Later"]
    in_front_of(ledger).before(step, by_a_person(ledger, ("add_flags", everything, flags), ("delete_messages", [1, 3])))
    poll_well(ledger)
    assert ledger.differences(mails) == []


def test_a_target_folder_that_a_person_deletes_is_made_again(ledger: Ledger, in_front_of: InFrontOf) -> None:
    ledger.deliver_letters(1)
    poll_well(ledger)
    mails = ledger.deliver_letters(ALL, first=1)
    in_front_of(ledger).before(MOVE, by_a_person(ledger, ("delete_folder", "Associated")))
    poll_well(ledger)
    assert ledger.folder("Associated") == mails


def test_a_body_under_the_key_rfc822_is_taken(ledger: Ledger, in_front_of: InFrontOf) -> None:
    mails = ledger.deliver_letters(ALL)
    in_front_of(ledger, lambda line, literal: (line.replace(b"BODY[] ", b"RFC822 "), literal))
    poll_well(ledger)
    assert ledger.differences(mails) == []
    stored = ledger.query("SELECT original, encoding, digest FROM email_content")
    assert sorted(unpack(StoredOriginal(*row)) for row in stored) == sorted(mails)


def test_a_message_whose_body_is_never_given_goes_to_quarantine_and_keeps_nobody_waiting(
    ledger: Ledger, in_front_of: InFrontOf
) -> None:
    mails = ledger.deliver_letters(ALL)

    def withhold(line: bytes, literal: bytes) -> tuple[bytes, bytes]:
        if b"BODY[] " in line and b"Subject: Letter 3\r\n" in literal:
            return line.partition(b"BODY[] ")[0] + b"BODY[] NIL", b""
        return line, literal

    in_front_of(ledger, withhold)
    for strikes in (1, 2):
        poll_well(ledger)
        assert len(ledger.folder("Associated")) == ALL - 1
        assert [row[:2] for row in ledger.blamed()] == [(4, strikes)]
    poll_well(ledger)
    assert ledger.folder("Quarantine") == [mails[3]]
    assert ledger.outcomes() == {"associated": ALL - 1, "quarantined": 1}


ACCESS_LISTS_2_3 = "mail_plugins = acl\nplugin {\n  acl = vfile\n}\n"
ACCESS_LISTS_2_4 = "mail_plugins {\n  acl = yes\n}\nacl_driver = vfile\n"


@pytest.mark.parametrize("closed", ["Associated", "Rejected"])
def test_a_folder_that_is_read_only_keeps_only_its_own_messages_waiting(
    ledger_on: Opened, dovecot_with: Callable[[DovecotSettings], Dovecot], in_front_of: InFrontOf, closed: str
) -> None:
    server = dovecot_with(DovecotSettings(extra=by_version(ACCESS_LISTS_2_3, ACCESS_LISTS_2_4)))
    ledger = ledger_on(server)
    with server.connect(ledger.mailbox) as person:
        person.create_folder(closed)
    rights = server.mail / ledger.mailbox / "Maildir" / f".{closed}" / "dovecot-acl"
    rights.write_text("owner lr\n")
    server.account.own(rights)
    proxy = in_front_of(ledger)
    mails = ledger.deliver_letters(ALL)
    stranger = mails[0].replace(b"From: jane@acme.example", b"From: eve@elsewhere.example")
    server.deliver(ledger.mailbox, stranger)
    ends = {"Associated": mails, "Rejected": [stranger]}
    for _ in range(2):
        code, told = poll(ledger)
        assert code == 1
        assert f'cannot MOVE "{closed}": [NOPERM] Permission denied' in told
        assert ledger.folder() == ends[closed]
        assert {name: ledger.folder(name) for name in ends} == ends | {closed: []}
    fetched = proxy.count(BODIES)
    rights.unlink()
    poll_well(ledger)
    assert proxy.count(BODIES) == fetched == 1
    assert (ledger.folder(), {name: ledger.folder(name) for name in ends}) == ([], ends)
    assert ledger.outcomes() == {"associated": ALL, "rejected": 1}


QUOTA_2_3 = "mail_plugins = quota\nplugin {\n  quota = maildir:User quota\n  quota_rule = *:messages=25\n}\n"
QUOTA_2_4 = 'mail_plugins {\n  quota = yes\n}\nquota "User quota" {\n  driver = maildir\n  message_count = 25\n}\n'


def test_a_mailbox_over_quota_keeps_its_messages_until_there_is_room(
    ledger_on: Opened, dovecot_with: Callable[[DovecotSettings], Dovecot], in_front_of: InFrontOf
) -> None:
    """Use a server without MOVE, because only COPY needs space."""
    over_quota = by_version(QUOTA_2_3, QUOTA_2_4)
    server = dovecot_with(DovecotSettings(without=frozenset({"MOVE"}), extra=over_quota))
    ledger = ledger_on(server)
    server.deliver_many(ledger.mailbox, [b"Subject: old\r\n\r\n"] * ALL, "Old")
    mails = ledger.deliver_letters(ALL)
    proxy = in_front_of(ledger)
    for _ in range(2):
        code, told = poll(ledger)
        assert (code, "[OVERQUOTA]" in told) == (1, True), told
        assert ledger.folder() == mails
    with server.connect(ledger.mailbox) as person:
        person.select_folder("Old")
        person.delete_messages(list(range(1, ALL + 1)))
        person.expunge()
    poll_well(ledger)
    assert proxy.count(BODIES) == 1
    assert ledger.differences(mails) == []


def test_a_server_that_cannot_read_its_own_disk_is_an_outage(ledger: Ledger) -> None:
    mails = ledger.deliver_letters(3)
    with ledger.dovecot.connect(ledger.mailbox) as person:
        person.select_folder("INBOX")
    files = list((ledger.dovecot.mail / ledger.mailbox / "Maildir" / "cur").iterdir())
    for _ in range(4):
        for file in files:
            file.chmod(0)
        code, told = poll(ledger)
        assert code == 1, told
        assert "message.deferred" not in told, "it is the server, not the messages"
        assert [strikes for _, strikes, _ in ledger.blamed()] == [0, 0, 0]
    for file in files:
        file.chmod(0o600)
    poll_well(ledger)
    assert ledger.differences(mails) == []


def files_of(ledger: Ledger, *numbers: int, head_is_cached: bool = True) -> list[Path]:
    """The files of these letters. Dovecot keeps their heads and sizes beside them if it was asked for them once."""
    with ledger.dovecot.connect(ledger.mailbox) as person:
        person.select_folder("INBOX")
        if head_is_cached:
            person.fetch(person.search(), ["RFC822.SIZE", "BODY.PEEK[HEADER]"])
    subjects = {f"Letter {number}" for number in numbers}
    folder = ledger.dovecot.mail / ledger.mailbox / "Maildir" / "cur"
    return [file for file in folder.iterdir() if subject_of(file.read_bytes()) in subjects]


@pytest.mark.parametrize("head_is_cached", [True, False], ids=["head in the server's cache", "nothing to be had"])
def test_a_message_at_which_the_server_hangs_up_is_put_off_and_keeps_nobody_waiting(
    ledger: Ledger, head_is_cached: bool
) -> None:
    mails = ledger.deliver_letters(ALL)
    (broken,) = files_of(ledger, 3, head_is_cached=head_is_cached)
    broken.chmod(0)
    for first in (20, 30, 40, 50):
        code, told = poll(ledger)
        assert (code, len(ledger.folder())) == (0, 1), told
        assert '"uid": 4, "error": "IMAP server' in told
        assert [row[:2] for row in ledger.blamed()] == [(4, 0)], "worked alone from now on, without a strike"
        mails += ledger.deliver_letters(2, first=first)
    broken.chmod(0o600)
    poll_well(ledger)
    assert ledger.differences(mails) == []


def test_a_message_that_is_asked_for_alone_and_at_which_the_server_hangs_up_keeps_nobody_waiting(
    ledger: Ledger,
) -> None:
    """The first of all is larger than a batch."""
    ledger.settings["batch_bytes"] = "65536"
    mails = ledger.deliver_letters(1, size=100_000) + ledger.deliver_letters(ALL, first=1)
    (broken,) = files_of(ledger, 0)
    broken.chmod(0)
    poll_well(ledger)
    assert ledger.folder() == mails[:1]
    broken.chmod(0o600)
    poll_well(ledger)
    assert ledger.differences(mails) == []


def test_more_broken_messages_than_one_poll_bears_with_keep_the_others_waiting_for_one_poll(ledger: Ledger) -> None:
    mails = ledger.deliver_letters(30)
    broken = files_of(ledger, *range(12))
    for file in broken:
        file.chmod(0)
    assert [poll(ledger)[0] for _ in range(2)] == [1, 1]
    assert sorted(map(subject_of, ledger.folder())) == sorted(map(subject_of, mails[:12]))
    assert {strikes for _, strikes, _ in ledger.blamed()} == {0}
    for file in broken:
        file.chmod(0o600)
    poll_well(ledger)
    assert ledger.differences(mails) == []


def test_a_message_whose_head_is_never_given_goes_to_quarantine(ledger: Ledger, in_front_of: InFrontOf) -> None:
    mails = ledger.deliver_letters(ALL)

    def withhold(line: bytes, literal: bytes) -> tuple[bytes, bytes]:
        if b"BODY[HEADER" in line and b"UID 4 " in line:
            return b"* 4 FETCH (FLAGS ()", b""
        return line, literal

    in_front_of(ledger, withhold)
    for strikes in (1, 2):
        poll_well(ledger)
        ((uid, counted, error),) = ledger.blamed()
        assert (uid, counted) == (4, strikes)
        assert error.startswith("Missing: the server gave no head of UID 4 ")
    poll_well(ledger)
    assert ledger.folder("Quarantine") == [mails[3]]
    assert ledger.outcomes() == {"associated": ALL - 1, "quarantined": 1}
    assert ledger.count("attempt") == 0


def test_a_message_at_which_the_server_falls_silent_keeps_nobody_waiting(
    ledger: Ledger, in_front_of: InFrontOf
) -> None:
    mails = ledger.deliver_letters(ALL)
    chokes = threading.Event()
    chokes.set()

    def choke(line: bytes, literal: bytes) -> tuple[bytes, bytes]:
        if chokes.is_set() and b"BODY[] " in line and b"Subject: Letter 0\r\n" in literal:
            time.sleep(2)
            raise CutHere(b"")
        return line, literal

    in_front_of(ledger, choke)
    service = ledger.start(socket_seconds="1")
    service.wait_for("message.associated", times=ALL - 1, seconds=40)
    await_true(lambda: ledger.folder() == mails[:1])
    assert not ledger.blamed()
    chokes.clear()
    await_balance(ledger, mails)
