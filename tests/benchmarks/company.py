"""Whose mail the benchmarks file: accounts of users, each with a token and a registered address."""

from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from sqlalchemy import insert

from worker.domain.addresses import Address
from worker.domain.permissions import DEFAULT_PATTERN, STANDARD, Permission
from worker.domain.text import ALPHABET, LENGTH
from worker.domain.tokens import DropboxAddress
from worker.store.database import Database
from worker.store.inserts import allocate
from worker.store.schema import migrate
from worker.store.tables import AccountRow, ProfileRow, SenderRow, TokenRow, UserRow

CUSTOMERS = 20_000
"""How many different recipients the mail of the mix has."""

DROPBOX = DropboxAddress(Address.parse("drop@drop.example"))
RECEIVED_BY = "mx.drop.example"
FOUNDED = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Company:
    """How many accounts there are, and how many users each has."""

    accounts: int = 1
    users: int = 100

    @property
    def members(self) -> range:
        """The numbers of all users: the first account has the first of them."""
        return range(self.accounts * self.users)


ONE = Company()


@dataclass(frozen=True)
class Member:
    """A user of an account; token and address follow from the number."""

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


def found(database: Database, company: Company = ONE) -> None:
    """Bring a new database to the schema and make the accounts with their users."""
    migrate(database)
    with database.begin() as connection:
        accounts = allocate(connection, AccountRow, company.accounts)
        profiles = allocate(connection, ProfileRow, company.accounts)
        users = allocate(connection, UserRow, len(company.members))
        staff = [
            (Member(number), {"account_id": accounts[place], "user_id": users[number]}, profiles[place])
            for number in company.members
            for place in [number // company.users]
        ]
        connection.execute(insert(AccountRow), [_account(number, account) for number, account in enumerate(accounts)])
        connection.execute(insert(ProfileRow), [_profile(*ids) for ids in zip(accounts, profiles, strict=True)])
        connection.execute(insert(UserRow), [_user(member, ids, profile) for member, ids, profile in staff])
        connection.execute(insert(SenderRow), [ids | _sender(member) for member, ids, _ in staff])
        tokens = [ids | {"token": member.token, "issued_at": FOUNDED} for member, ids, _ in staff]
        connection.execute(insert(TokenRow), tokens)


def _account(number: int, account: int) -> dict[str, object]:
    return {"id": account, "name": f"Company {number}", "name_key": f"company {number}", "created_at": FOUNDED}


def _profile(account: int, profile: int) -> dict[str, object]:
    permissions = {permission.value: permission in STANDARD.permissions for permission in Permission}
    return {
        "account_id": account,
        "id": profile,
        "name": STANDARD.name,
        "name_key": STANDARD.name.lower(),
        **permissions,
    }


def _user(member: Member, ids: dict[str, int], profile: int) -> dict[str, object]:
    return {
        "account_id": ids["account_id"],
        "id": ids["user_id"],
        "login": member.login,
        "login_key": member.login,
        "profile_id": profile,
        "pattern": DEFAULT_PATTERN.value,
        "enabled": True,
        "created_at": FOUNDED,
    }


def _sender(member: Member) -> dict[str, object]:
    return {"slot": 1, "address": member.login, "address_key": member.login, "proven_at": FOUNDED}
