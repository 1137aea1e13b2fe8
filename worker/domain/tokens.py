"""The dropbox token: the secret plus tag that names an owner (R1)."""

import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime

from worker.domain.addresses import Address, NotAnAddress
from worker.domain.masking import ALPHABET, LENGTH
from worker.domain.owners import Owner


def new_token() -> str:
    """Return a token from the system's secure random source (R1)."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token that was issued, its owner, and the time from which it is revoked."""

    token: str = field(repr=False)
    owner: Owner
    valid_until: datetime | None = None

    def is_revoked(self, now: datetime) -> bool:
        """Return True when the token's grace period has ended (R2)."""
        return self.valid_until is not None and now >= self.valid_until


@dataclass(frozen=True, slots=True)
class DropboxAddress:
    """The catch-all address, such as ``drop@drop.example.com``; a token is added as its plus tag."""

    base: Address

    def with_token(self, token: str) -> str:
        """Return the owner's dropbox address."""
        local, _, domain = self.base.text.rpartition("@")
        return f"{local}+{token}@{domain}"

    def covers(self, address: Address) -> bool:
        """Return True when the address is this one, with or without a plus tag (R14)."""
        return address.domain == self.base.domain and address.local.split("+", 1)[0] == self.base.local

    def token_in(self, address: Address) -> str | None:
        """Return the address's plus tag in lower case; None when it is no dropbox address."""
        if not self.covers(address):
            return None
        return address.local.partition("+")[2] or None

    def token_in_delivery_field(self, text: str) -> str | None:
        """Return the plus tag of an address that a mail server wrote into a delivery field.

        Courier and qmail write the mailbox's own name in front and their host behind
        (``drop-drop+TOKEN@mx.drop.example``); both are taken off.
        """
        try:
            address = Address.parse(text)
        except NotAnAddress:
            return None
        if token := self.token_in(address):
            return token
        prefixed = re.fullmatch(rf"[^+@]+-{re.escape(self.base.local)}\+([^@]+)", address.local)
        at_home = address.domain == self.base.domain or address.domain.endswith("." + self.base.domain)
        return prefixed[1] if prefixed and at_home else None
