"""What is no message's fault costs no message a strike, however often it happens."""

import threading

from tests.harness.running import await_true
from tests.outages.conftest import InFrontOf
from tests.outages.ledger import Ledger, await_balance


def test_a_process_that_dies_while_it_waits_for_the_mail_server_blames_no_message(
    ledger: Ledger, in_front_of: InFrontOf
) -> None:
    """The first death makes it a suspect, which is worked alone; an outage may end each of the others."""
    mails = ledger.deliver_letters(1)
    proxy = in_front_of(ledger)
    for step in (b"BODY.PEEK[]", b"BODY.PEEK[HEADER", b"BODY.PEEK[]", b"BODY.PEEK[HEADER", b"BODY.PEEK[]"):
        worker = ledger.start("poll")
        proxy.before(step, worker.kill)
        await_true(lambda worker=worker: worker.process.poll() is not None)  # type: ignore[misc]
        assert worker.process.returncode == -9
    assert [strikes for _, strikes, _ in ledger.blamed()] == [0]
    ledger.start()
    await_balance(ledger, mails)


def test_a_server_that_gives_no_body_at_all_is_an_outage_and_no_strike_for_anybody(
    ledger: Ledger, in_front_of: InFrontOf
) -> None:
    mails = ledger.deliver_letters(15)
    is_empty = threading.Event()
    is_empty.set()

    def withhold(line: bytes, literal: bytes) -> tuple[bytes, bytes]:
        if is_empty.is_set() and b"BODY[] " in line:
            return line.partition(b"BODY[] ")[0] + b"BODY[] NIL", b""
        return line, literal

    in_front_of(ledger, withhold)
    for _ in range(4):
        ran = ledger.run("poll")
        assert ran.code == 1
        assert "fails on every message, at last with Missing: the server gave no body" in ran.err
        assert ledger.blamed() == []
    assert ledger.folder() == mails
    is_empty.clear()
    ledger.start()
    await_balance(ledger, mails)
