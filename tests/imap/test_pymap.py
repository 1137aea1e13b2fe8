"""The same on pymap, the embedded mailbox of the demo: no keywords, no NAMESPACE, a parser of its own."""

from collections.abc import Iterator

import pytest

from tests.imap.opening import plain
from worker.demo import USER, EmbeddedMailbox, embedded_mailbox
from worker.domain.outcomes import Folder
from worker.imap import IdleWatch, ImapAccess, ImapMailbox

MAIL = (
    b"Delivered-To: drop+a@drop.example\r\nFrom: Jane\r\n <jane@example.com>\r\nSubject: x\r\nX-S: no\r\n\r\nbody\r\n"
)


@pytest.fixture(scope="module")
def embedded() -> Iterator[EmbeddedMailbox]:
    pytest.importorskip("pymap")
    with embedded_mailbox() as server:
        yield server


@pytest.fixture
def access(embedded: EmbeddedMailbox) -> ImapAccess:
    return plain(embedded.port, USER, password=embedded.password)


def test_a_message_is_read_and_moved(embedded: EmbeddedMailbox, access: ImapAccess) -> None:
    mailbox = ImapMailbox(access, ("Delivered-To", "Subject"))
    present = mailbox.open().messages
    old = mailbox.uids(0, 1000)
    assert len(old) == present
    embedded.deliver(MAIL)
    assert mailbox.open().messages == present + 1
    (uid,) = mailbox.uids(max(old, default=0), 10)
    (arrival,) = mailbox.heads([uid])
    assert arrival.head == MAIL.split(b"X-S:", maxsplit=1)[0] + b"\r\n"
    assert arrival.head_is_complete
    assert arrival.size == len(MAIL)
    assert mailbox.bodies([uid]) == {uid: MAIL}
    assert mailbox.attachment_bytes([uid]) == {uid: 0}
    mailbox.move([uid], Folder.ASSOCIATED)
    mailbox.move([uid], Folder.ASSOCIATED)
    assert mailbox.open().messages == present
    assert embedded.folders()["Associated"] == 1
    assert mailbox.uids(uid, 10) == []
    mailbox.close()


def test_new_mail_is_heard_of(embedded: EmbeddedMailbox, access: ImapAccess) -> None:
    import queue

    heard: queue.Queue[None] = queue.Queue()
    watch = IdleWatch(access)
    watch.start(lambda: heard.put(None))
    heard.get(timeout=10)
    embedded.deliver(MAIL)
    heard.get(timeout=10)
    watch.stop()
