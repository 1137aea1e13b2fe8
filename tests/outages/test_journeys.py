"""The whole journey on each kind of server: with and without MOVE and UIDPLUS, a prefix, and three makes of IMAP."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from imapclient import IMAPClient

from tests.harness.command import mailbox_settings
from tests.harness.installation import Installation
from tests.harness.letters import letter
from tests.imap.courier import Courier
from tests.servers.dovecot import PASSWORD, Dovecot, DovecotSettings
from worker.demo import USER, embedded_mailbox

Deliver = Callable[[bytes], None]
KINDS = {
    "Dovecot": DovecotSettings(),
    "Dovecot without MOVE": DovecotSettings(without=frozenset({"MOVE"})),
    "Dovecot without MOVE and UIDPLUS, INBOX. prefix": DovecotSettings(
        without=frozenset({"MOVE", "UIDPLUS"}), prefix="INBOX."
    ),
}


class Server:
    """A mailbox that is seen by IMAP alone, whatever keeps it."""

    def __init__(self, port: int, user: str, deliver: Deliver, password: str = PASSWORD) -> None:
        self.port, self.user, self.deliver, self.password = port, user, deliver, password

    def holds(self, folder: str) -> list[bytes]:
        """Return the mails of a folder, wherever the server keeps it."""
        with IMAPClient("127.0.0.1", port=self.port, ssl=False, timeout=20) as client:
            client.login(self.user, self.password)
            found = [name for _, _, name in client.list_folders() if re.fullmatch(rf"(INBOX\.)?{folder}", name)]
            if not found:
                return []
            client.select_folder(found[0], readonly=True)
            uids = client.search("ALL")
            return [client.fetch([uid], ["BODY.PEEK[]"])[uid][b"BODY[]"] for uid in uids]


@pytest.fixture(params=[*KINDS, "Courier", "pymap"])
def server(
    request: pytest.FixtureRequest,
    dovecot_with: Callable[[DovecotSettings], Dovecot],
    mailbox_user: str,
    tmp_path: Path,
) -> Iterator[Server]:
    if request.param == "Courier":
        with Courier(tmp_path / "courier") as courier:
            names = (f"{1_700_000_000 + number}.{number}.host" for number in range(1000))
            yield Server(courier.port, "drop", lambda raw: courier.deliver(next(names), raw))
    elif request.param == "pymap":
        pytest.importorskip("pymap")
        with embedded_mailbox() as pymap:
            yield Server(pymap.port, USER, pymap.deliver, pymap.password)
    else:
        dovecot = dovecot_with(KINDS[request.param])
        yield Server(dovecot.imap, mailbox_user, lambda raw: dovecot.deliver(mailbox_user, raw))


def test_mail_is_filed_recognised_and_rejected_and_stands_where_it_belongs(server: Server, tmp_path: Path) -> None:
    settings = mailbox_settings(server.port, server.user, f"sqlite:///{tmp_path / 'worker.sqlite3'}")
    worker = Installation(settings | {"imap_password": server.password})
    address = worker.add_user("jane@acme.example")
    old = server.holds("Associated")
    first, second = letter(address, subject="First"), letter(address, subject="Second", to="dora@client.example")
    stranger = letter("drop+guessed@drop.example.com", subject="Guessed")
    for mail in (first, second, stranger):
        server.deliver(mail)
    assert worker.poll() == {"associated": 2, "rejected": 1}
    server.deliver(first)
    assert worker.poll() == {"duplicate": 1}
    assert worker.poll() == {}
    assert server.holds("INBOX") == []
    assert sorted(server.holds("Associated")) == sorted([*old, first, first, second])
    assert stranger in server.holds("Rejected")
    emails = worker.admin("email", "list", "--json").json
    assert sorted(email["subject"] for email in emails) == ["First", "Second"]
    (email,) = worker.sent_emails("contact", "carl@client.example")
    copy = tmp_path / "copy.eml"
    assert worker.run("email", "export", str(email["id"]), "-o", str(copy)).code == 0
    assert copy.read_bytes() == first
