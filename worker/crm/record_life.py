"""The life of a lead or contact: added, edited, merged, converted, deleted; its emails and addresses follow (R25)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.orm import aliased
from sqlmodel import col

from worker.crm.accounts import make_first_account
from worker.crm.record_lists import RecordDetail, detail_of, find_record
from worker.crm.record_rows import (
    Author,
    Revision,
    attach,
    author_of,
    facts_of,
    ids_by_external_id,
    insert_records,
    read_states,
    remove_addresses,
    update_records,
)
from worker.crm.work import By, Crm, Work
from worker.domain.errors import Refused
from worker.domain.events import record_deleted, record_merged, record_updated
from worker.domain.permissions import Module
from worker.domain.records import RecordChange, RecordState, Unset, changed, merged
from worker.domain.text import clean
from worker.retries import retry_on_conflict
from worker.store.event_log import write_events
from worker.store.inserts import allocate, insert_rows
from worker.store.tables import AssociationRow, FormerRecordRow, RecordRow
from worker.store.waiting import lock


@dataclass(frozen=True, slots=True)
class ChangedRecord:
    """A record after a change; ``attached`` counts the waiting emails that it got."""

    record: RecordDetail
    attached: int = 0
    lost_external_id: str | None = None
    """Of the record that was merged into it, where both had one."""


@dataclass(frozen=True, slots=True)
class DeletedRecord:
    """A record as it was, and how many emails have no record now."""

    record: RecordDetail
    emails_without_record: int


@contextmanager
def changing(crm: Crm, by: By, *modules: Module) -> Iterator[tuple[Work, Author]]:
    """Begin a change of records that exist. No mail of the account is filed meanwhile.

    Raises:
        Refused: when the acting user may not, or there is no such user or account.
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    with crm.begin() as work:
        author = author_of(work, by, *modules)
        lock(work.connection, [work.account.id], alone=True)
        yield work, author


@retry_on_conflict
def add_record(crm: Crm, module: Module, change: RecordChange, by: By) -> ChangedRecord:
    """Make one record and give it the mail that waits for its address.

    Raises:
        Refused: when the owner does not exist, the external ID is taken, or the acting user may not.
    """
    with crm.begin() as work:
        make_first_account(work, by.now)
        author = author_of(work, by, module)
        state = changed(RecordState(), change, _owner_id(work, change))
        _require_free_external_id(work, module, state)
        (number,) = insert_records(work, module, [state], author)
        attached = attach(work, module, [(number, state)], author)
        return ChangedRecord(detail_of(work, module, number), attached)


@retry_on_conflict
def edit_record(crm: Crm, module: Module, name: str, change: RecordChange, by: By) -> ChangedRecord:
    """Change a record. An address that is replaced keeps matching; one that is removed does not.

    Raises:
        Refused: when there is no such record or owner, the external ID is taken, an address cannot be removed, or the
            acting user may not.
    """
    with changing(crm, by, module) as (work, author):
        number = find_record(work, module, name)
        before = read_states(work, [number])[number]
        revision = Revision(number, before, changed(before, change, _owner_id(work, change)))
        _require_free_external_id(work, module, revision.after, number)
        _require_removed(module, revision, change)
        if revision.after.is_written_as(before):
            return ChangedRecord(detail_of(work, module, number))
        return _revise(work, module, revision, author)


@retry_on_conflict
def delete_record(crm: Crm, module: Module, name: str, by: By) -> DeletedRecord:
    """Delete a record. Its emails stay.

    Raises:
        Refused: when there is no such record, or the acting user may not.
    """
    with changing(crm, by, module) as (work, author):
        number = find_record(work, module, name)
        deleted = DeletedRecord(detail_of(work, module, number), _emails_only_on(work, number))
        facts = facts_of(number, module, read_states(work, [number])[number])
        end_record(work, module, number, author)
        write_events(work.connection, [record_deleted(work.account.id, facts)], author.now)
        return deleted


@retry_on_conflict
def merge_records(crm: Crm, module: Module, name: str, by: By, *, into: str) -> ChangedRecord:
    """Merge a record into another one of its module, which gets its emails and addresses, and its key if it has none.

    Raises:
        Refused: when one of them does not exist, both are the same, or the acting user may not.
    """
    with changing(crm, by, module) as (work, author):
        number = find_record(work, module, name)
        target = _find_target(work, module, number, into)
        if number == target:
            raise Refused(f"{module} {number} cannot be merged into itself", "merged_into_itself")
        return _merge(work, number, target, (module, module), author)


@retry_on_conflict
def convert_lead(crm: Crm, name: str, by: By, *, into: str | None) -> ChangedRecord:
    """Make a lead a contact, which keeps its number, or merge it into a contact that exists.

    Raises:
        Refused: when one of them does not exist, a contact has the lead's external ID, or the acting user may not.
    """
    with changing(crm, by, Module.LEAD, Module.CONTACT) as (work, author):
        number = find_record(work, Module.LEAD, name)
        if into is not None:
            target = find_record(work, Module.CONTACT, into)
            return _merge(work, number, target, (Module.LEAD, Module.CONTACT), author)
        state = read_states(work, [number])[number]
        _require_free_external_id(work, Module.CONTACT, state)
        work.connection.execute(
            update(RecordRow)
            .where(work.owns(RecordRow), col(RecordRow.id) == number)
            .values(module=Module.CONTACT.value, made_for=None, changed_at=author.now, changed_by=author.user_id)
        )
        converted = record_updated(work.account.id, facts_of(number, Module.CONTACT, state), ["module"])
        write_events(work.connection, [converted], author.now)
        if state.external_id is not None:
            (placeholder,) = allocate(work.connection, RecordRow, 1)
            _remember_end(
                *(work, Module.LEAD, placeholder, author), merged_into=number, lost_external_id=state.external_id
            )
        attached = attach(work, Module.CONTACT, [(number, state)], author)
        return ChangedRecord(detail_of(work, Module.CONTACT, number), attached)


