"""The tokens ever issued, each with its owner as the rules need to know them (R1 to R13)."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, select
from sqlmodel import col

from worker.domain.owners import Owner
from worker.domain.patterns import SearchPattern
from worker.domain.profiles import Permission
from worker.domain.tokens import IssuedToken
from worker.store.keys import among_texts
from worker.store.tables import ProfileRow, SenderRow, TokenRow, UserRow

_OWNER = (
    select(
        col(TokenRow.token),
        col(TokenRow.valid_until),
        col(UserRow.account_id),
        col(UserRow.id),
        col(UserRow.login),
        col(UserRow.enabled),
        col(UserRow.pattern),
        *(getattr(ProfileRow, permission.value) for permission in Permission),
    )
    .join_from(
        TokenRow,
        UserRow,
        and_(col(UserRow.account_id) == col(TokenRow.account_id), col(UserRow.id) == col(TokenRow.user_id)),
    )
    .join(
        ProfileRow,
        and_(
            col(ProfileRow.account_id) == col(UserRow.account_id),
            col(ProfileRow.id) == col(UserRow.profile_id),
        ),
    )
)
_SENDERS = (
    select(
        col(SenderRow.account_id),
        col(SenderRow.user_id),
        col(SenderRow.address_key),
        col(SenderRow.proven_at).is_not(None).label("is_proven"),
    )
    .distinct()
    .join_from(
        TokenRow,
        SenderRow,
        and_(col(SenderRow.account_id) == col(TokenRow.account_id), col(SenderRow.user_id) == col(TokenRow.user_id)),
    )
)


def issued(connection: Connection, tokens: Collection[str]) -> dict[str, IssuedToken]:
    """Those of the tokens that were ever issued, revoked ones included."""
    if not tokens:
        return {}
    named = among_texts(connection, col(TokenRow.token), tokens)
    rows = connection.execute(_OWNER.where(named)).all()
    if not rows:
        return {}
    senders = _senders(connection, named)
    return {row.token: IssuedToken(row.token, _owner(row, senders), row.valid_until) for row in rows}


def _senders(connection: Connection, named: ColumnElement[bool]) -> dict[tuple[int, int, bool], set[str]]:
    """By account, user and whether they are proven."""
    senders: dict[tuple[int, int, bool], set[str]] = {}
    for account_id, user_id, address_key, is_proven in connection.execute(_SENDERS.where(named)):
        senders.setdefault((account_id, user_id, bool(is_proven)), set()).add(address_key)
    return senders


def _owner(row: Row[Any], senders: dict[tuple[int, int, bool], set[str]]) -> Owner:
    return Owner(
        account_id=row.account_id,
        id=row.id,
        login=row.login,
        enabled=row.enabled,
        permissions=frozenset(permission for permission in Permission if getattr(row, permission.value)),
        pattern=SearchPattern(row.pattern),
        senders=frozenset(senders.get((row.account_id, row.id, True), ())),
        unproven_senders=frozenset(senders.get((row.account_id, row.id, False), ())),
    )
