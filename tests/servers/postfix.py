"""A private Postfix: takes mail by SMTP and hands it to our Dovecot, as a recipe says."""

import grp
import os
import pwd
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.servers.dovecot import Dovecot
from tests.servers.process import ServerProcess, free_port, new_folder
from tests.servers.requirement import require_root
from tests.servers.submission import greets, hand_in
from tests.servers.unpacked import Unpacked, unpacked

DOMAIN = "drop.example"
# Accounts that every Debian has; Postfix only asks that nobody else's programs run as them.
OWNER, DROP_GROUP = "daemon", "mail"
# What makes it private. Nothing ever leaves: whatever is not for us has no transport.
MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = {root}/usr/lib/postfix/sbin
command_directory = {root}/usr/sbin
shlib_directory = {root}/usr/lib/postfix
meta_directory = {root}/etc/postfix
import_environment = MAIL_CONFIG TZ LD_LIBRARY_PATH={library_path}
mail_owner = {owner}
setgid_group = {drop_group}
maillog_file = {folder}/postfix.log
maillog_file_prefixes = {folder}
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = mx.{domain}
mydestination =
alias_maps =
virtual_mailbox_domains = {domain}
smtpd_relay_restrictions = reject_unauth_destination
default_transport = error:nothing leaves this machine
relay_transport = error:nothing leaves this machine
biff = no
"""
MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
QUEUES = (
    *("active", "bounce", "corrupt", "defer", "deferred", "flush"),
    *("hold", "incoming", "private", "saved", "trace"),
)


def to_lmtp(dovecot: Dovecot) -> str:
    """Deliver to one mailbox by LMTP, one recipient at a time so that each copy has its token."""
    return (
        f"virtual_transport = lmtp:inet:127.0.0.1:{dovecot.lmtp}\n"
        "lmtp_destination_recipient_limit = 1\n"
        "recipient_delimiter = +\n"
    )


def to_maildir(dovecot: Dovecot, user: str) -> str:
    """Deliver whatever the domain gets into one user's Maildir by virtual(8)."""
    account = dovecot.account
    return (
        f"virtual_mailbox_base = {dovecot.mail}\n"
        f"virtual_mailbox_maps = static:{user}/Maildir/\n"
        f"virtual_uid_maps = static:{account.uid}\n"
        f"virtual_gid_maps = static:{account.gid}\n"
        f"virtual_minimum_uid = 1\n"
    )


class Postfix:
    """One instance whose main.cf and master.cf end with what the test gives.

    `files` are written beside main.cf, which can name them as `$config_directory/NAME`.
    """

    def __init__(self, main: str, master: str = "", files: Mapping[str, str] | None = None) -> None:
        require_root("Postfix")
        programs = unpacked("postfix")
        self.port = free_port()
        self._folder = new_folder("postfix")
        _make_queue(self._folder)
        configuration = self._folder / "config"
        configuration.mkdir()
        (configuration / "main.cf").write_text(_private(programs, self._folder) + main)
        (configuration / "master.cf").write_text(MASTER.format(port=self.port) + master)
        for name, content in (files or {}).items():
            (configuration / name).write_text(content)
        _make_old(configuration)
        self.process = ServerProcess(
            "postfix",
            [str(programs.program("/usr/lib/postfix/sbin/master")), "-c", str(configuration)],
            self._folder,
            ready=lambda: greets(self.port),
            environment={"LD_LIBRARY_PATH": programs.library_path},
        )

    def start(self) -> None:
        self.process.start()

    def stop(self) -> None:
        self.process.stop()

    def remove(self) -> None:
        self.process.remove()

    def send(self, sender: str, recipients: Sequence[str], raw: bytes) -> None:
        """Hand a message in as a mail server elsewhere would, in one transaction."""
        hand_in(self.port, sender, recipients, raw)


def _private(programs: Unpacked, folder: Path) -> str:
    return MAIN.format(
        folder=folder,
        root=programs.root,
        library_path=programs.library_path,
        owner=OWNER,
        drop_group=DROP_GROUP,
        domain=DOMAIN,
    )


def _make_queue(folder: Path) -> None:
    """Make what `postfix check` would, which needs an installed Postfix."""
    owner, drop = pwd.getpwnam(OWNER).pw_uid, grp.getgrnam(DROP_GROUP).gr_gid
    queue = folder / "queue"
    (queue / "pid").mkdir(parents=True)
    for name in QUEUES:
        _make(queue / name, 0o700, owner, -1)
    _make(queue / "maildrop", 0o1730, owner, drop)
    _make(queue / "public", 0o2710, owner, drop)
    _make(folder / "data", 0o700, owner, -1)


def _make_old(configuration: Path) -> None:
    """Postfix waits until nothing has changed for two seconds, lest it read a file that is half written."""
    long_ago = time.time() - 3600
    for file in configuration.iterdir():
        os.utime(file, (long_ago, long_ago))


def _make(folder: Path, mode: int, owner: int, group: int) -> None:
    folder.mkdir()
    os.chown(folder, owner, group)
    folder.chmod(mode)
