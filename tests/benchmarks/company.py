"""Whose mail the benchmarks file: one account of a hundred users, each with a token and a registered address."""

from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from sqlalchemy import insert

from worker.domain.addresses import Address
from worker.domain.masking import ALPHABET, LENGTH
from worker.domain.patterns import DEFAULT_PATTERN
from worker.domain.profiles import STANDARD, Permission
from worker.domain.tokens import DropboxAddress
from worker.store.database import Database
from worker.store.ids import allocate
from worker.store.schema import migrate
from worker.store.tables import AccountRow, ProfileRow, SenderRow, TokenRow, UserRow

USERS = 100
CUSTOMERS = 20_000
"""How many different recipients the mail of the mix has."""

DROPBOX = DropboxAddress(Address.parse("drop@drop.example"))
RECEIVED_BY = "mx.drop.example"
FOUNDED = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Member:
    """A user of the account; token and address follow from the number."""

    number: int

    @property
    def login(self) -> str:
        return f"user{self.number:03d}@company.example"

    @property
    def dropbox(self) -> str:
        return DROPBOX.with_token(self.token)

    @property
    def token(self) -> str:
        return token_of(f"member {self.number}")


def token_of(seed: str) -> str:
    """Make a token that is the same in every run; one that no member has is unknown to the store."""
    return "".join(Random(seed).choices(ALPHABET, k=LENGTH))


MEMBERS = tuple(Member(number) for number in range(USERS))


def found(database: Database) -> None:
    """Bring a new database to the schema and make the account with its users."""
    migrate(database)
    with database.begin() as connection:
        account = allocate(connection, AccountRow, 1)[0]
        profile = allocate(connection, ProfileRow, 1)[0]
        users = allocate(connection, UserRow, USERS)
        connection.execute(
            insert(AccountRow), [{"id": account, "name": "Company", "name_key": "company", "created_at": FOUNDED}]
        )
        connection.execute(insert(ProfileRow), [_profile(account, profile)])
        of_account = {"account_id": account}
        connection.execute(
            insert(UserRow),
            [of_account | _user(member, user, profile) for member, user in zip(MEMBERS, users, strict=True)],
        )
        connection.execute(
            insert(SenderRow),
            [of_account | _sender(member, user) for member, user in zip(MEMBERS, users, strict=True)],
        )
        connection.execute(
            insert(TokenRow),
            [
                of_account | {"token": member.token, "user_id": user, "issued_at": FOUNDED}
                for member, user in zip(MEMBERS, users, strict=True)
            ],
        )


def _profile(account: int, profile: int) -> dict[str, object]:
    permissions = {permission.value: permission in STANDARD.permissions for permission in Permission}
    return {
        "account_id": account,
        "id": profile,
        "name": STANDARD.name,
        "name_key": STANDARD.name.lower(),
        **permissions,
    }


def _user(member: Member, user: int, profile: int) -> dict[str, object]:
    return {
        "id": user,
        "login": member.login,
        "login_key": member.login,
        "profile_id": profile,
        "pattern": DEFAULT_PATTERN.value,
        "enabled": True,
        "created_at": FOUNDED,
    }


def _sender(member: Member, user: int) -> dict[str, object]:
    return {
        "user_id": user,
        "slot": 1,
        "address": member.login,
        "address_key": member.login,
        "proven_at": FOUNDED,
    }
