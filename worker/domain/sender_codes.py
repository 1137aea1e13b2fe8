"""The code that shows a sender address to be the user's: mailed to the address, typed back within the hour."""

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
    """Whether an address is outside the login's own domain, where whoever made the login has no say."""
    return address.domain != login.domain


def new_code() -> str:
    """Fifty bits, easy to read out: ``k7m2a-9xq4b``."""
    first, second = ("".join(secrets.choice(ALPHABET) for _ in range(_HALF)) for _ in range(2))
    return f"{first}-{second}"


def digest_of(code: str, account_id: int, user_id: int, address_key: str) -> str:
    """What is stored in place of the code: good for this address of this user only, however the code is typed."""
    typed = code.lower().translate(_LOOK_ALIKES)
    whose = f"{account_id}\0{user_id}\0{address_key}\0{typed}"
    return hashlib.blake2b(whose.encode("utf-8", "replace"), digest_size=32).hexdigest()
