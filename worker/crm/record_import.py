"""The import of leads and contacts: an upsert, so that the same file twice changes nothing (R24)."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import islice
from typing import Self

from sqlalchemy import select
from sqlmodel import col

from worker.crm.accounts import make_first_account
from worker.crm.record_rows import (
    Author,
    Holder,
    Revision,
    attach,
    author_of,
    holders,
    ids_by_external_id,
    insert_records,
    merged_by_external_id,
    read_states,
    update_records,
)
from worker.crm.work import MOST_NAMED, By, Crm, Work
from worker.domain.addresses import Address, NotAnAddress
from worker.domain.permissions import Module
from worker.domain.records import PRIMARY, UNSET, RecordChange, RecordState, Unset, changed
from worker.domain.text import clean
from worker.retries import retry_on_conflict
from worker.store.database import widen_cache
from worker.store.tables import UserRow, WebhookRow
from worker.store.waiting import lock

AT_ONCE = 10_000
"""Rows of one transaction: mail for the account waits for its end, a fraction of a second."""


_NO_RECORD = RecordState()


class Key(StrEnum):
    """The column that finds the record of a row."""

    EXTERNAL_ID = "external_id"
    EMAIL = "email"


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was skipped, by the line that it begins on, and why; also the names of the JSON fields."""

    line: int
    why: str


