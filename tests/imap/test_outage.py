"""Outages: told as such, in time, and over as soon as the server is back."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.harness.running import await_true
from tests.imap.conftest import Opened
from tests.imap.opening import access_to, plain
from tests.imap.scripted import Scripted
from tests.servers.cut import Cut, Towards
from tests.servers.dovecot import Dovecot
from worker.domain.errors import Unavailable
from worker.domain.outcomes import Folder
from worker.imap import IdleState, IdleWatch, ImapMailbox

MAIL = b"Subject: hello\r\n\r\n" + b"body\r\n" * 2000


def test_a_kept_connection_that_is_dead_is_replaced_unseen(
    dovecot: Dovecot, cut: Cut, opened: Opened, mailbox_user: str
) -> None:
    mailbox = opened(plain(cut.port, mailbox_user))
    dovecot.deliver(mailbox_user, MAIL)
    cut.cut()
    assert mailbox.open().messages == 1
    assert cut.connections == 2


@pytest.mark.parametrize("octets", [0, 1, 40, 300, 5000, 12_050])
def test_a_connection_cut_within_a_body_gives_no_part_of_it(
    dovecot: Dovecot, cut: Cut, opened: Opened, mailbox_user: str, octets: int
) -> None:
    dovecot.deliver(mailbox_user, MAIL)
    mailbox = opened(plain(cut.port, mailbox_user))
    mailbox.open()
    cut.cut_after(octets + 1)
    with pytest.raises(Unavailable, match="the connection was lost"):
        mailbox.bodies([1])
    mailbox.open()
    assert mailbox.bodies([1]) == {1: MAIL}


def test_a_move_that_was_cut_off_is_done_by_the_next(
    dovecot: Dovecot, cut: Cut, opened: Opened, mailbox_user: str
) -> None:
    dovecot.deliver_many(mailbox_user, [MAIL] * 5)
    mailbox = opened(plain(cut.port, mailbox_user))
    cut.cut_after(10)
    with pytest.raises(Unavailable):
        mailbox.move([1, 2, 3, 4, 5], Folder.ASSOCIATED)
    mailbox.open()
    mailbox.move([1, 2, 3, 4, 5], Folder.ASSOCIATED)
    assert dovecot.folder(mailbox_user) == []
    assert dovecot.folder(mailbox_user, "Associated") == [MAIL] * 5


def test_a_server_that_is_restarted_is_found_again(dovecot: Dovecot, opened: Opened, mailbox_user: str) -> None:
    dovecot.deliver(mailbox_user, MAIL)
    mailbox = opened(access_to(dovecot, mailbox_user))
    dovecot.kill()
    try:
        for _ in range(2):
            with pytest.raises(Unavailable, match=f"127.0.0.1:{dovecot.imap}: nothing listens there"):
                mailbox.open()
    finally:
        dovecot.start()
    assert mailbox.open().messages == 1


def test_closing_wakes_whoever_waits_for_a_server_that_is_silent(cut: Cut, opened: Opened, mailbox_user: str) -> None:
    mailbox = opened(plain(cut.port, mailbox_user, timeout_seconds=60.0))
    cut.stall()
    before = cut.received(Towards.SERVER)
    with ThreadPoolExecutor(1) as reader:
        waiting = reader.submit(mailbox.open)
        await_true(lambda: cut.received(Towards.SERVER) > before)
        cut.target = 1  # the open that follows the lost one finds nobody
        mailbox.close()
        with pytest.raises(Unavailable):
            waiting.result(timeout=10)


@pytest.mark.parametrize("break_it", [Cut.cut, Cut.stall], ids=["cut", "stalled"])
def test_a_dead_connection_is_closed_without_waiting(
    break_it: Callable[[Cut], None], cut: Cut, opened: Opened, mailbox_user: str
) -> None:
    mailbox = opened(plain(cut.port, mailbox_user, timeout_seconds=60.0))
    break_it(cut)
    started = time.monotonic()
    mailbox.close()
    mailbox.close()
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("command", ["SELECT", "UID FETCH"])
def test_the_words_of_a_server_that_hangs_up_are_kept(command: str) -> None:
    with Scripted({command: b"* BYE Server shutting down for maintenance\r\n"}) as server:
        mailbox = ImapMailbox(plain(server.port, timeout_seconds=1.0))
        with pytest.raises(Unavailable, match="the connection was lost: Server shutting down for maintenance"):
            mailbox.heads([mailbox.open().messages])
        mailbox.close()


def test_the_words_of_a_server_that_hangs_up_on_a_listener_are_kept() -> None:
    told: list[str] = []
    lost = threading.Event()

    def tell(state: IdleState, text: str) -> None:
        if state is IdleState.LOST:
            told.append(text)
            lost.set()

    with Scripted({"IDLE": b"+ idling\r\n* BYE Autologout: idle for too long\r\n"}) as server:
        watch = IdleWatch(plain(server.port, timeout_seconds=1.0), told=tell)
        watch.start(lambda: None)
        assert lost.wait(10)
        watch.stop()
    assert told[0].endswith("the connection was lost: Autologout: idle for too long")
