"""IDLE: new mail is heard of at once, and a watch that was lost comes back."""

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.harness.running import await_true
from tests.imap.opening import access_to, plain
from tests.imap.scripted import LOST, Answers, Scripted
from tests.servers.cut import Cut
from tests.servers.dovecot import Dovecot
from worker.imap import IdleState, IdleWatch, ImapAccess

MAIL = b"Subject: hello\r\n\r\nbody\r\n"
SOON = 10.0


class Watched:
    """A watch and what it told, each to be waited for."""

    def __init__(self, access: ImapAccess, renew_seconds: float) -> None:
        self.told: queue.Queue[tuple[IdleState, str]] = queue.Queue()
        self.mail: queue.Queue[None] = queue.Queue()
        self.watch = IdleWatch(access, lambda state, text: self.told.put((state, text)), renew_seconds)
        self.threads_before = threading.enumerate()
        self.watch.start(lambda: self.mail.put(None))

    def is_running(self) -> bool:
        threads = set(threading.enumerate()).difference(self.threads_before)
        return "idle" in {thread.name for thread in threads}

    def state(self) -> IdleState:
        return self.told.get(timeout=SOON)[0]

    def heard(self) -> None:
        self.mail.get(timeout=SOON)


@pytest.fixture
def watching() -> Iterator[type[Watched]]:
    """Give the class whose watches are stopped afterwards."""
    with ExitStack() as stopping:

        class Stopped(Watched):
            def __init__(self, access: ImapAccess, renew_seconds: float = 60.0) -> None:
                super().__init__(access, renew_seconds)
                stopping.callback(self.watch.stop)

        yield Stopped


def test_new_mail_is_heard_of(dovecot: Dovecot, mailbox_user: str, watching: type[Watched]) -> None:
    watched = watching(access_to(dovecot, mailbox_user), 60.0)
    assert watched.state() is IdleState.WATCHING
    watched.heard()  # what came before
    dovecot.deliver(mailbox_user, MAIL)
    watched.heard()
    assert watched.told.empty()


def test_a_lost_watch_comes_back_and_asks_for_what_came_meanwhile(
    dovecot: Dovecot, mailbox_user: str, cut: Cut, watching: type[Watched]
) -> None:
    watched = watching(plain(cut.port, mailbox_user), 60.0)
    assert watched.state() is IdleState.WATCHING
    watched.heard()
    cut.cut()
    assert watched.state() is IdleState.LOST
    assert watched.state() is IdleState.WATCHING
    watched.heard()
    dovecot.deliver(mailbox_user, MAIL)
    watched.heard()


def test_the_watch_is_renewed_in_time(dovecot: Dovecot, mailbox_user: str, cut: Cut, watching: type[Watched]) -> None:
    watched = watching(plain(cut.port, mailbox_user), 0.1)
    for _ in range(5):
        watched.heard()
    assert cut.connections == 1
    assert watched.state() is IdleState.WATCHING
    assert watched.told.empty()


def test_a_connection_that_died_in_silence_is_noticed_at_the_renewal(
    cut: Cut, mailbox_user: str, watching: type[Watched]
) -> None:
    watched = watching(plain(cut.port, mailbox_user, timeout_seconds=0.3), 0.3)
    assert watched.state() is IdleState.WATCHING
    cut.stall()
    assert watched.state() is IdleState.LOST


def test_stopping_does_not_wait_for_a_dead_connection(cut: Cut, mailbox_user: str, watching: type[Watched]) -> None:
    watched = watching(plain(cut.port, mailbox_user, timeout_seconds=60.0), 600.0)
    watched.heard()
    cut.stall()
    assert watched.is_running()
    watched.watch.stop()
    assert not watched.is_running()
    assert watched.state() is IdleState.WATCHING
    assert watched.told.empty()


def test_stopping_reaches_a_connection_that_is_only_being_made(
    cut: Cut, mailbox_user: str, watching: type[Watched]
) -> None:
    cut.stall()
    watched = watching(plain(cut.port, mailbox_user, timeout_seconds=60.0), 600.0)
    await_true(lambda: cut.connections)
    assert watched.is_running()
    watched.watch.stop()
    assert not watched.is_running()
    assert watched.told.empty()


@pytest.mark.parametrize(
    "answers",
    [{"IDLE": b"TAG NO not for you\r\n"}, {"IDLE": LOST}, {"IDLE": b"+ idling\r\n", "DONE": LOST}],
    ids=["refused", "hung up", "hung up a little later"],
)
def test_a_server_that_offers_idle_and_breaks_it_is_asked_ever_more_rarely(
    watching: type[Watched], answers: Answers
) -> None:
    with Scripted(answers) as server:
        watched = watching(plain(server.port), 0.05)
        began = time.monotonic()
        for _ in range(4):
            assert watched.state() is IdleState.WATCHING
            assert watched.state() is IdleState.LOST
        assert time.monotonic() - began >= 0.5 + 1 + 2


def test_an_answer_that_lacks_what_belongs_in_it_does_not_end_the_watch(watching: type[Watched]) -> None:
    selected = [b"* OK [UIDVALIDITY 7] v\r\n", b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7] v\r\n"]
    answers: Answers = {"SELECT": lambda _: selected.pop(0) + b"TAG OK s\r\n", "IDLE": b"+ idling\r\n"}
    with Scripted(answers) as server:
        watched = watching(plain(server.port), 60.0)
        assert [watched.state(), watched.state()] == [IdleState.LOST, IdleState.WATCHING]
        watched.heard()


def test_a_fault_of_our_own_does_not_end_the_watch(
    dovecot: Dovecot, mailbox_user: str, watching: type[Watched]
) -> None:
    watched = watching(access_to(dovecot, mailbox_user), 60.0)
    watched.heard()
    watched.mail = None  # type: ignore[assignment]
    dovecot.deliver(mailbox_user, MAIL)
    assert [watched.state(), watched.state()] == [IdleState.WATCHING, IdleState.FAILED]
    watched.mail = queue.Queue()
    assert watched.state() is IdleState.WATCHING
    watched.heard()


def test_a_server_without_idle_is_told_once(mailbox_user: str, watching: type[Watched]) -> None:
    without = {"CAPABILITY": b"* CAPABILITY IMAP4rev1\r\nTAG OK c\r\n"}
    with Scripted(without) as server:
        watched = watching(plain(server.port), 60.0)
        assert watched.state() is IdleState.ABSENT
        await_true(lambda: not watched.is_running(), SOON)
        assert watched.told.empty()


def test_new_mail_told_before_the_server_is_ready_is_not_missed(watching: type[Watched]) -> None:
    answers = {"IDLE": b"* 4 EXISTS\r\n+ idling\r\n", "DONE": LOST}
    with Scripted(answers) as server:
        watched = watching(plain(server.port), 60.0)
        assert watched.state() is IdleState.WATCHING
        watched.heard()


def test_the_watch_is_on_the_folder_that_is_the_queue(
    dovecot: Dovecot, mailbox_user: str, watching: type[Watched]
) -> None:
    with dovecot.connect(mailbox_user) as person:
        person.create_folder("Drop")
    watched = watching(access_to(dovecot, mailbox_user, folder="Drop"), 60.0)
    watched.heard()
    dovecot.deliver(mailbox_user, MAIL, "Drop")
    watched.heard()