@dataclass(slots=True)
class Imported:
    """The results of some rows; ``attached`` counts the waiting emails that found their record."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    attached: int = 0
    bad: list[BadRow] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """The numbers by the names that people see."""
        return {
            "created": self.created,
            "updated": self.updated,
            "unchanged": self.unchanged,
            "skipped": len(self.bad),
            "attached": self.attached,
        }


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """The options of an import. A dry run does all of it and rolls it back."""

    module: Module
    key: Key | None = None
    """None: by external ID where a row has one."""
    dry_run: bool = False


def import_records(crm: Crm, plan: ImportPlan, rows: Iterable[RecordChange | BadRow], by: By) -> Iterator[Imported]:
    """Create or update the record of each row; gives what became of some thousand rows at a time, each committed.

    An import that broke off can be run again: what is done already is unchanged.

    Raises:
        Refused: when the acting user may not.
    """
    with _Claims() as claims:
        for chunk in _chunks(rows):
            yield _import_chunk(crm, plan, chunk, claims, by)


def _chunks(rows: Iterable[RecordChange | BadRow]) -> Iterator[list[RecordChange | BadRow]]:
    rest = iter(rows)
    while chunk := list(islice(rest, AT_ONCE)):
        yield chunk


@retry_on_conflict
def _import_chunk(
    crm: Crm, plan: ImportPlan, rows: Sequence[RecordChange | BadRow], claims: "_Claims", by: By
) -> Imported:
    """Import some rows in one transaction."""
    with crm.begin() as work:
        widen_cache(work.connection)
        make_first_account(work, by.now)
        author = author_of(work, by, plan.module)
        lock(work.connection, [work.account.id], alone=True)
        matching = _Matching(work, plan, claims)
        matching.match(rows)
        _write(work, plan.module, matching, author)
        if plan.dry_run:
            work.connection.rollback()
    matching.done.bad.sort(key=lambda row: row.line)
    return matching.done


def _write(work: Work, module: Module, matching: "_Matching", author: Author) -> None:
    tells = _has_endpoint(work)  # what a CRM sends is no news to it, and a million of events is a third of the work
    made = insert_records(work, module, matching.new, author, tells=tells)
    update_records(work, module, matching.revisions, author, tells=tells)
    gained = [(revision.record_id, revision.after) for revision in matching.revisions if revision.moves_addresses]
    matching.done.attached = attach(work, module, [*gained, *zip(made, matching.new, strict=True)], author)
    matching.done.created, matching.done.updated = len(made), len(matching.revisions)


@dataclass(slots=True)
class _Row:
    """A row and the record that it means. Without a ``record_id`` it makes a new one."""

    change: RecordChange
    external_id: str | None
    email: Address | None
    is_by_key: bool
    """It finds its record by external ID."""
    owner_id: int | Unset | None = UNSET
    record_id: int | None = None

    @classmethod
    def of(cls, change: RecordChange, key: Key | None) -> Self:
        """Begin with a row as it was read. An empty external ID that is the key leaves that of the record alone."""
        if change.external_id is None and key is not Key.EMAIL:
            change = replace(change, external_id=UNSET)
        external_id = None if isinstance(change.external_id, Unset) else change.external_id
        email = None if isinstance(change.email, Unset) else change.email
        return cls(change, external_id, email, is_by_key=key is not Key.EMAIL and bool(external_id))


class _Matching:
    """The rows of a chunk, each with the record that it means."""

    def __init__(self, work: Work, plan: ImportPlan, claims: "_Claims") -> None:
        self._work = work
        self._plan = plan
        self._claims = claims
        self.done = Imported()
        self.new: list[RecordState] = []
        self.revisions: list[Revision] = []

    def match(self, given: Sequence[RecordChange | BadRow]) -> None:
        """Find the record of each row, and what is to be written."""
        self.done.bad += [row for row in given if isinstance(row, BadRow)]
        rows = [_Row.of(row, self._plan.key) for row in given if isinstance(row, RecordChange)]
        rows = self._owned([row for row in rows if self._has_key(row)])
        rows = self._first_to_claim(rows, [(key, row) for row in rows for key in self._keys(row)])
        rows = self._found(self._not_merged(rows))
        # A second row for one record, by another of its addresses, would undo what the first did.
        by_email = [(f"record {row.record_id}", row) for row in rows if row.record_id and not row.is_by_key]
        rows = self._first_to_claim(rows, by_email)
        states = read_states(self._work, {row.record_id for row in rows if row.record_id is not None})
        for row in rows:
            self._compare(row, states)

    def _compare(self, row: _Row, states: Mapping[int, RecordState]) -> None:
        before = _NO_RECORD if row.record_id is None else states[row.record_id]
        after = changed(before, row.change, row.owner_id)
        if row.record_id is None:
            self.new.append(after)
        elif after.is_written_as(before):
            self.done.unchanged += 1
        else:
            self.revisions.append(Revision(row.record_id, before, after))

    def _refuse(self, row: _Row, why: str) -> None:
        self.done.bad.append(BadRow(row.change.line, why))

    def _has_key(self, row: _Row) -> bool:
        if row.email or row.is_by_key:
            return True
        self._refuse(row, "no email")
        return False

    def _owned(self, rows: list[_Row]) -> list[_Row]:
        """Find the owner of each row; one who is no user refuses it."""
        if all(row.change.owner is UNSET for row in rows):
            return rows
        by_login = _owner_ids(self._work)
        named = {row.change.owner for row in rows if isinstance(row.change.owner, str)}
        owner_ids = {owner: by_login.get(_login_key(owner)) for owner in named}
        owned = []
        for row in rows:
            owner = row.change.owner
            if owner is not UNSET:
                row.owner_id = owner_ids[owner] if owner else None
            if owner and row.owner_id is None:
                name = self._work.account.name
                self._refuse(row, f"the owner {clean(str(owner), 80)} is no user of account {name}")
            else:
                owned.append(row)
        return owned

    def _keys(self, row: _Row) -> Iterator[str]:
        """Yield the keys that only one row of a file may have."""
        if row.external_id:
            yield f"external ID {row.external_id}"
        if row.email and not row.is_by_key:
            yield f"email {row.email.key}"

    def _first_to_claim(self, rows: list[_Row], claims: list[tuple[str, _Row]]) -> list[_Row]:
        """Leave the rows that claim nothing which an earlier row of the file has claimed."""
        lines = self._claims.claim({(key, row.change.line) for key, row in claims})
        if not lines:
            return rows
        late = {row.change.line: key for key, row in claims if lines[key] != row.change.line}
        for row in rows:
            if key := late.get(row.change.line):
                self._refuse(row, f"the {clean(key, 100)} is that of line {lines[key]} already")
        return [row for row in rows if row.change.line not in late] if late else rows

    def _not_merged(self, rows: list[_Row]) -> list[_Row]:
        """Leave out rows whose record was merged or converted: they would make it again."""
        module = self._plan.module
        merged = merged_by_external_id(self._work, module, {row.external_id for row in rows if row.external_id})
        if not merged:
            return rows
        known = ids_by_external_id(self._work, module, merged.keys())
        gone = {key: into for key, into in merged.items() if key not in known}
        for row in rows:
            if row.external_id in gone:
                now, number = gone[row.external_id]
                end = f"was merged into record {number}, which has a key of its own"
                end = end if now is module else f"is {now} {number} now"
                self._refuse(row, f"{module} {clean(row.external_id, 80)} {end}")
        return [row for row in rows if row.external_id not in gone]

    def _found(self, rows: list[_Row]) -> list[_Row]:
        """Find the record of each row."""
        module = self._plan.module
        known = ids_by_external_id(self._work, module, {row.external_id for row in rows if row.external_id})
        sought = {row.email.key for row in rows if row.email and not (row.is_by_key and row.external_id in known)}
        at = holders(self._work, module, sought)
        found = []
        taken: set[int] = set()
        for row in rows:
            by_key = known.get(row.external_id) if row.external_id else None
            held = at.get(row.email.key, []) if row.email else []
            if row.is_by_key:
                # One with a key of its own is another record of the CRM, though it has the same address.
                held = [holder for holder in held if holder.external_id is None and holder.record_id not in taken]
            if why := self._find(row, by_key, held):
                self._refuse(row, why)
                continue
            if row.record_id is not None:
                taken.add(row.record_id)
            found.append(row)
        return found

    def _find(self, row: _Row, by_key: int | None, held: list[Holder]) -> str | None:
        """Give the row its record; returns why there is no answer."""
        if by_key is not None and row.is_by_key:
            row.record_id = by_key
            return None
        held = [holder for holder in held if holder.position == PRIMARY] or held
        if len(held) > 1:
            numbers = ", ".join(str(holder.record_id) for holder in held[:MOST_NAMED])
            return f"{len(held)} {self._plan.module}s have the address {row.email}: {numbers}"
        row.record_id = held[0].record_id if held else None
        if by_key not in {None, row.record_id}:
            return f"the external ID {clean(row.external_id or '', 80)} is that of {self._plan.module} {by_key} already"
        return None


class _Claims:
    """The keys that rows of the file claim, and their lines: in a file of its own, so that memory stays bounded."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("", isolation_level=None)  # SQLite deletes it when it is closed
        self._file.execute("PRAGMA journal_mode = OFF")
        self._file.execute("PRAGMA cache_size = -16000")
        self._file.execute("CREATE TABLE claim (key TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()

    def claim(self, claims: Iterable[tuple[str, int]]) -> dict[str, int]:
        """Claim each key for its line unless an earlier line has it.

        Returns the line that has each key, or nothing if no key was claimed before.
        """
        wanted = sorted(claims)  # in the order of the table, each page of which is then changed once
        self._file.execute("BEGIN")
        new = self._file.executemany("INSERT INTO claim VALUES (?, ?) ON CONFLICT DO NOTHING", wanted).rowcount
        self._file.execute("COMMIT")
        if new == len(wanted):
            return {}
        keys = json.dumps([key for key, _ in wanted])
        return dict(
            self._file.execute("SELECT key, line FROM claim WHERE key IN (SELECT value FROM json_each(?))", [keys])
        )


def _has_endpoint(work: Work) -> bool:
    query = select(col(WebhookRow.id)).where(work.owns(WebhookRow))
    return work.connection.execute(query).first() is not None


def _owner_ids(work: Work) -> dict[str, int]:
    query = select(col(UserRow.login_key), col(UserRow.id)).where(work.owns(UserRow))
    return {row.login_key: row.id for row in work.connection.execute(query)}


def _login_key(text: str) -> str:
    try:
        return Address.parse(text).key
    except NotAnAddress:
        return ""
