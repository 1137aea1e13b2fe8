"""A DKIM signature (RFC 6376), made with openssl: the sender's domain signs every field and the body as they are."""

import base64
import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.servers.requirement import require

DOMAIN, SELECTOR = "example.com", "test"


@dataclass(frozen=True)
class Signer:
    """A domain's key pair."""

    key: Path
    domain: str = DOMAIN

    @classmethod
    def make(cls, folder: Path, domain: str = DOMAIN) -> "Signer":
        signer = cls(folder / "dkim.pem", domain)
        _openssl("genrsa", "-out", str(signer.key), "2048")
        return signer

    @property
    def records(self) -> dict[str, str]:
        """What the domain publishes: its key, and that mail without alignment is not its own."""
        public = _openssl("rsa", "-in", str(self.key), "-pubout", "-outform", "DER")
        return {
            f"{SELECTOR}._domainkey.{self.domain}": f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}",
            f"_dmarc.{self.domain}": "v=DMARC1; p=none",
        }

    def sign(self, raw: bytes, identity: str = "", *, is_right: bool = True) -> bytes:
        """Put the signature on top of a mail whose fields stand there once each; ``identity`` is its ``i=``."""
        head, _, body = raw.partition(b"\r\n\r\n")
        names = b":".join(line.partition(b":")[0] for line in head.split(b"\r\n"))
        digest = base64.b64encode(hashlib.sha256(body if is_right else b"another").digest())
        agent = f"i={identity}; " if identity else ""
        field = (
            f"DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d={self.domain}; s={SELECTOR}; {agent}"
            f"h={names.decode()}; bh={digest.decode()}; b="
        ).encode()
        signature = _openssl("dgst", "-sha256", "-sign", str(self.key), given=head + b"\r\n" + field)
        return field + base64.b64encode(signature) + b"\r\n" + raw


def _openssl(*arguments: str, given: bytes = b"") -> bytes:
    program = require("openssl", "openssl")
    return subprocess.run([program, *arguments], input=given, check=True, capture_output=True).stdout
