"""What each account knows of the addresses and emails of a batch: a few statements for all accounts together."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from functools import cache
from typing import Any

from sqlalchemy import Connection, FromClause, Select, and_, select
from sqlmodel import col

from worker.domain.permissions import Module
from worker.domain.records import FIRST_OTHER, AccountView, Record, StoredEmail, Wanted
from worker.store.keys import digest_pairs, text_pairs, wanted_digests, wanted_texts
from worker.store.quotas import made_on
from worker.store.tables import (
    AssociationRow,
    EmailOwnerRow,
    EmailRow,
    NeverLogRow,
    RecordAddressRow,
    RecordRow,
    SenderRow,
    UnmatchedRow,
)

_Found = dict[int, dict[str, tuple[Record, ...]]]


def views(connection: Connection, wanted: Mapping[int, Wanted], day: date) -> dict[int, AccountView]:
    """Return what each account knows, by its id, on this ``day`` (UTC). No view holds anything of another account.

    Raises:
        Unavailable: the database is down.
    """
    addresses = [(account, key) for account, want in wanted.items() for key in want.addresses]
    domains = [(account, domain) for account, want in wanted.items() for domain in want.domains]
    records = records_of(connection, addresses)
    colleagues = _colleagues(connection, addresses)
    never_log = _never_log(connection, addresses + domains)
    made = made_on(connection, {account: want.owners for account, want in wanted.items()}, day)
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


def _colleagues(connection: Connection, addresses: list[tuple[int, str]]) -> Mapping[int, set[str]]:
    """Return the proven sender addresses by account (R14). An unproven claim must not keep an address off records."""
    if not addresses:
        return {}
    dialect = connection.dialect.name
    return _sets(connection.execute(_colleagues_statement(dialect), text_pairs(dialect, addresses)))


@cache
def _colleagues_statement(dialect: str) -> Select[Any]:
    wanted = wanted_texts(dialect)
    query = select(wanted.c.account_id, wanted.c.key).join_from(
        wanted, SenderRow, _meets(wanted, SenderRow, SenderRow.address_key)
    )
    return query.where(col(SenderRow.proven_at).is_not(None)).distinct()


def _never_log(connection: Connection, entries: list[tuple[int, str]]) -> Mapping[int, set[str]]:
    if not entries:
        return {}
    dialect = connection.dialect.name
    return _sets(connection.execute(_never_log_statement(dialect), text_pairs(dialect, entries)))


@cache
def _never_log_statement(dialect: str) -> Select[Any]:
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


def _sets(rows: Iterable[Any]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for account, key in rows:
        found.setdefault(account, set()).add(key)
    return found
