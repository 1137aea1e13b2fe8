"""Decisions found by the people of their messages: what somebody who misses a mail knows of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Connection, Text, cast, collate, or_, select, union_all
from sqlmodel import col

from worker.domain.addresses import Address, NotAnAddress
from worker.store.tables import DecisionRow, MailboxRow

AT_ONCE = 100
"""How many decisions are looked at in one round trip."""


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Messages decided since then; ``recipient`` and ``sender`` are addresses or domains."""

    since: datetime
    recipient: str | None = None
    sender: str | None = None


def matching_ids(
    connection: Connection, wanted: MessageFilter, conditions: Sequence[ColumnElement[bool]], limit: int | None
) -> list[int]:
    """The decisions that fit and fulfil the conditions, the latest first.

    Addresses are compared as everywhere (`Address.key`), which SQL cannot do: the rows are looked at here.
    """
    mailboxes = connection.scalars(select(col(MailboxRow.id))).all()
    if not mailboxes:
        return []
    recent = col(DecisionRow.decided_at) >= wanted.since
    query = _latest_first(mailboxes, [recent, *_may_fit(connection, wanted), *conditions])
    with connection.execute(query, execution_options={"yield_per": AT_ONCE}) as rows:
        fitting = (
            row.id
            for row in rows
            if _is_among(wanted.sender, [row.sender]) and _is_among(wanted.recipient, row.recipients)
        )
        return list(islice(fitting, limit))


def _latest_first(
    mailboxes: Iterable[int], conditions: Sequence[ColumnElement[bool]]
) -> CompoundSelect[*tuple[Any, ...]]:
    """The index of decisions by time begins with the mailbox: the database walks each of them, and merges.

    PostgreSQL merges only what was put in order before.
    """
    columns = (col(DecisionRow.id), col(DecisionRow.decided_at), col(DecisionRow.sender), col(DecisionRow.recipients))
    latest_first = col(DecisionRow.decided_at).desc(), col(DecisionRow.id).desc()
    walks = [
        select(*columns).where(col(DecisionRow.mailbox_id) == number, *conditions).order_by(*latest_first)
        for number in mailboxes
    ]
    merged = union_all(*(select(walk.subquery()) for walk in walks))
    return merged.order_by(merged.selected_columns.decided_at.desc(), merged.selected_columns.id.desc())


def _may_fit(connection: Connection, wanted: MessageFilter) -> list[ColumnElement[bool]]:
    """Leave out what surely has no such address: reading addresses takes far longer than looking for their letters."""
    conditions = []
    for people, column, quote in (
        (wanted.sender, cast(col(DecisionRow.sender), Text), '"'),
        (wanted.recipient, cast(col(DecisionRow.recipients), Text), "\\"),
    ):
        if people is not None and _is_written_one_way(letters := _sought(people)):
            conditions.append(_holds(connection, column, letters, quote))
    return conditions


def _is_written_one_way(letters: str) -> bool:
    """Not what goes beyond ASCII, of which the database may know other small letters, or the domain in A-labels."""
    return letters.isascii() and "xn--" not in letters


def _holds(connection: Connection, text: ColumnElement[str], letters: str, quote: str) -> ColumnElement[bool]:
    """A local part in quotes (``quote`` tells of one) has several ways to be written."""
    if connection.dialect.name == "postgresql":
        text = collate(text, "C")  # in Turkish the small letter of I is another one
    return or_(text.icontains(letters, autoescape=True), text.contains(quote, autoescape=True))


def _is_among(wanted: str | None, texts: Iterable[str]) -> bool:
    if wanted is None:
        return True
    sought, keys = _sought(wanted), map(_key, texts)
    return sought in (keys if "@" in sought else (key.rpartition("@")[2] for key in keys))


def _sought(wanted: str) -> str:
    """The key of an address; or a domain, which has no @."""
    domain = wanted.lstrip("@")
    return _key(wanted) if "@" in domain else domain.lower()


def _key(text: str) -> str:
    try:
        return Address.parse(text).key
    except NotAnAddress:
        return text.strip().lower()
