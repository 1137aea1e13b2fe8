"""A private Dovecot: any user name has a Maildir of its own, and tests write mail into it."""

import itertools
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from imapclient import IMAPClient

from tests.secrecy import DOVECOTS_PASSWORD
from tests.servers.account import unprivileged
from tests.servers.certificates import make_certificates
from tests.servers.process import ServerProcess, accepts, free_port, new_folder
from tests.servers.requirement import require

PASSWORD = DOVECOTS_PASSWORD
CAPABILITIES = (
    "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES "
    "THREAD=REFS THREAD=ORDEREDSUBJECT MULTIAPPEND URL-PARTIAL CATENATE UNSELECT CHILDREN "
    "NAMESPACE UIDPLUS LIST-EXTENDED I18NLEVEL=1 CONDSTORE QRESYNC ESEARCH ESORT SEARCHRES "
    "WITHIN CONTEXT=SEARCH LIST-STATUS BINARY MOVE SNIPPET=FUZZY PREVIEW=FUZZY PREVIEW "
    "STATUS=SIZE SAVEDATE LITERAL+ NOTIFY SPECIAL-USE"
)
# Run whole by one unprivileged user, Dovecot needs no chroot and no setuid.
CONFIGURATION = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = /dev/stderr
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
protocols = imap lmtp
listen = 127.0.0.1
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
disable_plaintext_auth = no
auth_failure_delay = 0
recipient_delimiter = +
mail_fsync = never
mail_max_userip_connections = 1000
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:~/Maildir
{accounts}
namespace inbox {{
  inbox = yes
  prefix = {prefix}
  separator = {separator}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
service imap-login {{
  chroot =
  service_count = 0
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = {imaps_port}
    ssl = yes
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp_port}
  }}
}}
{capability}
{extra}
"""
ANYBODY = """
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={mail}/%u allow_all_users=yes
}}
"""


@dataclass(frozen=True)
class DovecotSettings:
    """How one instance differs; `extra` is appended to its configuration as it is."""

    without: frozenset[str] = field(default_factory=frozenset)
    """Capabilities it does not announce."""
    prefix: str = ""
    separator: str = "."
    has_accounts: bool = False
    """Whether `extra` says who has a mailbox; else everybody has one."""
    extra: str = ""


class Dovecot:
    """One instance with ports `imap`, `imaps` and `lmtp`; every password is `PASSWORD`."""

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
        configuration = self._folder / "dovecot.conf"
        configuration.write_text(self._configuration())
        self.process = ServerProcess(
            "dovecot",
            self.account.command(program, "-F", "-c", configuration),
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

    @property
    def configuration(self) -> Path:
        return self._folder / "dovecot.conf"

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
        client.login(user, PASSWORD)
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
        """Give what stands in a folder, in the order of delivery; an absent folder is empty."""
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

    def _configuration(self) -> str:
        announced = [name for name in CAPABILITIES.split() if name not in self.settings.without]
        switched = f"imap_capability = {' '.join(announced)}" if self.settings.without else ""
        return CONFIGURATION.format(
            folder=self._folder,
            user=self.account.name,
            group=self.account.group,
            accounts="" if self.settings.has_accounts else self._anybody(),
            certificate=self._certificates.certificate,
            key=self._certificates.key,
            prefix=self.settings.prefix,
            separator=self.settings.separator,
            imap_port=self.imap,
            imaps_port=self.imaps,
            lmtp_port=self.lmtp,
            capability=switched,
            extra=self.settings.extra,
        )

    def _anybody(self) -> str:
        return ANYBODY.format(password=PASSWORD, uid=self.account.uid, gid=self.account.gid, mail=self.mail)
