"""What each account knows of the addresses and emails of a batch: a few statements for all accounts together."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, FromClause, Select, and_, literal, select, union_all
from sqlmodel import col

from worker.domain.patterns import Module
from worker.domain.records import AccountView, Record, StoredEmail, Wanted
from worker.store.keys import account_digests, account_texts
from worker.store.tables import AssociationRow, EmailOwnerRow, EmailRow, NeverLogRow, RecordRow, SenderRow, UnmatchedRow

_Found = dict[int, dict[str, tuple[Record, ...]]]


def views(connection: Connection, wanted: Mapping[int, Wanted]) -> dict[int, AccountView]:
    """By account id; no account's view holds anything of another's."""
    addresses = [(account, key) for account, want in wanted.items() for key in want.addresses]
    domains = [(account, domain) for account, want in wanted.items() for domain in want.domains]
    records = records_of(connection, addresses)
    colleagues = _colleagues(connection, addresses)
    never_log = _never_log(connection, addresses + domains)
    emails = _emails(
        connection, [(account, fingerprint) for account, want in wanted.items() for fingerprint in want.fingerprints]
    )
    return {
        account: AccountView(
            records.get(account, {}),
            frozenset(colleagues.get(account, ())),
            frozenset(never_log.get(account, ())),
            emails.get(account, {}),
        )
        for account in wanted
    }


def records_of(connection: Connection, addresses: Collection[tuple[int, str]]) -> _Found:
    """By account id and address key: those with this email or secondary email, else those a mail to it made (R16, R17).

    The last are there because somebody may have edited the address of a made record: another could never be made for
    the same address (`record_made_once`), so the edited one is the answer.
    """
    if not addresses:
        return {}
    wanted = account_texts(connection, addresses)
    by_email, by_secondary_email = (
        _record_query(wanted, column, made=False) for column in (RecordRow.email_key, RecordRow.secondary_email_key)
    )
    by_origin = _record_query(wanted, RecordRow.made_for, made=True).where(
        col(RecordRow.module).in_(list(Module))  # the index has the module before the address
    )
    found: dict[tuple[int, str], dict[int, Record]] = defaultdict(dict)
    made: dict[tuple[int, str], list[Record]] = defaultdict(list)
    for row in connection.execute(union_all(by_email, by_secondary_email, by_origin)):
        record = Record(row.id, Module(row.module), row.owner_id, row.created_at)
        if row.made:
            made[row.account_id, row.key].append(record)
        else:
            found[row.account_id, row.key][record.id] = record
    for place, records in made.items():
        known = {record.module for record in found[place].values()}
        found[place].update({record.id: record for record in records if record.module not in known})
    by_account: _Found = {}
    for (account, key), records_by_id in found.items():
        by_account.setdefault(account, {})[key] = tuple(records_by_id.values())
    return by_account


def _record_query(wanted: FromClause, column: Any, *, made: bool) -> Select[Any]:
    return select(
        wanted.c.account_id,
        wanted.c.key,
        literal(made).label("made"),
        col(RecordRow.id),
        col(RecordRow.module),
        col(RecordRow.owner_id),
        col(RecordRow.created_at),
    ).join_from(wanted, RecordRow, _meets(wanted, RecordRow, column))


def _colleagues(connection: Connection, addresses: list[tuple[int, str]]) -> Mapping[int, set[str]]:
    """R14; only a proven address makes a colleague, else claiming an address would keep it off everybody's records."""
    if not addresses:
        return {}
    wanted = account_texts(connection, addresses)
    query = select(wanted.c.account_id, wanted.c.key).join_from(
        wanted, SenderRow, _meets(wanted, SenderRow, SenderRow.address_key)
    )
    return _sets(connection.execute(query.where(col(SenderRow.proven_at).is_not(None)).distinct()))


def _never_log(connection: Connection, entries: list[tuple[int, str]]) -> Mapping[int, set[str]]:
    if not entries:
        return {}
    wanted = account_texts(connection, entries)
    query = select(wanted.c.account_id, wanted.c.key).join_from(
        wanted, NeverLogRow, _meets(wanted, NeverLogRow, NeverLogRow.entry)
    )
    return _sets(connection.execute(query))


def _emails(connection: Connection, fingerprints: list[tuple[int, bytes]]) -> Mapping[int, dict[bytes, StoredEmail]]:
    """By account and fingerprint; most mail is new, and then this is one statement."""
    if not fingerprints:
        return {}
    wanted = account_digests(connection, fingerprints)
    stored = select(col(EmailRow.account_id), col(EmailRow.id)).join_from(
        wanted, EmailRow, _meets(wanted, EmailRow, EmailRow.fingerprint)
    )
    found = connection.execute(stored.add_columns(col(EmailRow.fingerprint))).all()
    if not found:
        return {}
    owners, records, unmatched = (
        _of_emails(connection, stored, row, column)
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


def _of_emails(
    connection: Connection, stored: Select[int, int], row: Any, column: Any
) -> defaultdict[tuple[int, int], set[Any]]:
    emails = stored.subquery("stored")
    query = select(emails.c.account_id, emails.c.id, col(column)).join_from(
        emails, row, and_(row.account_id == emails.c.account_id, row.email_id == emails.c.id)
    )
    values: defaultdict[tuple[int, int], set[Any]] = defaultdict(set)
    for account, email, value in connection.execute(query):
        values[account, email].add(value)
    return values


def _meets(wanted: FromClause, row: Any, column: Any) -> Any:
    return and_(row.account_id == wanted.c.account_id, column == wanted.c.key)


def _sets(rows: Iterable[Any]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for account, key in rows:
        found.setdefault(account, set()).add(key)
    return found
