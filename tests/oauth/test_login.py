"""Logging in by token, at Dovecot's own OAuth 2.0 check."""

import base64
from datetime import timedelta
from uuid import uuid4

import pytest
from freezegun import freeze_time

from tests.imap.opening import plain
from tests.imap.scripted import Answers, Scripted
from tests.oauth.provider import CLIENT_ID, Provider
from tests.secrecy import CLIENT_SECRET
from tests.servers.dovecot import Dovecot
from worker.domain.errors import LoginRefused
from worker.domain.servers import ImapAccess, Mechanism, OAuthClient, Tls
from worker.imap.mailbox import ImapMailbox
from worker.imap.oauth import TokenSource

BOTH = pytest.mark.parametrize("mechanism", [Mechanism.XOAUTH2, Mechanism.OAUTHBEARER])


@pytest.fixture
def access(oauth_dovecot: Dovecot, mail_provider: Provider, mechanism: Mechanism) -> ImapAccess:
    mail_provider.user = f"mailbox-{uuid4().hex[:12]}"
    client = OAuthClient(mail_provider.token_url, CLIENT_ID, CLIENT_SECRET)
    return ImapAccess(
        "localhost",
        oauth_dovecot.imaps,
        Tls.SSL,
        mail_provider.user,
        ca_file=oauth_dovecot.authority,
        token=TokenSource(client),
        mechanism=mechanism,
    )


@BOTH
def test_a_token_opens_the_mailbox(access: ImapAccess, oauth_dovecot: Dovecot) -> None:
    oauth_dovecot.deliver(access.user, b"Subject: hello\r\n\r\nhello\r\n")
    mailbox = ImapMailbox(access)
    assert mailbox.open().messages == 1
    mailbox.close()


@BOTH
def test_after_the_token_expired_the_next_connection_has_a_new_one(access: ImapAccess, mail_provider: Provider) -> None:
    with freeze_time("2026-11-02 09:00") as clock:
        first = ImapMailbox(access)
        first.open()
        first.close()
        mail_provider.expire_all()
        clock.tick(timedelta(hours=1))
        given = mail_provider.given
        second = ImapMailbox(access)
        assert second.open().messages == 0
        second.close()
    assert mail_provider.given == given + 1


@BOTH
def test_a_token_that_the_server_does_not_take_is_a_refused_login_and_never_shown(
    access: ImapAccess, mail_provider: Provider
) -> None:
    assert access.token is not None
    token = access.token()
    mail_provider.expire_all()
    with pytest.raises(LoginRefused, match=f"login refused for {access.user}") as refused:
        ImapMailbox(access).open()
    assert token not in str(refused.value)


@pytest.mark.parametrize("mechanism", [Mechanism.XOAUTH2, Mechanism.OAUTHBEARER])
@pytest.mark.parametrize("where", ["in its refusal", "in its complaint"])
def test_a_token_that_the_server_repeats_is_struck_out(mechanism: Mechanism, where: str) -> None:
    echo = "access-token-of-the-mailbox"
    complaint = b"+ " + base64.b64encode(f"what is {echo}?".encode()) + b"\r\n"
    refusal = f"TAG NO what is {echo}?\r\n".encode()
    said = iter([refusal] if where == "in its refusal" else [complaint, b"TAG NO no\r\n"])
    answers: Answers = {
        "CAPABILITY": f"* CAPABILITY IMAP4rev1 AUTH={mechanism.upper()}\r\nTAG OK done\r\n".encode(),
        "AUTHENTICATE": b"+ \r\n",
        "": lambda _token: next(said),
    }
    with Scripted(answers) as server, pytest.raises(LoginRefused, match="what is …") as refused:
        ImapMailbox(plain(server.port, password="", token=lambda: echo, mechanism=mechanism)).open()
    assert echo not in str(refused.value)


@BOTH
def test_a_token_of_somebody_else_opens_nothing(access: ImapAccess, mail_provider: Provider) -> None:
    mail_provider.user = "somebody-else"
    with pytest.raises(LoginRefused):
        ImapMailbox(access).open()
