"""Mail for a recipient whom nobody knew (R15): it goes to the first record added for the address, once.

A mail may be decided before a record is added and committed after it. So either side looks for the other under a lock
of the account, kept until its commit: whichever comes second finds what the first has written.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import ColumnElement, Connection, TextClause, and_, delete, exists, select, text
from sqlmodel import col

from worker.domain.addresses import Address
from worker.domain.patterns import Module, search_of
from worker.domain.recipients import resolve
from worker.domain.records import AccountView
from worker.domain.verdicts import Association, Filing, RecipientResult, RecipientTrace, Verdict
from worker.store.bulk import insert_rows
from worker.store.keys import among_texts
from worker.store.tables import AssociationRow, EmailOwnerRow, ProfileRow, UnmatchedRow, UserRow
from worker.store.views import records_of

_LOCKS = 0x62636364
"""The first of the two numbers of an advisory lock of this kind; the second is the account."""
_ALONE = text("SELECT pg_advisory_xact_lock(:locks, :account)")
_TOGETHER = text("SELECT pg_advisory_xact_lock_shared(:locks, :account)")


def attach_waiting(connection: Connection, account_id: int, module: Module, records: Mapping[str, int]) -> int:
    """Put waiting emails on these new records (ids by address key); gives how many. The commit should follow soon.

    The deletion comes first and says what it took: of two records made at once only one gets the email.
    """
    _lock(connection, _ALONE, [account_id])
    if not connection.scalar(select(exists().where(col(UnmatchedRow.account_id) == account_id))):
        return 0
    taken = connection.execute(
        delete(UnmatchedRow)
        .where(
            col(UnmatchedRow.account_id) == account_id,
            among_texts(connection, col(UnmatchedRow.address_key), records),
            _is_of_somebody_with(module),
        )
        .returning(col(UnmatchedRow.email_id), col(UnmatchedRow.address_key))
    )
    pairs = sorted({(row.email_id, records[row.address_key]) for row in taken})
    rows = [
        {"account_id": account_id, "email_id": email_id, "record_id": record_id, "created": False}
        for email_id, record_id in pairs
    ]
    insert_rows(connection, AssociationRow, rows)
    return len(rows)


def with_records_added_meanwhile(connection: Connection, filings: Sequence[Filing]) -> Sequence[Filing]:
    """The filings, where an address that nobody had when they were decided is now that of a record (R10, R15, R16).

    To be asked in the transaction that writes them.
    """
    wanted = {
        (verdict.owner.account_id, address.key)
        for filing in filings
        for verdict in filing.verdicts
        if verdict.owner
        for address in verdict.unmatched
    }
    if not wanted:
        return filings
    _lock(connection, _TOGETHER, sorted({account_id for account_id, _ in wanted}))
    views = {account_id: AccountView(records) for account_id, records in records_of(connection, sorted(wanted)).items()}
    return [_filing(filing, views) for filing in filings] if views else filings


def _filing(filing: Filing, views: Mapping[int, AccountView]) -> Filing:
    return replace(filing, verdicts=tuple(_verdict(verdict, views) for verdict in filing.verdicts))


def _verdict(verdict: Verdict, views: Mapping[int, AccountView]) -> Verdict:
    owner = verdict.owner
    view = views.get(owner.account_id) if owner else None
    if owner is None or view is None:
        return verdict
    search = search_of(owner.pattern, owner.permissions)
    found = {address: resolve(address, owner, search, view, ()) for address in verdict.unmatched}
    matched = {address: trace for address, trace in found.items() if trace.result is RecipientResult.MATCHED}
    records = dict.fromkeys(trace.record for trace in matched.values() if trace.record)
    return replace(
        verdict,
        trace=replace(verdict.trace, recipients=_traces(verdict.trace.recipients, matched)),
        associations=(*verdict.associations, *(Association(record, created=False) for record in records)),
        unmatched=tuple(address for address in verdict.unmatched if address not in matched),
    )


def _traces(
    recipients: Iterable[RecipientTrace], matched: Mapping[Address, RecipientTrace]
) -> tuple[RecipientTrace, ...]:
    by_text = {trace.address: trace for trace in matched.values()}
    return tuple(by_text.get(recipient.address, recipient) for recipient in recipients)


def _lock(connection: Connection, how: TextClause, accounts: Iterable[int]) -> None:
    """Until the end of the transaction. SQLite has one writer at a time anyway."""
    if connection.dialect.name == "sqlite":
        return
    for account_id in accounts:
        connection.execute(how, {"locks": _LOCKS, "account": account_id % 2**31})


def _is_of_somebody_with(module: Module) -> ColumnElement[bool]:
    """R10 holds for late mail as well: an owner of the email must have the permission for the module."""
    return exists().where(
        and_(
            col(EmailOwnerRow.account_id) == col(UnmatchedRow.account_id),
            col(EmailOwnerRow.email_id) == col(UnmatchedRow.email_id),
            col(UserRow.account_id) == col(EmailOwnerRow.account_id),
            col(UserRow.id) == col(EmailOwnerRow.user_id),
            col(ProfileRow.account_id) == col(UserRow.account_id),
            col(ProfileRow.id) == col(UserRow.profile_id),
            col(getattr(ProfileRow, module.permission.value)),
        )
    )
