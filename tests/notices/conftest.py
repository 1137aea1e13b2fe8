"""A Postfix that takes our mail in each of the ways it may be reached, and delivers it to our Dovecot."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest

from tests.harness.running import await_true
from tests.servers.dovecot import Dovecot, DovecotSettings
from tests.servers.dovecot_configuration import by_version
from tests.servers.postfix import Postfix, to_lmtp
from tests.servers.process import free_port
from worker.domain.addresses import Address
from worker.outgoing import MailServer, Post, Security

NOTICE_FROM = Address.parse("dropbox@acme.example")
LATER = "later@acme.example"
NEVER = "never@acme.example"
MAIN = f"""
virtual_mailbox_domains = acme.example
smtpd_tls_cert_file = {{certificate}}
smtpd_tls_key_file = {{key}}
smtpd_tls_security_level = may
smtpd_sasl_auth_enable = yes
smtpd_sasl_authenticated_header = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:{{auth}}
smtpd_recipient_restrictions = check_recipient_access
  inline:{{{{ {{{{ {LATER}=450 4.2.0 not now }}}}, {{{{ {NEVER}=550 5.1.1 no such user }}}} }}}}
header_checks = regexp:$config_directory/header_checks
"""
MASTER = """
127.0.0.1:{tls} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
127.0.0.1:{bare} inet n - n - - smtpd -o smtpd_tls_security_level=none -o smtpd_sasl_auth_enable=no
"""
HEADER_CHECKS = "/^Subject: .*forbidden/ REJECT such words are not taken\n"


@dataclass(frozen=True)
class Outside:
    """The mail server and who reads mail behind it: ``port`` plain or STARTTLS, ``tls``, and ``bare`` of both."""

    postfix: Postfix
    dovecot: Dovecot
    tls: int
    bare: int

    def server(self, security: Security = Security.NONE, port: int | None = None, **more: object) -> MailServer:
        port = port or (self.tls if security is Security.TLS else self.postfix.port)
        return MailServer("localhost", port, security, ca_file=self.dovecot.authority, **more)  # type: ignore[arg-type]

    def post(self, security: Security = Security.NONE, **more: object) -> Post:
        return Post(self.server(security, **more), NOTICE_FROM)  # type: ignore[arg-type]

    def letters(self, login: str, count: int = 1) -> list[EmailMessage]:
        """Wait until this many mails arrived for the address and return them."""
        await_true(lambda: len(self.dovecot.folder(login)) >= count)
        return [message_from_bytes(raw, policy=default) for raw in self.dovecot.folder(login)]


@pytest.fixture(scope="session")
def outside(dovecot_with: Callable[[DovecotSettings], Dovecot]) -> Iterator[Outside]:
    auth, tls, bare = free_port(), free_port(), free_port()
    opening = by_version("inet_listener {\n    address", "inet_listener sasl {\n    listen")
    listener = f"service auth {{\n  {opening} = 127.0.0.1\n    port = {auth}\n  }}\n}}\n"
    dovecot = dovecot_with(DovecotSettings(extra=f"auth_mechanisms = plain login\n{listener}"))
    folder = dovecot.authority.parent
    main = MAIN.format(certificate=folder / "server.pem", key=folder / "server.key", auth=auth)
    postfix = Postfix(
        to_lmtp(dovecot) + main, MASTER.format(tls=tls, bare=bare), files={"header_checks": HEADER_CHECKS}
    )
    try:
        postfix.start()
        yield Outside(postfix, dovecot, tls, bare)
    finally:
        postfix.remove()


@pytest.fixture
def login(mailbox_user: str) -> str:
    """Name an address that nobody has had."""
    return f"{mailbox_user}@acme.example"
