"""Connecting and logging in: TLS is never skipped, and each failure is one line that names the server and no secret."""

import base64
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from tests.imap.opening import access_to, encrypted, plain
from tests.imap.scripted import LOST, Answers, Scripted
from tests.servers.certificates import Certificates, make_certificates
from tests.servers.cut import Cut
from tests.servers.dovecot import Dovecot, DovecotSettings
from tests.servers.dovecot_configuration import shown_certificate
from tests.servers.process import free_port, new_folder
from worker.domain.errors import LoginRefused, Refused, Unavailable
from worker.imap import ImapAccess, ImapMailbox, Mechanism, Tls

Started = Callable[[DovecotSettings], Dovecot]
# Dovecot makes everybody at an address wait who sent wrong passwords.
PATIENT = "service anvil {\n  unix_listener anvil-auth-penalty {\n    mode = 0\n  }\n}"
BOTH = pytest.mark.parametrize("tls", [Tls.SSL, Tls.STARTTLS])


def failure(access: ImapAccess) -> Unavailable:
    """Return the error of opening the mailbox; check that it is one line without the password."""
    mailbox = ImapMailbox(access)
    with pytest.raises(Unavailable) as raised:
        mailbox.open()
    mailbox.close()
    text = str(raised.value)
    assert text.startswith(f"IMAP server {access.host}:{access.port}: ")
    assert "\n" not in text
    if access.password:
        assert access.password not in text
    assert access.password not in repr(access) or not access.password
    return raised.value


@BOTH
def test_a_server_that_proves_itself_is_let_in(dovecot: Dovecot, mailbox_user: str, tls: Tls) -> None:
    mailbox = ImapMailbox(encrypted(dovecot, mailbox_user, tls))
    assert mailbox.open().messages == 0
    assert "MOVE" in mailbox.capabilities()  # what is offered after the login, not before
    mailbox.close()


@BOTH
def test_a_certificate_of_an_unknown_authority_is_refused(dovecot: Dovecot, mailbox_user: str, tls: Tls) -> None:
    assert "certificate is refused" in str(failure(encrypted(dovecot, mailbox_user, tls, ca_file=None)))


@BOTH
def test_a_certificate_of_another_authority_is_refused(
    dovecot: Dovecot, mailbox_user: str, tls: Tls, tmp_path: Path
) -> None:
    other = make_certificates(tmp_path).authority
    assert "certificate is refused" in str(failure(encrypted(dovecot, mailbox_user, tls, ca_file=other)))


@pytest.fixture(scope="module")
def other_name(dovecot_with: Started) -> Iterator[tuple[Dovecot, Path]]:
    folder = new_folder("names")
    made: Certificates = make_certificates(folder, "subjectAltName=DNS:mail.example.com")
    yield dovecot_with(DovecotSettings(extra=shown_certificate(made))), made.authority
    shutil.rmtree(folder)


@BOTH
def test_a_certificate_for_another_host_name_is_refused(
    other_name: tuple[Dovecot, Path], mailbox_user: str, tls: Tls
) -> None:
    server, authority = other_name
    told = str(failure(encrypted(server, mailbox_user, tls, ca_file=authority)))
    assert re.search(r"certificate is refused: .*localhost", told)


@pytest.mark.parametrize(
    "answers",
    [{}, {"CAPABILITY": b"* CAPABILITY IMAP4rev1 STARTTLS\r\nTAG OK c\r\n", "STARTTLS": b"TAG NO not today\r\n"}],
    ids=["not offered", "refused"],
)
def test_without_starttls_nothing_is_sent_in_plain_text(answers: Answers) -> None:
    with Scripted(answers) as server:
        failure(plain(server.port, tls=Tls.STARTTLS))
    assert {command.split()[0] for command in server.commands} <= {"CAPABILITY", "STARTTLS", "LOGOUT"}


def test_a_greeting_that_claims_the_login_is_done_does_not_get_around_starttls() -> None:
    with Scripted({}, greeting=b"* PREAUTH welcome\r\n") as server:
        failure(plain(server.port, tls=Tls.STARTTLS))
    assert "SELECT" not in {command.split()[0] for command in server.commands}


