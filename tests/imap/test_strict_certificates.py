"""An authority without the extensions of RFC 5280: refused since Python 3.13, with a command that repairs it."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.servers.certificates import AUTHORITY, Certificates, make_certificates
from worker.domain.errors import Unavailable
from worker.domain.servers import ImapAccess, Tls
from worker.imap.connection import translated
from worker.wire import renewal, trusting

BASIC, KEY_USAGE = AUTHORITY
ACCESS = ImapAccess("mail.acme.example", 993, Tls.SSL, "drop", "secret")


def shake_hands(shown: Certificates, authority: Path) -> None:
    """Connect as Python 3.13 does; earlier versions are less strict."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(shown.certificate, shown.key)
    client = trusting(authority)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    ours, theirs = socket.socketpair()

    def serve() -> None:
        try:
            server.wrap_socket(theirs, server_side=True).close()
        except OSError:  # the client refused
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        client.wrap_socket(ours, server_hostname="localhost").close()
    finally:
        ours.close()
        thread.join()


@pytest.mark.parametrize(
    ("authority", "lacks"),
    [
        ([BASIC], "the authority's certificate lacks keyUsage"),
        ([BASIC.replace("critical,", ""), KEY_USAGE], "the authority's certificate lacks a critical basicConstraints"),
        ([BASIC, KEY_USAGE, "subjectKeyIdentifier=none"], "the server's certificate lacks authorityKeyIdentifier"),
    ],
    ids=["keyUsage", "basicConstraints", "authorityKeyIdentifier"],
)
def test_what_a_certificate_lacks_is_named_and_the_command_adds_it(
    authority: Sequence[str], lacks: str, tmp_path: Path
) -> None:
    made = make_certificates(tmp_path, authority=authority)
    with pytest.raises(Unavailable) as refused, translated(ACCESS):
        shake_hands(made, made.authority)
    assert str(refused.value).endswith(f" ({lacks})")
    command = (renewal(refused.value) or "").partition(": ")[2]
    subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, check=True, capture_output=True)
    renewed = tmp_path / "server-new.pem"
    certificate = renewed if renewed.exists() else made.certificate
    shake_hands(replace(made, certificate=certificate), tmp_path / "ca-new.pem")


def test_other_refusals_have_no_such_command(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    (tmp_path / "other").mkdir()
    with pytest.raises(ssl.SSLCertVerificationError) as refused:
        shake_hands(made, make_certificates(tmp_path / "other").authority)
    assert renewal(refused.value) is None
