"""What the database knows of a batch: owners of its tokens, records and emails of its addresses, today's new records.

A few statements for all accounts together, built once: building one takes longer than running it.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from functools import cache
from itertools import compress
from typing import Any

from sqlalchemy import Connection, FromClause, Label, Select, and_, case, exists, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import aliased
from sqlmodel import col

from worker.domain.permissions import Module, Permission, SearchPattern
from worker.domain.records import FIRST_OTHER, AccountView, NewRecord, Record, RecordNames, StoredEmail, Wanted
from worker.domain.tokens import IssuedToken, Owner
from worker.store.columns import (
    among_numbers,
    among_wanted,
    digest_pairs,
    text_pairs,
    values,
    wanted_digests,
    wanted_texts,
)
from worker.store.tables import (
    AccountRow,
    AssociationRow,
    EmailOwnerRow,
    EmailRow,
    NeverLogRow,
    ProfileRow,
    RecordAddressRow,
    RecordQuotaRow,
    RecordRow,
    SenderRow,
    TokenRow,
    UnmatchedRow,
    UserRow,
)


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


def _made_on(connection: Connection, owners: Mapping[int, Collection[int]], day: date) -> Mapping[int, dict[int, int]]:
    """Return the counts by account and owner; ``owners`` are the ids that are asked for, by account."""
    made: defaultdict[int, dict[int, int]] = defaultdict(dict)
    wanted = {owner for each in owners.values() for owner in each}
    if wanted:
        row = RecordQuotaRow
        query = select(col(row.account_id), col(row.user_id), col(row.made)).where(
            among_numbers(connection, col(row.account_id), owners.keys()),
            among_numbers(connection, col(row.user_id), wanted),
            col(row.day) == day,
        )
        for account, owner, count in connection.execute(query):
            made[account][owner] = count
    return made


def count_made(connection: Connection, records: Collection[NewRecord], day: date) -> None:
    """Add these records to the counts of their owners, on this transaction.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    counts = Counter((record.account_id, record.owner_id) for record in records)
    if not counts:
        return
    insert = (sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert)(RecordQuotaRow)
    before, new = col(RecordQuotaRow.made), insert.excluded
    total = case((col(RecordQuotaRow.day) == new.day, before + new.made), else_=new.made)
    rows = [
        {"account_id": account, "user_id": owner, "day": day, "made": made}
        for (account, owner), made in sorted(counts.items())
    ]
    upsert = insert.on_conflict_do_update(
        index_elements=["account_id", "user_id"], set_={"day": new.day, "made": total}
    )
    connection.execute(upsert, rows)


_Found = dict[int, dict[str, tuple[Record, ...]]]


def views(connection: Connection, wanted: Mapping[int, Wanted], day: date) -> dict[int, AccountView]:
    """Return what each account knows, by its id, on this ``day`` (UTC). No view holds anything of another account.

    Raises:
        Unavailable: the database is down.
    """
    addresses = [(account, key) for account, want in wanted.items() for key in want.addresses]
    domains = [(account, domain) for account, want in wanted.items() for domain in want.domains]
    records = records_of(connection, addresses)
    colleagues = _keys_by_account(connection, addresses, _colleagues)
    never_log = _keys_by_account(connection, addresses + domains, _never_log)
    made = _made_on(connection, {account: want.owners for account, want in wanted.items()}, day)
    emails = _emails(
        connection, [(account, fingerprint) for account, want in wanted.items() for fingerprint in want.fingerprints]
    )
    return {
        account: AccountView(
            records.get(account, {}),
            frozenset(colleagues.get(account, ())),
            frozenset(never_log.get(account, ())),
            emails.get(account, {}),
            made.get(account, {}),
        )
        for account in wanted
    }


def records_of(connection: Connection, addresses: Collection[tuple[int, str]]) -> _Found:
    """Return by account id and address key the records that have the address (R16).

    Skip other matches in a module where the address is the email or secondary email of a record.

    Raises:
        Unavailable: the database is down.
    """
    if not addresses:
        return {}
    found: dict[tuple[int, str], list[tuple[int, Record]]] = defaultdict(list)
    dialect = connection.dialect.name
    for account_id, key, position, number, module, *rest in connection.execute(
        _records_statement(dialect), text_pairs(dialect, addresses)
    ):
        found[account_id, key].append((position, Record(number, Module(module), *rest)))
    by_account: _Found = {}
    for (account, key), records in found.items():
        current = {record.module for position, record in records if position < FIRST_OTHER}
        by_account.setdefault(account, {})[key] = tuple(
            record for position, record in records if position < FIRST_OTHER or record.module not in current
        )
    return by_account


