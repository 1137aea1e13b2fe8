"""What the tests of the core are made of: one owner, one token, heads written as they arrive."""

from datetime import UTC, datetime

from worker.domain.addresses import Address
from worker.domain.messages import Head
from worker.domain.permissions import DEFAULT_PATTERN, STANDARD, Permission, SearchPattern
from worker.domain.tokens import DropboxAddress, IssuedToken, Owner
from worker.mime import read_head

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
DROPBOX = DropboxAddress(Address.parse("drop@drop.example"))
JANES_TOKEN = "k7m2q9x4w8e3r6t1y5p0abcdef"
JOHNS_TOKEN = "h2h2h2h2h2h2h2h2h2h2h2h2h2"
FORGED_TOKEN = "f0f0f0f0f0f0f0f0f0f0f0f0f0"


def owner(
    number: int = 1,
    *,
    account: int = 1,
    enabled: bool = True,
    permissions: frozenset[Permission] = STANDARD.permissions,
    pattern: SearchPattern = DEFAULT_PATTERN,
    senders: tuple[str, ...] = ("jane@sales.example",),
    unproven: tuple[str, ...] = (),
) -> Owner:
    return Owner(
        account_id=account,
        id=number,
        login=f"user{number}@sales.example",
        enabled=enabled,
        permissions=permissions,
        pattern=pattern,
        senders=frozenset(senders),
        unproven_senders=frozenset(unproven),
    )


def issued(*owned: tuple[str, Owner], until: datetime | None = None) -> dict[str, IssuedToken]:
    return {token: IssuedToken(token, whose, until) for token, whose in owned}


def head(text: str) -> Head:
    """Read lines written with plain line feeds as they would come from a server."""
    return read_head(text.strip("\n").replace("\n", "\r\n").encode())
