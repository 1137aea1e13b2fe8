"""Handing letters to a real mail server: in safety, and told apart are sent, not now, and never."""

from dataclasses import replace
from email.message import EmailMessage

import pytest

from tests.notices.conftest import LATER, NEVER, Outside
from tests.servers.cut import Cut
from tests.servers.dovecot import PASSWORD
from tests.servers.process import free_port
from worker.domain.addresses import Address
from worker.domain.errors import LoginRefused, Refused, Unavailable
from worker.outgoing import MailServer, Post, Security, Undeliverable


def letter(subject: str = "hello") -> EmailMessage:
    made = EmailMessage()
    made["From"] = "dropbox@acme.example"
    made["Subject"] = subject
    made.set_content("hello\n")
    return made


def send(post: Post, to: str, subject: str = "hello", *, bounces: bool = False) -> None:
    post.deliver(letter(subject), Address.parse(to), bounces=bounces)


@pytest.mark.parametrize("security", list(Security))
@pytest.mark.parametrize("user", [None, "dropbox"])
def test_a_letter_arrives_in_whatever_way_the_server_is_reached(
    outside: Outside, login: str, security: Security, user: str | None
) -> None:
    send(outside.post(security, user=user, password=PASSWORD), login)
    (arrived,) = outside.letters(login)
    assert arrived["Subject"] == "hello"
    assert arrived["Return-Path"] == "<>"
    # RFC 3848: S for TLS, A for a login.
    protocol = f"ESMTP{'' if security is Security.NONE else 'S'}{'A' if user else ''}"
    assert f"with {protocol} id" in arrived.get_all("Received", [])[-1]


def test_a_letter_that_may_bounce_names_its_sender_on_the_envelope(outside: Outside, login: str) -> None:
    send(outside.post(), login, bounces=True)
    assert outside.letters(login)[0]["Return-Path"] == "<dropbox@acme.example>"


@pytest.mark.parametrize(
    "subject", ["=?utf-8?q?hello=0ABcc:_eve@evil.example?=", "=?utf-8?q?=0A=0AHello?=", "=?utf-8?q?=0DX:_y?="]
)
def test_a_letter_with_fields_that_nobody_wrote_is_not_sent(outside: Outside, login: str, subject: str) -> None:
    """The library decodes the subject, and may write its line ends (CVE-2024-6923); newer ones encode them again."""
    try:
        send(outside.post(), login, subject)
    except Undeliverable:
        assert outside.dovecot.folder(login) == []
    else:
        (arrived,) = outside.letters(login)
        assert not {"Bcc", "X"} & set(arrived.keys())
        assert arrived.get_content().strip() == "hello"


def test_a_certificate_of_somebody_else_is_refused(outside: Outside, login: str) -> None:
    for security in (Security.TLS, Security.STARTTLS):
        trusting = outside.server(security)
        unknown = MailServer("localhost", trusting.port, security)
        with pytest.raises(Unavailable, match="its certificate is refused: unable to get local issuer"):
            send(Post(unknown, outside.post().sender), login)
    assert outside.dovecot.folder(login) == []


def test_a_host_name_that_the_certificate_does_not_have_is_refused(outside: Outside, login: str) -> None:
    # Another way to write 127.0.0.1, which no certificate has.
    elsewhere = MailServer("127.1", outside.tls, Security.TLS, ca_file=outside.dovecot.authority)
    with pytest.raises(Unavailable, match="its certificate is refused: Hostname mismatch"):
        send(Post(elsewhere, outside.post().sender), login)


def test_starttls_is_never_skipped(outside: Outside, login: str) -> None:
    with pytest.raises(Unavailable, match="offers no STARTTLS; nothing is sent in plain text"):
        send(Post(outside.server(Security.STARTTLS, outside.bare), outside.post().sender), login)


def test_a_wrong_password_is_a_refused_login_and_never_shown(outside: Outside, login: str) -> None:
    post = outside.post(Security.TLS, user="dropbox", password="wrong-secret")
    with pytest.raises(LoginRefused, match=r"login refused for dropbox: 535$") as refused:
        send(post, login)
    assert refused.value.__context__ is None
    assert "wrong-secret" not in repr(outside.server(password="wrong-secret"))


