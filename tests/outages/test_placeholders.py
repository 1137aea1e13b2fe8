"""Courier answers for a message that it cannot open, or that is gone, with one of its own making: nobody's mail."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from imapclient import IMAPClient

from tests.harness.command import mailbox_settings
from tests.harness.installation import Installation
from tests.harness.letters import letter
from tests.imap.courier import Courier
from tests.outages.between import Between
from tests.servers.dovecot import PASSWORD

HEADS, BODIES = b"BODY.PEEK[HEADER", b"BODY.PEEK[]"
STEPS = pytest.mark.parametrize("step", [HEADS, BODIES], ids=["heads", "bodies"])
COUNT = 6


class Office:
    """Six letters on a Courier, behind a proxy, and the worker that files them."""

    def __init__(self, courier: Courier, proxy: Between, folder: Path) -> None:
        self.courier, self.proxy = courier, proxy
        self._maildir = folder / "courier" / "Maildir"
        settings = mailbox_settings(proxy.port, "drop", f"sqlite:///{folder / 'worker.sqlite3'}")
        self.worker = Installation(settings)
        address = self.worker.add_user("jane@acme.example")
        self.letters = [letter(address, subject=f"Letter {number}") for number in range(COUNT)]
        for number, raw in enumerate(self.letters):
            courier.deliver(f"{1_700_000_000 + number}.{number}.host", raw)

    def file(self, number: int) -> Path:
        return sorted(file for part in ("new", "cur") for file in (self._maildir / part).iterdir())[number]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with ExitStack() as leave:
        courier = leave.enter_context(Courier(tmp_path / "courier"))
        yield Office(courier, leave.enter_context(Between(courier.port)), tmp_path)


def by_its_file(office: Office) -> None:
    office.file(1).unlink()


def by_another_client(office: Office) -> None:
    with IMAPClient("127.0.0.1", port=office.courier.port, ssl=False, timeout=20) as person:
        person.login("drop", PASSWORD)
        person.select_folder("INBOX")
        person.delete_messages([2])
        person.expunge()


@STEPS
@pytest.mark.parametrize("remove", [by_its_file, by_another_client])
def test_a_message_that_a_person_takes_away_is_decided_by_nobody(
    office: Office, step: bytes, remove: Callable[[Office], None]
) -> None:
    office.proxy.before(step, lambda: remove(office))
    office.worker.poll()
    office.worker.poll()
    assert office.worker.query("SELECT outcome, count(*) FROM decision GROUP BY outcome") == [("associated", COUNT - 1)]
    assert office.worker.query("SELECT uid FROM attempt") == []
    assert office.courier.folder(".Rejected") == []


def test_a_message_that_cannot_be_opened_for_a_moment_is_filed_by_a_later_poll(office: Office) -> None:
    away = office.file(1).with_name("away")
    office.proxy.before(BODIES, lambda: office.file(1).rename(away))
    for _ in range(2):
        ran = office.worker.run("poll")
        if away.exists():
            away.rename(away.with_name(f"{1_700_000_001}.1.host:2,"))
        assert "message.rejected" not in ran.err
    office.worker.poll()
    assert office.worker.query("SELECT outcome, count(*) FROM decision GROUP BY outcome") == [("associated", COUNT)]
