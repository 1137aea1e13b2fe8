"""A certificate authority of our own and a certificate for localhost, made with openssl."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.servers.requirement import require

NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1"
AUTHORITY = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign")
"""What an authority must say of itself. Since Python 3.13 a client refuses one without keyUsage (RFC 5280)."""


@dataclass(frozen=True)
class Certificates:
    """What a server shows (`certificate`, `key`) and what a client trusts (`authority`)."""

    authority: Path
    certificate: Path
    key: Path


def make_certificates(
    folder: Path, names: str = NAMES, *, expired: bool = False, authority: Sequence[str] = AUTHORITY
) -> Certificates:
    """Make both. Clients refuse a certificate with other `names`, `expired`, or of an `authority` that says less."""
    made = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    authority_key = folder / "ca.key"
    empty = folder / "openssl.cnf"  # the system's own adds extensions by itself
    empty.write_text("[req]\ndistinguished_name = name\n[name]\n")
    new: list[str | Path] = [
        "req",
        "-config",
        empty,
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    _openssl(
        *new, "-subj", "/CN=bcc-dropbox tests", "-days", "2", *_extensions(*authority),
        "-keyout", authority_key, "-out", made.authority,
    )  # fmt: skip
    _openssl(
        *new, "-subj", "/CN=localhost", "-days", "2", *_extensions(names, "basicConstraints=critical,CA:FALSE"),
        "-CA", made.authority, "-CAkey", authority_key,
        "-keyout", made.key, "-out", made.certificate,
    )  # fmt: skip
    if expired:
        request, copied = folder / "server.csr", ("-copy_extensions", "copyall")
        _openssl("x509", "-x509toreq", "-in", made.certificate, "-key", made.key, *copied, "-out", request)
        _openssl(
            "x509", "-req", "-in", request, *copied, "-days", "0", "-set_serial", "7",
            "-CA", made.authority, "-CAkey", authority_key, "-out", made.certificate,
        )  # fmt: skip
    made.key.chmod(0o644)  # the server that reads it runs as somebody else
    return made


def _extensions(*extensions: str) -> list[str]:
    return [word for extension in extensions for word in ("-addext", extension)]


def _openssl(*arguments: str | Path) -> None:
    program = require("openssl", "openssl")
    subprocess.run([program, *arguments], check=True, capture_output=True)
