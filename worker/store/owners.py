"""The tokens ever issued, each with its owner as the rules need to know them (R1 to R13)."""

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from itertools import compress
from typing import Any

from sqlalchemy import Connection, Label, Select, and_, exists, select
from sqlalchemy.orm import aliased
from sqlmodel import col

from worker.domain.permissions import Permission, SearchPattern
from worker.domain.records import RecordNames
from worker.domain.tokens import IssuedToken, Owner
from worker.store.keys import among_wanted, values
from worker.store.tables import AccountRow, ProfileRow, SenderRow, TokenRow, UserRow


def name_among_several(account_id: Any) -> Label[Any]:
    """Return a column ``account``: the name of the account with this ID, or NULL when it is the only account."""
    other = aliased(AccountRow)
    is_one_of_several = exists().where(col(other.id) != col(AccountRow.id))
    named = select(col(AccountRow.name)).where(col(AccountRow.id) == account_id, is_one_of_several)
    return named.scalar_subquery().label("account")


_ACCOUNT = aliased(AccountRow)
_OWNER = (
    select(
        col(TokenRow.token),
        col(TokenRow.valid_until),
        col(UserRow.account_id),
        name_among_several(col(UserRow.account_id)),
        col(UserRow.id),
        col(UserRow.login),
        col(UserRow.enabled),
        col(UserRow.pattern),
        col(_ACCOUNT.record_names),
        *(getattr(ProfileRow, permission.value) for permission in Permission),
    )
    .join_from(TokenRow, UserRow)
    .join(ProfileRow)
    .join(_ACCOUNT, col(_ACCOUNT.id) == col(UserRow.account_id))
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
    """Return those of the tokens that were ever issued, including revoked ones.

    Raises:
        Unavailable: the database is down.
    """
    if not tokens:
        return {}
    dialect = connection.dialect.name
    named = values(dialect, tokens)
    rows = connection.execute(_named(dialect, _OWNER), named).all()
    if not rows:
        return {}
    senders = _senders(connection, named)
    return {token: IssuedToken(token, _owner(of_user, senders), valid_until) for token, valid_until, *of_user in rows}


@cache
def _named(dialect: str, query: Select[Any]) -> Select[Any]:
    return query.where(among_wanted(dialect, col(TokenRow.token)))


def _senders(connection: Connection, named: Mapping[str, Any]) -> dict[tuple[int, int, bool], set[str]]:
    """Return the sender addresses by account, user and whether they are proven."""
    senders: dict[tuple[int, int, bool], set[str]] = {}
    for account_id, user_id, address_key, is_proven in connection.execute(
        _named(connection.dialect.name, _SENDERS), named
    ):
        senders.setdefault((account_id, user_id, bool(is_proven)), set()).add(address_key)
    return senders


def _owner(of_user: Sequence[Any], senders: dict[tuple[int, int, bool], set[str]]) -> Owner:
    account_id, account, number, login, enabled, pattern, record_names, *permitted = of_user
    return Owner(
        account_id,
        number,
        login,
        enabled,
        permissions=_permissions(tuple(permitted)),
        pattern=SearchPattern(pattern),
        senders=frozenset(senders.get((account_id, number, True), ())),
        unproven_senders=frozenset(senders.get((account_id, number, False), ())),
        record_names=RecordNames(record_names),
        account=account,
    )


@cache
def _permissions(permitted: tuple[bool, ...]) -> frozenset[Permission]:
    return frozenset(compress(Permission, permitted))
