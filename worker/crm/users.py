"""Users: each is made with a dropbox token and with its login as first sender (R1, R11)."""

from datetime import datetime

from sqlalchemy import select, update
from sqlmodel import col

from worker.crm.accounts import make_first_account
from worker.crm.dropboxes import Dropbox, dropbox_of, issue_token
from worker.crm.profiles import find_profile
from worker.crm.senders import insert_sender
from worker.crm.work import Crm, User, Work, sending_address_of, user_in, users_of
from worker.domain.addresses import Address
from worker.domain.errors import Refused
from worker.domain.permissions import ADMINISTRATOR, DEFAULT_PATTERN, STANDARD
from worker.retries import retry_on_conflict
from worker.store.bulk import insert_rows
from worker.store.ids import allocate
from worker.store.tables import UserRow


@retry_on_conflict
def add_user(crm: Crm, login: str, *, profile: str | None, now: datetime) -> Dropbox:
    """Make a user; the first of an account gets the profile Administrator, later ones Standard, unless one is named.

    Raises:
        Refused: when the login is no address or taken, or the profile does not exist.
    """
    address = sending_address_of(login, "the login")
    with crm.begin() as work:
        make_first_account(work, now)
        work.lock_account()
        if _is_taken(work, address):
            raise Refused(f"{address} is a user of account {work.account.name} already", "user_exists", login=address)
        name = profile or (STANDARD if _has_users(work) else ADMINISTRATOR).name
        _insert(work, address, find_profile(work, name).id, now)
        user = work.user(address.text)
        insert_sender(work.connection, user, 1, address, proven_at=now)
        issue_token(work, user, now)
        return dropbox_of(work, user)


def list_users(crm: Crm, *, limit: int | None) -> list[User]:
    """List the account's users by login.

    Raises:
        Refused: there is no such account, or there are several and none is named.
        Unavailable: the database is down.
    """
    with crm.read() as work:
        account = work.account
        return [user_in(row, account) for row in work.connection.execute(users_of(account).limit(limit))]


def enable_user(crm: Crm, login: str, *, profile: str | None) -> User:
    """Let the user's dropbox take mail again; with a profile named, move the user to that profile.

    Raises:
        Refused: when there is no such user or profile.
    """
    return _change(crm, login, enabled=True, profile=profile)


def disable_user(crm: Crm, login: str) -> User:
    """Reject mail to the user's dropbox from now on; `enable_user` takes it back.

    Raises:
        Refused: when there is no such user.
    """
    return _change(crm, login, enabled=False, profile=None)


def _change(crm: Crm, login: str, *, enabled: bool, profile: str | None) -> User:
    with crm.begin() as work:
        user = work.user(login)
        values: dict[str, object] = {"enabled": enabled}
        if profile is not None:
            values["profile_id"] = find_profile(work, profile).id
        work.connection.execute(
            update(UserRow).where(col(UserRow.account_id) == work.account.id, col(UserRow.id) == user.id).values(values)
        )
        return work.user(login)


def _is_taken(work: Work, address: Address) -> bool:
    query = select(col(UserRow.id)).where(
        col(UserRow.account_id) == work.account.id, col(UserRow.login_key) == address.key
    )
    return work.connection.execute(query).first() is not None


def _has_users(work: Work) -> bool:
    query = select(col(UserRow.id)).where(col(UserRow.account_id) == work.account.id).limit(1)
    return work.connection.execute(query).first() is not None


def _insert(work: Work, address: Address, profile_id: int, now: datetime) -> None:
    (user_id,) = allocate(work.connection, UserRow, 1)
    row = {
        "account_id": work.account.id,
        "id": user_id,
        "login": address.text,
        "login_key": address.key,
        "profile_id": profile_id,
        "pattern": DEFAULT_PATTERN.value,
        "enabled": True,
        "created_at": now,
    }
    insert_rows(work.connection, UserRow, [row])
