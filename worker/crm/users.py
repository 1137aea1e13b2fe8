"""Users: each is made with a dropbox token and with its login as first sender (R1, R11)."""

from datetime import datetime

from sqlalchemy import Connection, select, update
from sqlmodel import col

from worker.crm.accounts import Account, find_account, find_or_make_account
from worker.crm.conflict import again_on_conflict
from worker.crm.dropboxes import Dropbox, dropbox_of, issue_token
from worker.crm.members import Member, address_of, find_member, member_in, members_of
from worker.crm.office import Office
from worker.crm.profiles import find_profile, lock_account
from worker.crm.sender_rows import insert_sender
from worker.domain.addresses import Address
from worker.domain.errors import Refused
from worker.domain.patterns import DEFAULT_PATTERN
from worker.domain.profiles import ADMINISTRATOR, STANDARD
from worker.store.bulk import insert_rows
from worker.store.ids import allocate
from worker.store.tables import UserRow


@again_on_conflict
def add_user(office: Office, login: str, *, profile: str | None, now: datetime) -> Dropbox:
    """Make a user; the first of an account gets the profile Administrator, later ones Standard, unless one is named.

    Raises:
        Refused: when the login is no address or taken, or the profile does not exist.
    """
    address = address_of(login, "the login")
    with office.database.begin() as connection:
        account = find_or_make_account(connection, office.account, now)
        lock_account(connection, account)
        if _is_taken(connection, account, address):
            raise Refused(f"{address} is a user of account {account.name} already: `dropbox show {address}` shows it")
        name = profile or (STANDARD if _has_users(connection, account) else ADMINISTRATOR).name
        profile_id = find_profile(connection, account, name).id
        _insert(connection, account, address, profile_id, now)
        member = find_member(connection, account, address.text)
        insert_sender(connection, member, 1, address, proven_at=now)
        issue_token(connection, member, now)
        return dropbox_of(connection, member)


def list_users(office: Office, *, limit: int | None) -> list[Member]:
    """The account's users by login."""
    with office.database.read() as connection:
        account = find_account(connection, office.account)
        return [member_in(row, account) for row in connection.execute(members_of(account).limit(limit))]


def enable_user(office: Office, login: str, *, profile: str | None) -> Member:
    """Let the user's dropbox take mail again; with a profile named, under that profile from now on."""
    return _change(office, login, enabled=True, profile=profile)


def disable_user(office: Office, login: str) -> Member:
    """Mail to the user's dropbox is rejected from now on; nothing is lost, and `enable_user` takes it back."""
    return _change(office, login, enabled=False, profile=None)


def _change(office: Office, login: str, *, enabled: bool, profile: str | None) -> Member:
    with office.database.begin() as connection:
        account = find_account(connection, office.account)
        member = find_member(connection, account, login)
        values: dict[str, object] = {"enabled": enabled}
        if profile is not None:
            values["profile_id"] = find_profile(connection, account, profile).id
        connection.execute(
            update(UserRow).where(col(UserRow.account_id) == account.id, col(UserRow.id) == member.id).values(values)
        )
        return find_member(connection, account, login)


def _is_taken(connection: Connection, account: Account, address: Address) -> bool:
    query = select(col(UserRow.id)).where(col(UserRow.account_id) == account.id, col(UserRow.login_key) == address.key)
    return connection.execute(query).first() is not None


def _has_users(connection: Connection, account: Account) -> bool:
    query = select(col(UserRow.id)).where(col(UserRow.account_id) == account.id).limit(1)
    return connection.execute(query).first() is not None


def _insert(connection: Connection, account: Account, address: Address, profile_id: int, now: datetime) -> None:
    (user_id,) = allocate(connection, UserRow, 1)
    row = {
        "account_id": account.id,
        "id": user_id,
        "login": address.text,
        "login_key": address.key,
        "profile_id": profile_id,
        "pattern": DEFAULT_PATTERN.value,
        "enabled": True,
        "created_at": now,
    }
    insert_rows(connection, UserRow, [row])
