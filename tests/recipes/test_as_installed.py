"""The Dovecot files of the recipes in the distribution's own configuration, under its own unit, as the recipes say."""

import re
import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from smtplib import LMTP

import pytest
from imapclient import IMAPClient

from tests.recipes.chain import MAILBOX, SENDER
from tests.recipes.letters import ANNE, BERT, PLAIN, dropbox
from tests.recipes.recipe import CONFIG, Recipe
from tests.servers.certificates import Certificates, make_certificates
from tests.servers.dovecot import PASSWORD
from tests.servers.process import free_port
from tests.servers.requirement import require
from tests.servers.systemd import Systemd
from tests.servers.unpacked import versions

PROGRAMS = 6
CONNECTIONS, MAILS = 20, 15
"""Each connection delivers so many: by default Dovecot 2.4 takes 10 deliveries for one user at a time."""
SAVED = 250
SOCKET = "/run/dovecot/bcc-dropbox-lmtp"
PORTS = """
service imap-login {
  inet_listener imap {
    port = %d
  }
  inet_listener imaps {
    port = 0
  }
}
"""


class Installed:
    """A system with Dovecot, the recipe's files in their places and the commands of its comments run."""

    def __init__(self, system: Systemd, certificates: Certificates) -> None:
        self._system = system
        self._port = free_port()
        # The certificate that the package ssl-cert makes, which a small installation does not have.
        self.run("mkdir -p /etc/dovecot/private && rm -f /etc/dovecot/private/dovecot.*")
        self.write("/etc/dovecot/private/dovecot.pem", certificates.certificate.read_text())
        self.write("/etc/dovecot/private/dovecot.key", certificates.key.read_text())
        mailbox = Recipe("dovecot-mailbox").for_dovecot("05-bcc-dropbox.conf")
        self.write("/etc/dovecot/conf.d/05-bcc-dropbox.conf", mailbox)
        self.write("/etc/dovecot/conf.d/99-bcc-dropbox-lmtp.conf", Recipe("opensmtpd").file("99-bcc-dropbox-lmtp.conf"))
        sieve = Recipe("postfix-dovecot-sieve")
        self.write("/etc/dovecot/local.conf", PORTS % self._port)
        self.write("/etc/dovecot/conf.d/99-bcc-dropbox-sieve.conf", sieve.for_dovecot("99-bcc-dropbox-sieve.conf"))
        self.write("/etc/dovecot/bcc-dropbox.sieve", sieve.file("bcc-dropbox.sieve"))
        for command in re.findall(r"^#   (\w.*)$", mailbox, re.MULTILINE):
            self.run(command.replace("doveadm pw", f"doveadm pw -p {shlex.quote(PASSWORD)}"))
        self.run("sievec /etc/dovecot/bcc-dropbox.sieve")
        self.run("systemctl start dovecot")

    def run(self, command: str) -> str:
        return self._system.run("sh", "-c", command)

    def write(self, path: str, text: str) -> None:
        self._system.path(path).write_text(text)

    def hand_over(self, socket: str, *recipients: str) -> list[int]:
        """Deliver in one transaction; gives the reply for each recipient."""
        with LMTP(str(self._system.path(socket))) as client:
            client.ehlo()
            return transaction(client, *recipients)

    def hand_over_many(self, recipient: str) -> list[int]:
        """Deliver `MAILS` times by one connection; gives the replies."""
        with LMTP(str(self._system.path(SOCKET))) as client:
            client.ehlo()
            return [reply for _ in range(MAILS) for reply in transaction(client, recipient)]

    def take(self, field: str) -> list[str]:
        """Take the mail out of the mailbox as the worker reads it; gives the values of the topmost such field."""
        with IMAPClient("127.0.0.1", port=self._port, ssl=False, timeout=30) as client:
            client.login(MAILBOX, PASSWORD)
            client.select_folder("INBOX")
            fetched = client.fetch(client.search(), ["BODY.PEEK[HEADER]"])
            client.delete_messages(list(fetched))
            client.expunge()
        heads = [answer[b"BODY[HEADER]"].decode() for answer in fetched.values()]
        return [found[1] for head in heads if (found := re.search(rf"^{field}: <?([^\s>]*)", head, re.MULTILINE))]


def transaction(client: LMTP, *recipients: str) -> list[int]:
    """Deliver one mail; the server replies once for each recipient (RFC 2033)."""
    client.mail(SENDER)
    for recipient in recipients:
        client.rcpt(recipient)
    first, _ = client.data(PLAIN)
    return [first] + [client.getreply()[0] for _ in recipients[1:]]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    require("dovecot", "dovecot-imapd")
    system = Systemd()
    try:
        yield Installed(system, make_certificates(tmp_path_factory.mktemp("certificates")))
    finally:
        system.remove()


def test_the_mailbox_of_the_recipe_is_read_where_mail_is_delivered(installed: Installed) -> None:
    for owner in (ANNE, BERT):
        assert installed.hand_over(SOCKET, dropbox(owner)) == [SAVED]
    assert installed.run("ls -d /var/vmail/*/*") == "/var/vmail/drop.example.com/drop"
    assert installed.take("Delivered-To") == [dropbox(ANNE), dropbox(BERT)]


def test_the_script_writes_down_each_of_several_recipients(installed: Installed) -> None:
    assert installed.hand_over("/run/dovecot/lmtp", dropbox(ANNE), dropbox(BERT)) == [SAVED, SAVED]
    assert installed.take("X-Drop-Rcpt") == [dropbox(ANNE), dropbox(BERT)]


def test_a_burst_of_mail_is_taken_at_once(installed: Installed) -> None:
    with ThreadPoolExecutor(CONNECTIONS) as crowd:
        replies = list(crowd.map(installed.hand_over_many, [dropbox(ANNE)] * CONNECTIONS))
    assert replies == [[SAVED] * MAILS] * CONNECTIONS
    assert installed.take("Delivered-To") == [dropbox(ANNE)] * MAILS * CONNECTIONS


def test_users_of_the_system_keep_their_mailboxes(installed: Installed) -> None:
    installed.run("useradd --create-home jane")
    assert installed.run("doveadm user -f home jane") == "/home/jane"


def test_the_versions_that_the_recipes_claim_are_those_that_the_tests_run() -> None:
    system = re.findall(r'^(?:NAME|VERSION_ID)="?([^"\n]*)', Path("/etc/os-release").read_text(), re.MULTILINE)
    rows = [line.strip("| ").split(" | ") for line in (CONFIG / "mail-servers.md").read_text().splitlines()]
    [titles] = [row for row in rows if row[0] == "program"]
    ours = f"{system[0].removesuffix(' GNU/Linux')} {system[-1]}"
    if ours not in titles:
        pytest.skip(f"the recipes claim nothing for {ours}")
    claimed = {row[0]: row[titles.index(ours)] for row in rows[rows.index(titles) + 2 :][:PROGRAMS]}
    ran = {name: re.sub(r"(?:\d+:)?(\d+\.\d+).*", r"\1", version) for name, version in versions(*claimed).items()}
    assert ran == claimed
