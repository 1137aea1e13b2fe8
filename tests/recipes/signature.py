"""A DKIM signature (RFC 6376): the sender's domain signs every field and the body."""

import base64
import hashlib
import re
from dataclasses import dataclass
from functools import cached_property

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

DOMAIN, SELECTOR = "example.com", "test"
_FOLD_OR_SPACE = re.compile(rb"[ \t\r\n]+")


@dataclass(frozen=True)
class Signer:
    """A domain's key pair."""

    key: rsa.RSAPrivateKey
    domain: str = DOMAIN

    @classmethod
    def make(cls, domain: str = DOMAIN) -> "Signer":
        return cls(rsa.generate_private_key(public_exponent=65537, key_size=2048), domain)

    @cached_property
    def public(self) -> str:
        """Give the TXT record of the key."""
        encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        return f"v=DKIM1; k=rsa; p={base64.b64encode(self.key.public_key().public_bytes(encoding, form)).decode()}"

    @property
    def records(self) -> dict[str, str]:
        """List what the domain publishes: its key, and that mail without alignment is not its own."""
        return {f"{SELECTOR}._domainkey.{self.domain}": self.public, f"_dmarc.{self.domain}": "v=DMARC1; p=reject"}

    def sign(
        self,
        raw: bytes,
        tags: str = "",
        *,
        domain: str = "",
        selector: str = SELECTOR,
        algorithm: str = "rsa-sha256",
        relaxed: bool = False,
        length: int | None = None,
        is_right: bool = True,
    ) -> bytes:
        """Put a signature on top of a mail; ``tags`` are more of them, each with its semicolon."""
        head, _, body = raw.partition(b"\r\n\r\n")
        fields = re.split(rb"\r\n(?![ \t])", head)[::-1]
        names = b":".join(field.partition(b":")[0].strip() for field in fields).decode()
        signed = (body if is_right else b"another")[:length]
        digest = base64.b64encode(hashlib.sha256(signed).digest()).decode()
        form = "relaxed" if relaxed else "simple"
        limit = "" if length is None else f"l={length}; "
        field = (
            f"DKIM-Signature: v=1; a={algorithm}; c={form}/simple; d={domain or self.domain}; s={selector}; "
            f"{tags}{limit}h={names}; bh={digest}; b="
        ).encode()
        canonical = _relax if relaxed else bytes
        text = b"\r\n".join(canonical(each) for each in (*fields, field))
        signature = base64.b64encode(self.key.sign(text, padding.PKCS1v15(), hashes.SHA256()))
        return field + signature + b"\r\n" + raw


def _relax(field: bytes) -> bytes:
    """Write a field in relaxed form (RFC 6376 §3.4.2)."""
    name, _, value = field.partition(b":")
    return name.strip().lower() + b":" + _FOLD_OR_SPACE.sub(b" ", value).strip()