@pytest.mark.parametrize("host", ["mail.example.com", "10.0.0.1", "localhost.example.com", "0.0.0.0", "::2", ""])
def test_plain_text_is_refused_off_this_machine_before_anything_is_sent(host: str) -> None:
    with pytest.raises(Refused, match="plain text is for this machine only"):
        plain(143, host=host)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "::1", "127.8.8.8"])
def test_plain_text_is_for_this_machine(host: str) -> None:
    assert plain(143, host=host).host == host


@pytest.mark.parametrize("password", ["wrong-password", "falsches-Paßwort", 'quo"te\\d'])
def test_a_wrong_password_is_a_refused_login(dovecot_with: Started, mailbox_user: str, password: str) -> None:
    server = dovecot_with(DovecotSettings(extra=PATIENT))
    refused = failure(access_to(server, mailbox_user, password=password))
    assert isinstance(refused, LoginRefused)
    assert f"login refused for {mailbox_user}: [AUTHENTICATIONFAILED] Authentication failed." in str(refused)


def test_a_password_beyond_ascii_is_let_in(dovecot_with: Started, mailbox_user: str) -> None:
    server = dovecot_with(DovecotSettings(password="Paßwort-ümläut"))
    mailbox = ImapMailbox(access_to(server, mailbox_user, password="Paßwort-ümläut"))
    assert mailbox.open().messages == 0
    mailbox.close()


@pytest.mark.parametrize("answer", [LOST, b"* BYE shutting down\r\n", b"TAG NO [UNAVAILABLE] later\r\n"])
def test_an_outage_during_the_login_is_not_taken_for_a_wrong_password(answer: bytes) -> None:
    with Scripted({"LOGIN": answer}) as server:
        assert not isinstance(failure(plain(server.port, timeout_seconds=1.0)), LoginRefused)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"TAG NO [THROTTLED] Slow down\r\n", "[THROTTLED] Slow down"),
        (b"TAG NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)\r\n", "[OVERQUOTA] Account"),
        (b"TAG NO [ALERT] Too many simultaneous connections. (Failure)\r\n", "Too many simultaneous connections"),
        (b"TAG NO [LIMIT] LOGIN Rate limit hit\r\n", "Rate limit hit"),
        (b"TAG NO Server Unavailable. 15\r\n", "Server Unavailable"),
        (b"TAG BAD Request is throttled. Suggested Backoff Time: 92412 milliseconds\r\n", "Backoff Time: 92412"),
        (b"TAG BAD User is authenticated but not connected.\r\n", "not connected"),
        (b"* BYE [UNAVAILABLE] Maximum number of connections from user+IP exceeded\r\n", "connections from user+IP"),
        (b"* BYE Session invalidated - AccessTokenExpired\r\n", "AccessTokenExpired"),
    ],
)
def test_a_server_that_does_not_look_at_the_login_now_is_an_outage_that_shows_its_words(
    answer: bytes, told: str
) -> None:
    with Scripted({"LOGIN": answer}) as server:
        outage = failure(plain(server.port, timeout_seconds=1.0))
    assert not isinstance(outage, LoginRefused)
    assert told in str(outage)


@pytest.mark.parametrize(
    "answer",
    [
        b"TAG NO [AUTHENTICATIONFAILED] Too many connections with a wrong password\r\n",
        b"TAG NO [AUTHENTICATIONFAILED] Temporarily locked: rate limit of wrong passwords\r\n",
        b"TAG NO Invalid credentials (Failure)\r\n",
        b"TAG NO [EXPIRED] Set a new password\r\n",
        b"TAG NO Too many login failures\r\n",
    ],
)
def test_a_login_that_was_judged_is_refused(answer: bytes) -> None:
    with Scripted({"LOGIN": answer}) as server:
        assert isinstance(failure(plain(server.port)), LoginRefused)


def test_a_server_that_says_goodbye_instead_of_hello_is_quoted() -> None:
    with Scripted({}, greeting=b"* BYE [ALERT] Too many connections from your address\r\n") as server:
        outage = failure(plain(server.port))
    assert str(outage).endswith("the connection was lost: [ALERT] Too many connections from your address")


