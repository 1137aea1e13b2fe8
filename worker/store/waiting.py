"""Records and mail that meet between a decision and its commit.

Mail for a recipient whom nobody knew (R15) goes to the first record added for the address, once.

Added by hand, by an import, or by another mail. A mail may be decided before a record is added and committed after it.
So either side looks for the other under a lock of the account, kept until its commit: whichever comes second finds what
the first has written. Many may add records at once; a mail that is to wait is alone.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, select, text
from sqlmodel import col

from worker.domain.addresses import Address
from worker.domain.errors import Conflict
from worker.domain.masking import without_tokens
from worker.domain.patterns import Module, search_of
from worker.domain.recipients import resolve
from worker.domain.records import AccountView, NewRecord, best_match
from worker.domain.verdicts import Association, Filing, RecipientResult, RecipientTrace, Verdict
from worker.store.bulk import insert_rows
from worker.store.keys import among_numbers, among_texts
from worker.store.tables import AccountRow, AssociationRow, EmailOwnerRow, ProfileRow, UnmatchedRow, UserRow
from worker.store.views import records_of

_LOCKS = 0x62636364
"""The first of the two numbers of an advisory lock of this kind; the second is the account."""
_LOCK = text(
    "SELECT CASE WHEN alone THEN pg_advisory_xact_lock(:locks, account)"
    " ELSE pg_advisory_xact_lock_shared(:locks, account) END"
    " FROM unnest(CAST(:accounts AS integer[]), CAST(:alone AS boolean[])) AS wanted(account, alone)"
)


def attach_waiting(connection: Connection, account_id: int, module: Module, records: Mapping[str, int]) -> int:
    """Put waiting emails on these new records (ids by address key); gives how many. The commit should follow soon."""
    lock(connection, {account_id: False})
    if not _with_waiting(connection, [account_id]):
        return 0
    return _attach(connection, account_id, module, records)


def attach_to_made(
    connection: Connection, made: Mapping[NewRecord, int], standing: AbstractSet[tuple[int, int, int]]
) -> None:
    """The same for records that mail made, under the `lock` of their accounts.

    ``standing``: account, email and record of associations that were just written. Such an email waits no more.
    """
    waiting = _with_waiting(connection, {record.account_id for record in made})
    records: defaultdict[tuple[int, Module], dict[str, int]] = defaultdict(dict)
    for record, number in made.items():
        if record.account_id in waiting:
            records[record.account_id, record.module][record.address.key] = number
    for (account_id, module), numbers in sorted(records.items()):
        _attach(connection, account_id, module, numbers, standing)


def _with_waiting(connection: Connection, accounts: Collection[int]) -> set[int]:
    """Those of the accounts in which any email waits for anybody."""
    if not accounts:
        return set()
    query = select(col(AccountRow.id)).where(
        among_numbers(connection, col(AccountRow.id), accounts),
        exists().where(col(UnmatchedRow.account_id) == col(AccountRow.id)),
    )
    return set(connection.scalars(query))


def _attach(
    connection: Connection,
    account_id: int,
    module: Module,
    records: Mapping[str, int],
    standing: AbstractSet[tuple[int, int, int]] = frozenset(),
) -> int:
    """The deletion comes first and says what it took: of two records made at once only one gets the email."""
    taken = connection.execute(
        delete(UnmatchedRow)
        .where(
            col(UnmatchedRow.account_id) == account_id,
            among_texts(connection, col(UnmatchedRow.address_key), records),
            _is_of_somebody_with(module),
        )
        .returning(col(UnmatchedRow.email_id), col(UnmatchedRow.address_key))
    )
    found = sorted({(account_id, row.email_id, records[row.address_key]) for row in taken} - standing)
    rows = [
        {"account_id": account, "email_id": email, "record_id": record, "created": False}
        for account, email, record in found
    ]
    insert_rows(connection, AssociationRow, rows)
    return len(rows)


def lock_for(connection: Connection, filings: Sequence[Filing]) -> None:
    """The `lock` that the writing of these needs."""
    accounts: dict[int, bool] = {}
    for verdict in (verdict for filing in filings for verdict in filing.verdicts):
        if verdict.owner and (verdict.unmatched or any(found.created for found in verdict.associations)):
            account_id = verdict.owner.account_id
            accounts[account_id] = accounts.get(account_id, False) or bool(verdict.unmatched)
    lock(connection, accounts)


def lock(connection: Connection, accounts: Mapping[int, bool]) -> None:
    """Until the end of the transaction: alone (True) or together with others (False); in one order for everybody.

    SQLite has one writer at a time anyway.
    """
    if accounts and connection.dialect.name != "sqlite":
        wanted = {account_id % 2**31: alone for account_id, alone in sorted(accounts.items())}
        connection.execute(_LOCK, {"locks": _LOCKS, "accounts": list(wanted), "alone": list(wanted.values())})


def see_that_nobody_added(connection: Connection, filings: Sequence[Filing]) -> None:
    """Look again for the records that these are about to make, under the `lock` of their accounts (R15 to R17).

    Raises:
        Conflict: when one was added since they were decided, and its owner's search would have found it.
    """
    making = [
        (verdict.owner, association.record)
        for filing in filings
        for verdict in filing.verdicts
        if verdict.owner
        for association in verdict.associations
        if association.created and isinstance(association.record, NewRecord)
    ]
    wanted = sorted({(record.account_id, record.address.key) for _, record in making})
    found = records_of(connection, wanted)
    for owner, record in making:
        known = found.get(record.account_id, {}).get(record.address.key, ())
        modules = search_of(owner.pattern, owner.permissions).modules
        if any(best_match(known, module, owner.id) for module in modules):
            raise Conflict(f"a record for {without_tokens(record.address.text)} was added meanwhile")


def with_records_added_meanwhile(connection: Connection, filings: Sequence[Filing]) -> Sequence[Filing]:
    """The filings, where an address that nobody had when they were decided is now that of a record (R10, R15, R16).

    To be asked in the transaction that writes them, under the `lock` of their accounts.
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
