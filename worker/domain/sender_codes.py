"""Codes that prove a sender address: mailed to the address, and typed in again within an hour."""

import hashlib
import secrets
from datetime import timedelta

from worker.domain.addresses import Address
from worker.domain.masking import ALPHABET

LIFETIME = timedelta(hours=1)
MOST_TRIES = 5

_HALF = 5
_LOOK_ALIKES = str.maketrans("oil", "011", "- ")


def needs_proof(login: Address, address: Address) -> bool:
    """Return True when the address is outside the login's own domain, so that the user has to prove it."""
    return address.domain != login.domain


def new_code() -> str:
    """Return a code of fifty bits that is easy to read aloud: ``k7m2a-9xq4b``."""
    first, second = ("".join(secrets.choice(ALPHABET) for _ in range(_HALF)) for _ in range(2))
    return f"{first}-{second}"


def digest_of(code: str, account_id: int, user_id: int, address_key: str) -> str:
    """Return the digest that is stored instead of the code; it is valid for this user and address only."""
    typed = code.lower().translate(_LOOK_ALIKES)
    whose = f"{account_id}\0{user_id}\0{address_key}\0{typed}"
    return hashlib.blake2b(whose.encode("utf-8", "replace"), digest_size=32).hexdigest()
