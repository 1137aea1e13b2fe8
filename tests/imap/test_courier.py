"""The same on Courier: no MOVE, the prefix `INBOX.`, commands of 16 KB at the most."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.imap.conftest import Opened
from tests.imap.courier import Courier
from tests.imap.opening import plain
from worker.domain.outcomes import Folder

HEAD = b"Delivered-To: drop+a@drop.example\r\nReceived: from a\r\n by b\r\nFrom: jane@example.com\r\n"


@pytest.fixture
def courier(tmp_path: Path) -> Iterator[Courier]:
    with Courier(tmp_path) as server:
        yield server


def test_messages_are_read_and_moved(courier: Courier, opened: Opened) -> None:
    for number in range(4):
        courier.deliver(f"{1_700_000_000 + number}.{number}.host", HEAD + b"X-Spam: no\r\n\r\nbody %d\r\n" % number)
    mailbox = opened(plain(courier.port, "drop"))
    uids = mailbox.uids(0, 10)
    assert len(uids) == 4
    assert [arrival.head for arrival in mailbox.heads(uids)] == [HEAD + b"\r\n"] * 4
    assert list(mailbox.bodies(uids).values()) == courier.folder()
    mailbox.move([*uids[::2], 9999], Folder.ASSOCIATED)
    mailbox.move(uids[::2], Folder.ASSOCIATED)
    assert len(courier.folder()) == len(courier.folder(".Associated")) == 2
    assert mailbox.open().messages == 2
    assert mailbox.uids(0, 10) == uids[1::2]
    assert {report.name: report.messages for report in mailbox.folder_report()}["INBOX.Associated"] == 2


def test_a_thousand_scattered_uids_do_not_break_the_connection(courier: Courier, opened: Opened) -> None:
    mailbox = opened(plain(courier.port, "drop"))
    scattered = range(1_000_000_001, 1_000_003_001, 2)
    courier.deliver("1700000000.1.host", HEAD + b"\r\n")
    mailbox.open()
    assert mailbox.heads(scattered) == []
    assert mailbox.open().messages == 1
