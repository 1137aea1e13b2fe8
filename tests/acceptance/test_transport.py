"""A connection that is not safe is refused, in one clear line, before a password is sent."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from shutil import rmtree

import pytest

from tests.harness.installation import Dropbox
from tests.imap.scripted import Scripted
from tests.servers.certificates import make_certificates
from tests.servers.dovecot import Dovecot, DovecotSettings
from tests.servers.dovecot_configuration import shown_certificate
from tests.servers.process import new_folder


def point_at(dropbox: Dropbox, port: int, tls: str, **settings: str) -> None:
    dropbox.settings |= {"imap_host": "localhost", "imap_port": str(port), "imap_tls": tls, **settings}


def refusal(dropbox: Dropbox, port: int, tls: str, **settings: str) -> str:
    """The one line that both `poll` and `check` tell, without the server's name."""
    point_at(dropbox, port, tls, **settings)
    polled, checked = dropbox.run("poll"), dropbox.run("check", "--json")
    assert (polled.code, checked.code) == (1, 1)
    [line] = [line for line in polled.err.splitlines() if line.startswith("error: ")]
    failed = [finding["seen"] for finding in checked.json if finding["result"] == "fail"]
    assert failed == [line.removeprefix("error: ")]
    return line.removeprefix(f"error: IMAP server localhost:{port}: ")


@pytest.fixture(scope="session")
def doubtful(dovecot_with: Callable[[DovecotSettings], Dovecot]) -> Iterator[Callable[..., tuple[Dovecot, Path]]]:
    """Start a Dovecot that shows another certificate; gives it and the authority to trust."""
    with ExitStack() as folders:

        def start(**how: object) -> tuple[Dovecot, Path]:
            folder = new_folder("certificates")
            folders.callback(rmtree, folder)
            made = make_certificates(folder, **how)  # type: ignore[arg-type]
            folder.chmod(0o755)
            return dovecot_with(DovecotSettings(extra=shown_certificate(made))), made.authority

        yield start


BOTH = pytest.mark.parametrize("tls", ["ssl", "starttls"])


@BOTH
def test_a_certificate_of_an_authority_that_is_not_trusted(
    dropbox: Dropbox, dovecot: Dovecot, tls: str, tmp_path: Path
) -> None:
    port = dovecot.imaps if tls == "ssl" else dovecot.imap
    expected = "its certificate is refused: self-signed certificate in certificate chain"
    unknown = "its certificate is refused: unable to get local issuer certificate"
    assert refusal(dropbox, port, tls) in {expected, unknown}
    other = make_certificates(tmp_path).authority
    assert refusal(dropbox, port, tls, imap_ca_file=str(other)) in {
        unknown,
        "its certificate is refused: certificate signature failure",
    }


@BOTH
def test_a_certificate_of_another_host(
    dropbox: Dropbox, doubtful: Callable[..., tuple[Dovecot, Path]], tls: str
) -> None:
    server, authority = doubtful(names="subjectAltName=DNS:mail.example.com")
    port = server.imaps if tls == "ssl" else server.imap
    assert refusal(dropbox, port, tls, imap_ca_file=str(authority)) == (
        "its certificate is refused: Hostname mismatch, certificate is not valid for 'localhost'."
    )


@BOTH
def test_a_certificate_that_has_expired(
    dropbox: Dropbox, doubtful: Callable[..., tuple[Dovecot, Path]], tls: str
) -> None:
    server, authority = doubtful(expired=True)
    port = server.imaps if tls == "ssl" else server.imap
    assert refusal(dropbox, port, tls, imap_ca_file=str(authority)) == (
        "its certificate is refused: certificate has expired"
    )


def test_starttls_that_somebody_took_out_of_the_offer(dropbox: Dropbox) -> None:
    with Scripted({}) as server:
        assert refusal(dropbox, server.port, "starttls") == "offers no STARTTLS; nothing is sent in plain text"
    assert {command.split()[0] for command in server.commands} <= {"CAPABILITY", "LOGOUT"}


def test_starttls_that_is_answered_without_tls(dropbox: Dropbox) -> None:
    answers = {
        "CAPABILITY": b"* CAPABILITY IMAP4rev1 STARTTLS\r\nTAG OK c\r\n",
        "STARTTLS": b"TAG OK begin\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n",
    }
    with Scripted(answers) as server:
        point_at(dropbox, server.port, "starttls", socket_seconds="1")
        ran = dropbox.run("poll")
    assert ran.code == 1
    # Whether the server answers depends on the octets that it takes for a line.
    assert re.search(r"^error: IMAP server localhost:\d+: (no TLS with it|no answer within)", ran.err, re.MULTILINE)
    assert not [command for command in server.commands if "LOGIN" in command or "AUTHENTICATE" in command]


def test_no_tls_at_all_on_the_port_for_tls(dropbox: Dropbox, dovecot: Dovecot) -> None:
    assert refusal(dropbox, dovecot.imap, "ssl") == "no TLS with it: WRONG_VERSION_NUMBER"


@pytest.mark.parametrize("host", ["mail.example.com", "192.0.2.7", "0.0.0.0", "::2", "localhost.example.com"])
def test_plain_text_to_another_machine_is_no_setting(dropbox: Dropbox, host: str) -> None:
    dropbox.settings |= {"imap_host": host, "imap_tls": "none"}
    ran = dropbox.run("poll")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "error: BCC_DROPBOX_IMAP_TLS is 'none', which only a loopback BCC_DROPBOX_IMAP_HOST may have"
        f" (it is '{host}'): it should be ssl or starttls\n"
    )


@pytest.mark.skipif(sys.version_info < (3, 13), reason="takes such an authority")
def test_check_says_how_to_renew_an_authority_without_key_usage(
    dropbox: Dropbox, doubtful: Callable[..., tuple[Dovecot, Path]]
) -> None:
    server, authority = doubtful(authority=["basicConstraints=critical,CA:TRUE"])
    told = refusal(dropbox, server.imaps, "ssl", imap_ca_file=str(authority))
    assert told.endswith("(the authority's certificate lacks keyUsage)")
    [failed] = [found for found in dropbox.run("check", "--json").json if found["result"] == "fail"]
    assert "openssl x509 -in ca.pem -signkey ca.key" in failed["mending"]