def _find_target(work: Work, module: Module, number: int, into: str) -> int:
    try:
        return find_record(work, module, into)
    except Refused as error:
        if error.code != "record_of_other_module":
            raise
        text = f"{module} {number} cannot be merged into a {error.values['module']}"
        code = "lead_into_contact" if module is Module.LEAD else "contact_into_lead"
        raise Refused(text, code, id=number, into=error.values["id"]) from error


def _merge(work: Work, number: int, target: int, modules: tuple[Module, Module], author: Author) -> ChangedRecord:
    """Move the emails and addresses of one record to another, and end the first."""
    states = read_states(work, [number, target])
    gone, before = states[number], states[target]
    revision = Revision(target, before, merged(before, gone))
    lost = gone.external_id if gone.external_id != revision.after.external_id else None
    _move_emails(work, number, target)
    old_key = lost if modules[0] is modules[1] else gone.external_id
    end_record(work, modules[0], number, author, merged_into=target, lost_external_id=old_key)
    done = _revise(work, modules[1], revision, author)
    facts = [facts_of(target, modules[1], revision.after), facts_of(number, modules[0], gone)]
    write_events(work.connection, [record_merged(work.account.id, *facts)], author.now)
    return ChangedRecord(done.record, done.attached, lost)


def _revise(work: Work, module: Module, revision: Revision, author: Author) -> ChangedRecord:
    """Write a changed record, and give it the mail that waits for its new addresses."""
    update_records(work, module, [revision], author)
    attached = attach(work, module, [(revision.record_id, revision.after)], author) if revision.moves_addresses else 0
    return ChangedRecord(detail_of(work, module, revision.record_id), attached)


def _move_emails(work: Work, number: int, target: int) -> None:
    """Put the record's emails on the target; one that stands there already stays as it is."""
    here, there = aliased(AssociationRow), col(AssociationRow.email_id)
    stands = exists().where(work.owns(here), col(here.email_id) == there, col(here.record_id) == target)
    work.connection.execute(
        update(AssociationRow)
        .where(work.owns(AssociationRow), col(AssociationRow.record_id) == number, ~stands)
        .values(record_id=target, created=False)
    )


def end_record(  # noqa: PLR0913 - how a record ends
    work: Work,
    module: Module,
    number: int,
    author: Author,
    *,
    merged_into: int | None = None,
    lost_external_id: str | None = None,
) -> None:
    """Delete the record and its associations, and remember how it ended.

    ``lost_external_id`` is the key of a merged record that no record of its module has now.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    remove_addresses(work, [number])
    for row, column in ((AssociationRow, AssociationRow.record_id), (RecordRow, RecordRow.id)):
        work.connection.execute(delete(row).where(work.owns(row), col(column) == number))
    _remember_end(work, module, number, author, merged_into=merged_into, lost_external_id=lost_external_id)


def _remember_end(  # noqa: PLR0913 - the columns of the row
    work: Work, module: Module, number: int, author: Author, *, merged_into: int | None, lost_external_id: str | None
) -> None:
    end = {
        "account_id": work.account.id,
        "id": number,
        "module": module.value,
        "merged_into": merged_into,
        "external_id": lost_external_id,
        "ended_at": author.now,
        "ended_by": author.user_id,
    }
    insert_rows(work.connection, FormerRecordRow, [end])


def _emails_only_on(work: Work, number: int) -> int:
    other = aliased(AssociationRow)
    elsewhere = exists().where(
        col(other.account_id) == col(AssociationRow.account_id),
        col(other.email_id) == col(AssociationRow.email_id),
        col(other.record_id) != number,
    )
    query = select(func.count()).where(work.owns(AssociationRow), col(AssociationRow.record_id) == number, ~elsewhere)
    return work.connection.scalar(query) or 0


def _owner_id(work: Work, change: RecordChange) -> int | Unset | None:
    owner = change.owner
    if isinstance(owner, Unset):
        return owner
    return work.user(owner).id if owner else None


def _require_removed(module: Module, revision: Revision, change: RecordChange) -> None:
    for address in change.remove:
        if address not in revision.before.addresses():
            text = f"{module} {revision.record_id} has no address {address}"
            raise Refused(text, "address_unknown", module=module, id=revision.record_id)
        if address in revision.after.addresses():
            raise Refused(f"{address} is the email of {module} {revision.record_id}", "address_is_email")


def _require_free_external_id(work: Work, module: Module, state: RecordState, number: int | None = None) -> None:
    if state.external_id is None:
        return
    holder = ids_by_external_id(work, module, [state.external_id]).get(state.external_id)
    if holder not in {None, number}:
        raise Refused(
            f"the external ID {clean(state.external_id, 80)} is that of {module} {holder} already", "external_id_taken"
        )
