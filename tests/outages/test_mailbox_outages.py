"""The mail server stops during any step: two log lines, no strike, nothing lost, nothing twice."""

import itertools
import re
import time
from collections.abc import Callable

import pytest

from tests.harness.running import await_true
from tests.outages.between import Between, CutHere
from tests.outages.conftest import Opened
from tests.outages.ledger import Ledger, await_balance, outages_told, subject_of
from tests.servers.cut import Cut, Towards
from tests.servers.dovecot import Dovecot, DovecotSettings

BACKLOG = 200
SIZE = 5_000
ONE_OUTAGE = ["mailbox.connected", "mailbox.lost", "mailbox.connected"]
WAYS = [
    DovecotSettings(extra="# one that dies"),
    DovecotSettings(without=frozenset({"MOVE"}), extra="# one that dies"),
    DovecotSettings(without=frozenset({"MOVE", "UIDPLUS"}), prefix="INBOX.", extra="# one that dies"),
]
NAMES = ["MOVE", "UIDPLUS", "neither, INBOX. prefix"]
_WHOLE = re.compile(rb"BODY\[\] \{")


class Dying:
    """A hook that kills the server once, while it sends the body after this many."""

    def __init__(self, server: Dovecot, bodies: int) -> None:
        self._server = server
        self._left = bodies

    def __call__(self, line: bytes, literal: bytes) -> tuple[bytes, bytes]:
        if _WHOLE.search(line):
            self._left -= 1
            if self._left == -1:
                self._server.kill()
                raise CutHere(line + literal[: len(literal) // 2])
        return line, literal


@pytest.mark.parametrize("bodies", [0, 1, 49, 120])
def test_a_server_that_dies_in_the_midst_of_a_fetch_is_waited_for_and_gone_on_with(
    ledger_on: Opened, own_dovecot: Dovecot, bodies: int
) -> None:
    ledger = ledger_on(own_dovecot)
    mails = ledger.deliver_letters(BACKLOG, size=SIZE)
    with Between(own_dovecot.imap, Dying(own_dovecot, bodies)) as proxy:
        service = ledger.start(imap_port=str(proxy.port), batch_messages="50")
        try:
            lost = service.wait_for("mailbox.lost", seconds=20)
            assert lost["error"].startswith(f"IMAP server 127.0.0.1:{proxy.port}: ")
            assert ledger.count("attempt") == 0, "whoever is stopped now leaves a mark that the next process blames"
            assert len(ledger.folder()) + len(ledger.folder("Associated")) == BACKLOG
        finally:
            own_dovecot.start()
        service.wait_for("mailbox.connected", times=2)
        await_balance(ledger, mails)
    assert outages_told(service) == ONE_OUTAGE


@pytest.mark.parametrize("way", WAYS, ids=NAMES)
def test_a_server_that_dies_in_the_midst_of_moving_is_waited_for_and_all_is_moved(
    ledger_on: Opened, dovecot_with: Callable[[DovecotSettings], Dovecot], way: DovecotSettings
) -> None:
    server = dovecot_with(way)
    ledger = ledger_on(server)
    mails = ledger.deliver_letters(BACKLOG)
    with Between(server.imap) as proxy:
        words = b"UID COPY" if "MOVE" in way.without else b"UID MOVE"
        proxy.after(words, server.kill)
        service = ledger.start(imap_port=str(proxy.port), batch_messages="50")
        try:
            service.wait_for("mailbox.lost", seconds=20)
            assert not ledger.blamed()
            assert ledger.outcomes() == {"associated": BACKLOG}
            lost = set(map(subject_of, mails)) - set(map(subject_of, ledger.folder() + ledger.folder("Associated")))
            assert not lost
            fetched = proxy.count(b"BODY.PEEK[]")
        finally:
            server.start()
        service.wait_for("mailbox.connected", times=2)
        await_true(lambda: not ledger.folder())
        assert proxy.count(b"BODY.PEEK[]") == fetched, "what was decided was fetched again"
    service.end()
    # A server that dies between copying and removing leaves a copy behind; the books know of one.
    assert set(map(subject_of, ledger.folder("Associated"))) == set(map(subject_of, mails))
    assert (ledger.count("email"), ledger.count("association")) == (BACKLOG, BACKLOG)
    assert outages_told(service) == ONE_OUTAGE


def test_a_connection_that_breaks_now_and_then_is_replaced_and_loses_nothing(ledger: Ledger, through: Cut) -> None:
    mails = ledger.deliver_letters(BACKLOG, size=SIZE)
    for octets in (100, 5_000, 60_000, 200_000):
        through.cut_after(octets)
    for octets in (30, 150):
        through.cut_after(octets, Towards.SERVER)
    service = ledger.start(batch_messages="20")
    await_true(lambda: not through.is_to_cut, seconds=60)
    await_balance(ledger, mails)
    assert not ledger.blamed()
    await_true(lambda: outages_told(service)[-1] == "mailbox.connected")
    told = outages_told(service)
    assert all(earlier != later for earlier, later in itertools.pairwise(told)), "each line once"


def test_a_refused_login_is_not_repeated_for_two_minutes_and_told_apart(ledger: Ledger, through: Cut) -> None:
    mails = ledger.deliver_letters(3)
    service = ledger.start(imap_password="wrong-password", idle="auto")
    assert "login refused" in service.wait_for("mailbox.login_refused")["error"]
    ledger.deliver_letters(1, first=3)
    time.sleep(4)  # four polls' time
    assert through.connections == 1
    assert outages_told(service) == ["mailbox.login_refused"]
    assert len(ledger.folder()) == len(mails) + 1
    assert not ledger.blamed()
