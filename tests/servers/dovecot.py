"""A private Dovecot: any user name has a Maildir of its own, and tests write mail into it."""

import itertools
import os
import time
from collections.abc import Iterable
from pathlib import Path

from imapclient import IMAPClient

from tests.servers.account import unprivileged
from tests.servers.certificates import make_certificates
from tests.servers.dovecot_configuration import PASSWORD, DovecotSettings, Place, configuration
from tests.servers.process import ServerProcess, accepts, free_port, new_folder
from tests.servers.requirement import require

__all__ = ["PASSWORD", "Dovecot", "DovecotSettings"]


class Dovecot:
    """One instance with ports `imap`, `imaps` and `lmtp`; all users have the password of its settings."""

    def __init__(self, settings: DovecotSettings | None = None) -> None:
        program = require("dovecot", "dovecot-imapd")
        self.settings = settings or DovecotSettings()
        self.imap, self.imaps, self.lmtp = free_port(), free_port(), free_port()
        self.account = unprivileged()
        self._folder = new_folder("dovecot")
        self.account.own(self._folder)
        self._certificates = make_certificates(self._folder)
        self._counter = itertools.count(1)
        self.account.make_folder(self.mail)
        ports = self.imap, self.imaps, self.lmtp
        place = Place(self._folder, self.mail, self.account, self._certificates, *ports)
        self.configuration = self._folder / "dovecot.conf"
        self.configuration.write_text(configuration(self.settings, place))
        self.process = ServerProcess(
            "dovecot",
            self.account.command(program, "-F", "-c", self.configuration),
            self._folder,
            ready=lambda: accepts(self.imap) and accepts(self.lmtp),
        )

    @property
    def authority(self) -> Path:
        """The certificate that a client must trust (BCC_DROPBOX_IMAP_CA_FILE)."""
        return self._certificates.authority

    @property
    def mail(self) -> Path:
        """The folder of all mailboxes, each in `USER/Maildir`, owned by `account`."""
        return self._folder / "mail"

    def start(self) -> None:
        self.process.start()

    def stop(self) -> None:
        self.process.stop()

    def kill(self) -> None:
        self.process.kill()

    def remove(self) -> None:
        self.process.kill()  # stopping takes Dovecot a second
        self.process.remove()

    def connect(self, user: str) -> IMAPClient:
        """Log a plain client in."""
        client = IMAPClient("127.0.0.1", port=self.imap, ssl=False, timeout=30)
        client.login(user, self.settings.password)
        return client

    def deliver(self, user: str, raw: bytes, folder: str | None = None, arrived: float | None = None) -> None:
        """Put a message, byte for byte, where a mail server would; `arrived` in epoch seconds."""
        maildir = self._maildir(user, folder)
        for name in ("tmp", "new", "cur"):
            self.account.make_folder(maildir / name)
        name = f"{time.time_ns():020d}.{next(self._counter):09d}.{os.getpid()}"
        written = maildir / "tmp" / name
        written.write_bytes(raw)
        if arrived is not None:
            os.utime(written, (arrived, arrived))
        self.account.own(written)
        written.rename(maildir / "new" / name)

    def deliver_many(self, user: str, messages: Iterable[bytes], folder: str | None = None) -> None:
        for raw in messages:
            self.deliver(user, raw, folder)

    def folder(self, user: str, name: str | None = None) -> list[bytes]:
        """Read the messages of a folder, in the order of delivery; an absent folder is empty."""
        maildir = self._maildir(user, name)
        while True:
            files = [file for part in ("new", "cur") for file in (maildir / part).glob("*")]
            try:
                return [file.read_bytes() for file in sorted(files, key=lambda file: file.name)]
            except FileNotFoundError:
                continue  # Dovecot moved or renamed one meanwhile: look again

    def folders(self, user: str) -> list[str]:
        """Name the folders beside INBOX, without the namespace's prefix."""
        maildir = self._maildir(user, None)
        return sorted(found.parent.name.removeprefix(".") for found in maildir.glob(".*/cur"))

    def _maildir(self, user: str, folder: str | None) -> Path:
        inbox = self.mail / user.lower() / "Maildir"
        if folder is None or folder == "INBOX":
            return inbox
        bare = folder.removeprefix(self.settings.prefix)
        return inbox / f".{bare.replace(self.settings.separator, '.')}"