@cache
def _records_statement(dialect: str) -> Select[Any]:
    wanted = wanted_texts(dialect)
    columns = (
        *(col(RecordRow.id), col(RecordRow.module), col(RecordRow.owner_id), col(RecordRow.created_at)),
        *(col(RecordRow.email), col(RecordRow.external_id)),
    )
    return (
        select(wanted.c.account_id, wanted.c.key, col(RecordAddressRow.position), *columns)
        .join_from(wanted, RecordAddressRow, _meets(wanted, RecordAddressRow, RecordAddressRow.address_key))
        .join(RecordRow)
    )


def _keys_by_account(
    connection: Connection, wanted: list[tuple[int, str]], statement: Callable[[str], Select[Any]]
) -> dict[int, set[str]]:
    """Return those of the wanted keys that the statement finds, by account."""
    found: dict[int, set[str]] = {}
    if wanted:
        dialect = connection.dialect.name
        for account, key in connection.execute(statement(dialect), text_pairs(dialect, wanted)):
            found.setdefault(account, set()).add(key)
    return found


@cache
def _colleagues(dialect: str) -> Select[Any]:
    """Select the proven sender addresses (R14). An unproven claim must not keep an address off records."""
    wanted = wanted_texts(dialect)
    query = select(wanted.c.account_id, wanted.c.key).join_from(
        wanted, SenderRow, _meets(wanted, SenderRow, SenderRow.address_key)
    )
    return query.where(col(SenderRow.proven_at).is_not(None)).distinct()


@cache
def _never_log(dialect: str) -> Select[Any]:
    wanted = wanted_texts(dialect)
    return select(wanted.c.account_id, wanted.c.key).join_from(
        wanted, NeverLogRow, _meets(wanted, NeverLogRow, NeverLogRow.entry)
    )


def _emails(connection: Connection, fingerprints: list[tuple[int, bytes]]) -> Mapping[int, dict[bytes, StoredEmail]]:
    """Return the stored emails by account and fingerprint. Most mail is new, and then this is one statement."""
    if not fingerprints:
        return {}
    dialect = connection.dialect.name
    pairs = digest_pairs(dialect, fingerprints)
    found = connection.execute(_emails_statement(dialect), pairs).all()
    if not found:
        return {}
    owners, records, unmatched = (
        _of_emails(connection, row, column, pairs)
        for row, column in (
            (EmailOwnerRow, EmailOwnerRow.user_id),
            (AssociationRow, AssociationRow.record_id),
            (UnmatchedRow, UnmatchedRow.address_key),
        )
    )
    emails: dict[int, dict[bytes, StoredEmail]] = {}
    for account, email, fingerprint in found:
        place = account, email
        emails.setdefault(account, {})[fingerprint] = StoredEmail(
            email, frozenset(owners[place]), frozenset(records[place]), frozenset(unmatched[place])
        )
    return emails


@cache
def _emails_statement(dialect: str) -> Select[int, int, bytes]:
    wanted = wanted_digests(dialect)
    return select(col(EmailRow.account_id), col(EmailRow.id), col(EmailRow.fingerprint)).join_from(
        wanted, EmailRow, _meets(wanted, EmailRow, EmailRow.fingerprint)
    )


def _of_emails(
    connection: Connection, row: Any, column: Any, pairs: Mapping[str, Any]
) -> defaultdict[tuple[int, int], set[Any]]:
    emails = _emails_statement(connection.dialect.name).subquery("stored")
    query = select(emails.c.account_id, emails.c.id, col(column)).join_from(
        emails, row, and_(row.account_id == emails.c.account_id, row.email_id == emails.c.id)
    )
    values: defaultdict[tuple[int, int], set[Any]] = defaultdict(set)
    for account, email, value in connection.execute(query, pairs):
        values[account, email].add(value)
    return values


def _meets(wanted: FromClause, row: Any, column: Any) -> Any:
    return and_(row.account_id == wanted.c.account_id, column == wanted.c.key)
