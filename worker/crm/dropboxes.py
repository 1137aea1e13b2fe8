"""A user's dropbox: its present token, its search pattern (R1, R2, R9, R10)."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, or_, select, update
from sqlmodel import col

from worker.crm.accounts import find_account
from worker.crm.conflict import again_on_conflict
from worker.crm.members import Member, find_member
from worker.crm.office import Office
from worker.crm.sender_rows import sender_rows
from worker.domain.errors import Refused
from worker.domain.patterns import SearchPattern
from worker.domain.profiles import require_dropbox, require_pattern_change
from worker.domain.text import clean
from worker.domain.tokens import new_token
from worker.store.bulk import insert_rows
from worker.store.tables import TokenRow, UserRow


@dataclass(frozen=True, slots=True)
class Dropbox:
    """What a user has: the token is None without the permission `bcc_dropbox` (R9)."""

    member: Member
    token: str | None = field(repr=False)
    senders: tuple[str, ...]
    """As they were typed."""
    unproven_senders: frozenset[str] = frozenset()
    """Those of them that do not count yet (R13)."""


def show_dropbox(office: Office, login: str) -> Dropbox:
    """The user's dropbox.

    Raises:
        Refused: when the user's profile allows none (R9).
    """
    with office.database.read() as connection:
        member = find_member(connection, find_account(connection, office.account), login)
        require_dropbox(member.login, member.permissions)
        return dropbox_of(connection, member)


@again_on_conflict
def regenerate(office: Office, login: str, *, grace: timedelta, now: datetime) -> Dropbox:
    """A new address at once; every older one ends after the grace period at the latest (R2).

    Of two who race one meets the other's present token in the unique index, and begins again.
    """
    with office.database.begin() as connection:
        member = find_member(connection, find_account(connection, office.account), login)
        require_dropbox(member.login, member.permissions)
        connection.execute(
            update(TokenRow)
            .where(
                col(TokenRow.account_id) == member.account.id,
                col(TokenRow.user_id) == member.id,
                or_(col(TokenRow.valid_until).is_(None), col(TokenRow.valid_until) > now + grace),
            )
            .values(valid_until=now + grace)
        )
        issue_token(connection, member, now)
        return dropbox_of(connection, member)


def set_pattern(office: Office, login: str, name: str) -> Dropbox:
    """Change the search pattern.

    Raises:
        Refused: when there is no such pattern, no dropbox (R9), or a module is forbidden to the user (R10).
    """
    with office.database.begin() as connection:
        member = find_member(connection, find_account(connection, office.account), login)
        require_dropbox(member.login, member.permissions)
        require_pattern_change(member.login, member.permissions)
        pattern = _pattern_named(name)
        connection.execute(
            update(UserRow)
            .where(col(UserRow.account_id) == member.account.id, col(UserRow.id) == member.id)
            .values(pattern=pattern.value)
        )
        return dropbox_of(connection, find_member(connection, member.account, login))


def issue_token(connection: Connection, member: Member, now: datetime) -> None:
    """R1: a token that was issued before, to anybody ever, is refused by its primary key, and another one drawn."""
    row = {
        "token": new_token(),
        "account_id": member.account.id,
        "user_id": member.id,
        "issued_at": now,
        "valid_until": None,
    }
    insert_rows(connection, TokenRow, [row])


def dropbox_of(connection: Connection, member: Member) -> Dropbox:
    """What the user has as of now."""
    token: str | None = None
    if member.may_have_dropbox:
        token = connection.scalar(
            select(col(TokenRow.token)).where(
                and_(
                    col(TokenRow.account_id) == member.account.id,
                    col(TokenRow.user_id) == member.id,
                    col(TokenRow.valid_until).is_(None),
                )
            )
        )
    rows = sender_rows(connection, member)
    return Dropbox(
        member,
        token,
        senders=tuple(row.address for row in rows),
        unproven_senders=frozenset(row.address for row in rows if row.proven_at is None),
    )


def _pattern_named(name: str) -> SearchPattern:
    try:
        return SearchPattern(name.strip().lower())
    except ValueError as error:
        raise Refused(f"no search pattern {clean(name, 80)!r}: there are {', '.join(SearchPattern)}") from error
