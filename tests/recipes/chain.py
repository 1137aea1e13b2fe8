"""One recipe running: mail goes in by SMTP, and is read where the worker reads it."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from imapclient import IMAPClient

from tests.recipes.recipe import Recipe
from tests.servers.account import Account, unprivileged
from tests.servers.dovecot import PASSWORD, Dovecot, DovecotSettings
from tests.servers.dovecot_configuration import by_version
from tests.servers.process import new_folder
from tests.servers.submission import hand_in

MAILBOX = "drop@drop.example.com"
SENDER = "jo@example.com"
HOST = "mx.drop.example.com"  # that of both servers, as they run on one machine


class MailServer(Protocol):
    """What every server of `tests.servers` that takes mail has."""

    port: int

    def start(self) -> None: ...

    def remove(self) -> None: ...


@dataclass(frozen=True)
class Room:
    """Where a recipe's files lie that are neither the mail server's nor Dovecot's own."""

    folder: Path
    account: Account

    @property
    def mail(self) -> Path:
        """Stands for /var/vmail."""
        return self.folder / "vmail"

    @property
    def socket(self) -> Path:
        """Stands for the one between the mail server and Dovecot."""
        return self.folder / "lmtp"

    def write(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.write_text(text)
        return file

    def mailbox(self) -> str:
        """Give config/dovecot-mailbox with its one user."""
        users = self.write("users", f"{MAILBOX}:{{PLAIN}}{PASSWORD}::::::\n")
        places = {
            "/etc/dovecot/bcc-dropbox.users": users,
            "/var/vmail": self.mail,
            by_version("uid=vmail", "uid = vmail"): by_version("uid=", "uid = ") + self.account.name,
            by_version("gid=vmail", "gid = vmail"): by_version("gid=", "gid = ") + self.account.group,
        }
        return Recipe("dovecot-mailbox").for_dovecot("05-bcc-dropbox.conf", places)

    def listener(self, recipe: Recipe, path: str, user: str) -> str:
        """Give a recipe's socket; Dovecot, not being root here, cannot give it away and lets everybody in."""
        places = {
            path: self.socket,
            "mode = 0600": "mode = 0666",
            f"user = {user}": f"user = {self.account.name}",
            f"group = {user}": f"group = {self.account.group}",
        }
        return recipe.file("99-bcc-dropbox-lmtp.conf", places)


@dataclass(frozen=True)
class Chain:
    """A mail server and the Dovecot behind it."""

    recipe: Recipe
    server: MailServer
    dovecot: Dovecot

    def send(self, recipients: Sequence[str], raw: bytes, sender: str = SENDER) -> None:
        hand_in(self.server.port, sender, recipients, raw)

    def take(self, count: int) -> list[bytes]:
        """Wait until the mailbox holds `count` messages, and take them out."""
        self.arrived(count)
        copies = self.copies()
        self.empty()
        return copies

    def arrived(self, count: int) -> None:
        """Wait until the mailbox holds `count` messages, and leave them there."""
        with self.connect() as client:
            self._await(client, count)

    def copies(self) -> list[bytes]:
        with self.connect() as client:
            fetched = client.fetch(client.search(), ["BODY.PEEK[]"])
        return [fetched[uid][b"BODY[]"] for uid in sorted(fetched)]

    def empty(self) -> None:
        with self.connect() as client:
            self._empty(client)

    @contextmanager
    def connect(self) -> Iterator[IMAPClient]:
        with IMAPClient("127.0.0.1", port=self.dovecot.imap, ssl=False, timeout=30) as client:
            client.login(MAILBOX, PASSWORD)
            client.select_folder("INBOX")
            yield client

    @staticmethod
    def _await(client: IMAPClient, count: int) -> list[int]:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            client.noop()
            uids: list[int] = client.search()
            if len(uids) >= count:
                return uids
            time.sleep(0.02)
        raise AssertionError(f"{len(client.search())} of {count} copies arrived")

    @staticmethod
    def _empty(client: IMAPClient) -> None:
        client.delete_messages(client.search())
        client.expunge()


@contextmanager
def running(recipe: Recipe, build: Callable[[Recipe, Room], tuple[str, Callable[[], MailServer]]]) -> Iterator[Chain]:
    """Run what `build` gives: the end of Dovecot's configuration, and the mail server to start behind it."""
    with ExitStack() as leave:
        room = _make_room()
        leave.callback(shutil.rmtree, room.folder, ignore_errors=True)
        extra, make_server = build(recipe, room)
        as_installed = by_version("disable_plaintext_auth = yes", "auth_allow_cleartext = no")
        own = f"hostname = {HOST}\n{as_installed}\n"
        dovecot = Dovecot(DovecotSettings(has_accounts=True, extra=f"{extra}\n{own}"))
        leave.callback(dovecot.remove)
        server = make_server()
        leave.callback(server.remove)
        dovecot.start()
        server.start()
        yield Chain(recipe, server, dovecot)


def _make_room() -> Room:
    room = Room(new_folder("recipe"), unprivileged())
    room.account.own(room.folder)
    room.account.make_folder(room.mail)
    return room