@pytest.mark.parametrize("password", ["gehört", PASSWORD])
def test_a_server_that_takes_no_password_is_a_refused_login(outside: Outside, login: str, password: str) -> None:
    server = outside.server(Security.NONE, outside.bare if password == PASSWORD else None, user="u", password=password)
    with pytest.raises(LoginRefused, match="takes no"):
        send(Post(server, outside.post().sender), login)


@pytest.mark.parametrize(
    ("to", "subject", "error", "said"),
    [
        (NEVER, "hello", Undeliverable, "550 5.1.1 <never@acme.example>: Recipient address rejected: no such user"),
        ("joe@elsewhere.example", "hello", Undeliverable, "554 5.7.1"),
        ("joe@acme.example", "forbidden", Undeliverable, "550 5.7.1 such words are not taken"),
        (LATER, "hello", Unavailable, "450 4.2.0 <later@acme.example>: Recipient address rejected: not now"),
    ],
)
def test_not_now_and_never_are_told_apart(
    outside: Outside, to: str, subject: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        send(outside.post(), to, subject)


def test_a_server_that_is_down_or_silent_is_an_outage(login: str, outside: Outside) -> None:
    nobody = MailServer("127.0.0.1", free_port(), Security.NONE)
    with pytest.raises(Unavailable, match=r"mail server 127\.0\.0\.1:\d+: nothing listens there"):
        send(Post(nobody, outside.post().sender), login)
    # A plain greeting is awaited where TLS would have to begin.
    silent = MailServer("127.0.0.1", outside.tls, Security.NONE, timeout_seconds=0.2)
    with pytest.raises(Unavailable, match=r"no answer within 0\.2 seconds|the connection was lost"):
        send(Post(silent, outside.post().sender), login)


@pytest.mark.parametrize(
    ("security", "told"), [(Security.NONE, "no whole answer within 2"), (Security.TLS, "no answer within 0.5")]
)
def test_a_server_with_an_octet_now_and_then_is_an_outage(
    outside: Outside, login: str, security: Security, told: str
) -> None:
    """The timeout covers the whole TLS handshake."""
    server = outside.server(security, timeout_seconds=0.5)
    with Cut(server.port) as cut:
        cut.trickle(5)
        with pytest.raises(Unavailable, match=told):
            send(Post(replace(server, port=cut.port), outside.post().sender), login)


def test_a_server_that_dawdles_at_every_answer_is_an_outage(outside: Outside) -> None:
    """Break off the letter as a whole: each single wait is short, but there are many."""
    server = outside.server(timeout_seconds=0.5)
    with Cut(server.port) as cut:
        cut.delay(0.1)
        post = Post(replace(server, port=cut.port), outside.post().sender)
        with pytest.raises(Unavailable, match="no whole answer within 2"):
            post.hand_in(letter().as_bytes(), [f"{number}@acme.example" for number in range(20)])


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://localhost", MailServer("localhost", 25, Security.NONE)),
        ("smtp+starttls://mail.example", MailServer("mail.example", 587, Security.STARTTLS)),
        ("smtps://mail.example", MailServer("mail.example", 465, Security.TLS)),
        ("smtps://jo%40a.example:p%3A%2Fw@[::1]:4650", MailServer("::1", 4650, Security.TLS, "jo@a.example", "p:/w")),
        ("smtp://user:pw@127.0.0.1:2525", MailServer("127.0.0.1", 2525, Security.NONE, "user", "pw")),
    ],
)  # fmt: skip
def test_the_url_says_all_of_it(url: str, expected: MailServer) -> None:
    assert MailServer.parse(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        *("http://secret@mail.example", "mail.example", "smtp://", "smtps://:secret@mail.example", "smtp://h:99999"),
        *("smtp://user:secret@mail.example", "smtp://h:0", ""),
    ],
)
def test_an_unusable_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(Refused) as refused:
        MailServer.parse(url)
    assert "secret" not in str(refused.value)
