"""Users: each is made with a sender and a dropbox, a token and a search pattern (R1, R2, R9 to R11)."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, or_, select, update
from sqlmodel import col

from worker.crm.accounts import find_profile, make_first_account
from worker.crm.sender_addresses import insert_sender, senders_of
from worker.crm.work import Crm, User, Work, of_user, sending_address_of, user_in, users_of
from worker.domain.addresses import Address
from worker.domain.errors import Refused
from worker.domain.events import dropbox_regenerated
from worker.domain.permissions import (
    ADMINISTRATOR,
    DEFAULT_PATTERN,
    STANDARD,
    SearchPattern,
    require_dropbox,
    require_pattern_change,
)
from worker.domain.text import clean
from worker.domain.tokens import new_token
from worker.retries import retry_on_conflict
from worker.store.event_log import write_events
from worker.store.inserts import allocate, insert_rows
from worker.store.tables import TokenRow, UserRow


@dataclass(frozen=True, slots=True)
class Dropbox:
    """A user's token, pattern and senders. Without the permission `bcc_dropbox` there is no token (R9)."""

    user: User
    token: str | None = field(repr=False)
    senders: tuple[str, ...]
    """As they were typed."""
    unproven_senders: frozenset[str] = frozenset()
    """Those of them that do not count yet (R13)."""


def show_dropbox(crm: Crm, login: str) -> Dropbox:
    """Show the user's dropbox.

    Raises:
        Refused: when the user's profile allows none (R9).
    """
    with crm.read() as work:
        user = work.user(login)
        require_dropbox(user.login, user.permissions)
        return _dropbox_of(work, user)


@retry_on_conflict
def regenerate(crm: Crm, login: str, *, grace: timedelta, now: datetime) -> Dropbox:
    """Issue a new address at once; every older one ends after the grace period at the latest (R2).

    Of two who race, one meets the other's token in the unique index and runs again.

    Raises:
        Refused: when the user's profile allows no dropbox (R9).
    """
    with crm.begin() as work:
        user = work.user(login)
        require_dropbox(user.login, user.permissions)
        work.connection.execute(
            update(TokenRow).where(of_user(TokenRow, user), works_after(now + grace)).values(valid_until=now + grace)
        )
        _issue_token(work, user, now)
        write_events(work.connection, [dropbox_regenerated(user.account.id, user.login, now + grace)], now)
        return _dropbox_of(work, user)


def set_pattern(crm: Crm, login: str, name: str) -> Dropbox:
    """Change the search pattern.

    Raises:
        Refused: when there is no such pattern, no dropbox (R9), or a module is forbidden to the user (R10).
    """
    with crm.begin() as work:
        user = work.user(login)
        require_dropbox(user.login, user.permissions)
        require_pattern_change(user.login, user.permissions)
        pattern = _pattern_named(name)
        work.connection.execute(update(UserRow).where(of_user(UserRow, user)).values(pattern=pattern.value))
        return _dropbox_of(work, work.user(login))


def works_after(moment: datetime) -> ColumnElement[bool]:
    """Return the condition that a token still works after this moment."""
    return or_(col(TokenRow.valid_until).is_(None), col(TokenRow.valid_until) > moment)


def _issue_token(work: Work, user: User, now: datetime) -> None:
    """Issue a token; one that was issued before, to anybody ever, is a `Conflict` by its primary key (R1)."""
    row = {
        "token": new_token(),
        "account_id": user.account.id,
        "user_id": user.id,
        "issued_at": now,
        "valid_until": None,
    }
    insert_rows(work.connection, TokenRow, [row])


def _dropbox_of(work: Work, user: User) -> Dropbox:
    """Read what the user has now."""
    token: str | None = None
    if user.may_have_dropbox:
        token = work.connection.scalar(
            select(col(TokenRow.token)).where(of_user(TokenRow, user), col(TokenRow.valid_until).is_(None))
        )
    senders = senders_of(work, user)
    return Dropbox(
        user,
        token,
        senders=tuple(sender.address for sender in senders),
        unproven_senders=frozenset(sender.address for sender in senders if sender.proven_at is None),
    )


def _pattern_named(name: str) -> SearchPattern:
    try:
        return SearchPattern(name.strip().lower())
    except ValueError as error:
        raise Refused(
            f"no search pattern {clean(name, 80)!r}: there are {', '.join(SearchPattern)}", "pattern_unknown"
        ) from error


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
        _issue_token(work, user, now)
        return _dropbox_of(work, user)


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
        work.connection.execute(update(UserRow).where(of_user(UserRow, user)).values(values))
        return work.user(login)


def _is_taken(work: Work, address: Address) -> bool:
    query = select(col(UserRow.id)).where(work.owns(UserRow), col(UserRow.login_key) == address.key)
    return work.connection.execute(query).first() is not None


def _has_users(work: Work) -> bool:
    query = select(col(UserRow.id)).where(work.owns(UserRow)).limit(1)
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