@pytest.mark.parametrize(
    "user", [r"ACME\jane", "jane doe", 'jane "j" doe', "a\\ b", "(jane)", "jane%*", "jane]", "NIL"]
)
def test_a_user_name_of_any_characters_logs_in(dovecot_with: Started, user: str) -> None:
    name = f"{user}{uuid4().hex[:8]}"
    mailbox = ImapMailbox(access_to(dovecot_with(DovecotSettings(extra="auth_username_chars =")), name))
    assert mailbox.open().messages == 0
    mailbox.close()


def test_a_password_in_the_servers_answer_is_not_passed_on() -> None:
    with Scripted({"LOGIN": b"TAG NO no such pair jane/hunter2-hunter2\r\n"}) as server:
        assert isinstance(failure(plain(server.port, password="hunter2-hunter2")), LoginRefused)


def test_a_server_that_takes_no_passwords_is_told_apart() -> None:
    capability = b"* CAPABILITY IMAP4rev1 LOGINDISABLED\r\nTAG OK c\r\n"
    with Scripted({"CAPABILITY": capability}) as server:
        assert "LOGINDISABLED" in str(failure(plain(server.port)))
    assert not [command for command in server.commands if command.startswith("LOGIN")]


def test_a_server_that_is_not_there_is_told(mailbox_user: str) -> None:
    assert "nothing listens there" in str(failure(plain(free_port())))
    unknown = encrypted_nowhere("no-such-host.invalid")
    assert "the host is unknown" in str(failure(unknown))


def encrypted_nowhere(host: str) -> ImapAccess:
    return plain(993, host=host, tls=Tls.SSL, timeout_seconds=5.0)


def test_a_server_that_does_not_answer_is_given_up_in_time(cut: Cut) -> None:
    cut.stall()
    assert "no answer within 0.2 seconds" in str(failure(plain(cut.port, timeout_seconds=0.2)))


@pytest.mark.parametrize(("tls", "told"), [(Tls.NONE, "no whole answer within 2"), (Tls.SSL, "no answer within 0.5")])
def test_a_server_with_an_octet_now_and_then_is_given_up_before_it_has_greeted(
    dovecot: Dovecot, mailbox_user: str, tls: Tls, told: str
) -> None:
    """The timeout covers the whole TLS handshake."""
    access = encrypted(dovecot, mailbox_user, tls, timeout_seconds=0.5)
    with Cut(access.port) as cut:
        cut.trickle(5)
        assert told in str(failure(replace(access, port=cut.port)))


@pytest.mark.parametrize(
    ("file", "why"), [("/nowhere/ca.pem", "No such file or directory"), ("/dev/null", "no certificate")]
)
def test_an_authority_that_cannot_be_read_is_told(dovecot: Dovecot, mailbox_user: str, file: str, why: str) -> None:
    told = str(failure(encrypted(dovecot, mailbox_user, Tls.SSL, ca_file=Path(file))))
    assert f"the authority in {file} cannot be read: " in told
    assert why in told


COMPLAINT = b"+ eyJzdGF0dXMiOiI0MDEifQ==\r\n"  # {"status":"401"}


@pytest.mark.parametrize(("mechanism", "given_up"), [(Mechanism.XOAUTH2, ""), (Mechanism.OAUTHBEARER, "AQ==")])
def test_a_refused_token_is_a_refused_login_and_never_shown(mechanism: Mechanism, given_up: str) -> None:
    secret = "ya29.secret-token"
    refused = b"TAG NO SASL authentication failed\r\n"
    answers: Answers = {"AUTHENTICATE": b"+ \r\n", "": lambda said: refused if said == given_up else COMPLAINT}
    with Scripted(answers) as server:
        access = plain(server.port, password="", token=lambda: secret, mechanism=mechanism, timeout_seconds=1.0)
        told = failure(access)
    assert isinstance(told, LoginRefused)
    assert 'SASL authentication failed {"status":"401"}' in str(told)
    assert secret not in str(told) + repr(access)
    assert secret in base64.b64decode(server.commands[2]).decode()


def test_the_token_is_asked_for_at_each_login(cut: Cut) -> None:
    asked: list[int] = []

    def token() -> str:
        asked.append(1)
        raise LoginRefused("IMAP server 127.0.0.1: no token today")

    mailbox = ImapMailbox(plain(cut.port, token=token))
    for _ in range(2):
        with pytest.raises(LoginRefused, match="no token today"):
            mailbox.open()
    assert len(asked) == 2
    assert cut.connections == 0
