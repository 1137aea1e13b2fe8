"""Dropbox tokens: the secret plus tag that names an owner (R1), and that owner with all that the rules ask about."""

import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime

from worker.domain.addresses import Address, NotAnAddress
from worker.domain.permissions import Permission, SearchPattern
from worker.domain.records import RecordNames
from worker.domain.text import ALPHABET, LENGTH, PLUS, has_run_like_token, is_token

MOST_SENDERS = 5
"""R11: a user registers up to five sender addresses."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A user with permissions, search pattern and registered senders (address keys)."""

    account_id: int
    id: int
    login: str
    enabled: bool
    permissions: frozenset[Permission]
    pattern: SearchPattern
    senders: frozenset[str]
    unproven_senders: frozenset[str] = frozenset()
    """Registered but not yet proven; they count only for an authenticated mail (R13)."""
    record_names: RecordNames = RecordNames.ADDRESS
    """What names the records that the owner's mail makes (R17)."""
    account: str | None = None
    """The account's name, when there are several accounts."""

    def sends_as(self, address: Address) -> bool:
        """Tell whether this is an address of the owner's own, proven or not."""
        return address.key in self.senders or address.key in self.unproven_senders

    def __str__(self) -> str:
        return self.login


_PLUS = re.compile(PLUS)


def new_token() -> str:
    """Return a token from the system's secure random source."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token that was given out, its owner, and the time when it becomes void."""

    token: str = field(repr=False)
    owner: Owner
    valid_until: datetime | None = None

    def is_revoked(self, now: datetime) -> bool:
        """Tell whether a replaced token is past its grace period (R2)."""
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
        """Tell whether the address is this one, with or without a plus tag, however it is spelled (R14).

        With a token it is, whatever the domain: a mistyped one makes the token no less secret.
        """
        name, tag = self._split(address)
        if address.domain != self.base.domain:
            return name == self.base.local and is_token(tag)
        return name == self.base.local or has_run_like_token(address.local)

    def token_in(self, address: Address) -> str | None:
        """Return the token that the address carries, in lower case, known or not; None if it is no dropbox address."""
        if address.domain != self.base.domain:
            return None
        name, tag = self._split(address)
        return (tag or None) if name == self.base.local else None

    @staticmethod
    def _split(address: Address) -> tuple[str, str]:
        """Return the local part before and behind its plus sign, in lower case."""
        name, _, tag = _PLUS.sub("+", address.local.strip('"')).partition("+")
        return name, tag

    def token_in_delivery_field(self, text: str) -> str | None:
        """Return the token in the address that a mail server wrote into a delivery field, or None.

        Courier and qmail put the mailbox's own name in front and their host behind
        (``drop-drop+TOKEN@mx.drop.example``); both are dropped.
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
