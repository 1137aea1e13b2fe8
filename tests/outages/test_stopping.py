"""Stop in time, whatever the backlog and whichever server is silent; reload settings without a stop."""

import signal
import time

import pytest

from tests.harness.running import await_true
from tests.outages.between import breaks
from tests.outages.conftest import InFrontOf
from tests.outages.ledger import Ledger, await_balance
from tests.servers.cut import Cut

BACKLOG = 600
MOVE = b"UID MOVE"


@pytest.mark.parametrize("step", [b"BODY.PEEK[HEADER", b"BODY.PEEK[]", MOVE], ids=["heads", "bodies", "move"])
def test_a_stop_leaves_each_message_filed_and_moved_or_untouched(
    ledger: Ledger, in_front_of: InFrontOf, step: bytes
) -> None:
    mails = ledger.deliver_letters(BACKLOG)
    proxy = in_front_of(ledger)
    told: list[float] = []

    def stop() -> None:
        told.append(time.monotonic())
        ledger.started[-1].send(signal.SIGTERM)

    # All is moved at once in the end; of the thirty batches the first is stored when the fourth is asked for.
    proxy.before(step, stop, times=1 if step == MOVE else 4)
    service = ledger.start(batch_messages="20")
    assert service.wait() == 0
    assert time.monotonic() - told[0] < 10
    assert service.names[-1] == "service.stopped"
    moved = len(ledger.folder("Associated"))
    assert ledger.outcomes() == {"associated": moved}
    assert len(ledger.folder()) == BACKLOG - moved
    assert moved == BACKLOG if step == MOVE else 0 < moved < BACKLOG
    assert ledger.count("attempt") == 0
    ledger.start()
    await_balance(ledger, mails)


def test_stops_during_an_outage_blame_no_message_not_even_one_that_is_tried_alone(
    ledger: Ledger, in_front_of: InFrontOf
) -> None:
    """Make the message a suspect: a process was killed while it worked on it, but no attempt has failed."""
    proxy = in_front_of(ledger)
    mails = ledger.deliver_letters(1)
    with Cut(proxy.port) as line:
        ledger.settings["imap_port"] = str(line.port)
        for end in (signal.SIGKILL, signal.SIGTERM, signal.SIGTERM):
            silent = proxy.count(b"BODY.PEEK[]") + 1
            proxy.before(b"BODY.PEEK[]", line.stall)
            service = ledger.start()
            await_true(lambda silent=silent: proxy.count(b"BODY.PEEK[]") == silent)  # type: ignore[misc]
            code, seconds = service.end(end)
            line.resume()
            if end is signal.SIGTERM:
                assert (code, seconds < 10, service.names[-1]) == (0, True, "service.stopped")
                assert [strikes for _, strikes, _ in ledger.blamed()] == [0]
        ledger.start()
        await_balance(ledger, mails)


def test_restarts_while_the_mail_server_hangs_up_blame_nobody(ledger: Ledger, in_front_of: InFrontOf) -> None:
    mails = ledger.deliver_letters(1)
    proxy = in_front_of(ledger)
    killed = ledger.start()
    proxy.before(b"BODY.PEEK[]", killed.kill)
    await_true(lambda: killed.process.poll() is not None)
    for _ in range(3):
        proxy.before(b"BODY.PEEK[]", breaks)
        service = ledger.start()
        assert "the connection was lost" in service.wait_for("message.deferred")["error"]
        assert service.end()[0] == 0
        assert [strikes for _, strikes, _ in ledger.blamed()] == [0]
    ledger.start()
    await_balance(ledger, mails)


def test_new_settings_take_effect_without_a_restart(ledger: Ledger, cut: Cut) -> None:
    service = ledger.start(poll_seconds="150", log_level="info")
    service.wait_for("poll.finished")
    ledger.write(poll_seconds="1", log_level="debug")
    service.send(signal.SIGHUP)
    service.wait_for("settings.reloaded")
    service.wait_for("poll.finished", times=4, seconds=10)
    ledger.write(log_level="error", imap_port=str(cut.port))
    service.send(signal.SIGHUP)
    await_true(lambda: cut.connections)
    mails = ledger.deliver_letters(3)
    await_balance(ledger, mails)
    assert service.count("message.associated") == 0


@pytest.mark.parametrize("url", ["sqlite:///:memory:", "postgresql+psycopg://host:port/x", "mysql://host/x"])
def test_a_database_that_cannot_be_used_is_refused_and_the_old_one_kept(ledger: Ledger, url: str) -> None:
    service = ledger.start()
    service.wait_for("poll.finished")
    kept = ledger.database_url
    ledger.write(database_url=url)
    service.send(signal.SIGHUP)
    assert service.wait_for("settings.refused")["problems"]
    ledger.settings["database_url"] = kept
    await_balance(ledger, ledger.deliver_letters(3))
    assert service.end()[0] == 0
