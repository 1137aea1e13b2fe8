"""How decisions are found: by the people of their messages, and by a UID as people type it.

People type a UID alone, where a message is known by mailbox, UIDVALIDITY and UID (RFC 9051 §2.3.1.1).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    CompoundSelect,
    Connection,
    ScalarSelect,
    Text,
    and_,
    cast,
    collate,
    exists,
    func,
    or_,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.orm import aliased
from sqlmodel import col

from worker.domain.addresses import Address, NotAnAddress
from worker.store.tables import AttemptRow, DecisionRow, MailboxRow

AT_ONCE = 100
"""Decisions that are read in one round trip."""


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Messages decided since then; ``recipient`` and ``sender`` are addresses or domains."""

    since: datetime
    recipient: str | None = None
    sender: str | None = None


def matching_ids(
    connection: Connection, wanted: MessageFilter, conditions: Sequence[ColumnElement[bool]], limit: int | None
) -> list[int]:
    """Find the decisions that fit and fulfil the conditions, the latest first.

    SQL cannot compare addresses as everywhere else (`Address.key`), so the rows are compared here.

    Raises:
        Unavailable: the database is down.
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


def of_known_queue() -> ColumnElement[bool]:
    """Return the condition that a decision is of any mailbox and UIDVALIDITY there ever was, which is always true.

    With it beside the UID, the database finds the decision by its whole key and does not read all of the history.
    """
    queues = _queues()
    known = select(queues.c.mailbox_id, queues.c.uidvalidity)
    return tuple_(col(DecisionRow.mailbox_id), col(DecisionRow.uidvalidity)).in_(known)


def of_present_queue() -> ColumnElement[bool]:
    """Return the condition that an attempt is under the mailbox's last UIDVALIDITY, which is the greatest."""
    later: tuple[Any, ...] = (aliased(DecisionRow), aliased(AttemptRow))
    return and_(
        *(
            ~exists().where(
                col(row.mailbox_id) == col(AttemptRow.mailbox_id), col(row.uidvalidity) > col(AttemptRow.uidvalidity)
            )
            for row in later
        )
    )


def _latest_first(
    mailboxes: Iterable[int], conditions: Sequence[ColumnElement[bool]]
) -> CompoundSelect[*tuple[Any, ...]]:
    """Select decisions by time: the index begins with the mailbox, so the database walks each mailbox and merges.

    PostgreSQL merges only what is in order already.
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
    """Leave out what surely has no such address: reading addresses takes far longer than a search for their letters."""
    conditions = []
    for people, column, quote in (
        (wanted.sender, cast(col(DecisionRow.sender), Text), '"'),
        (wanted.recipient, cast(col(DecisionRow.recipients), Text), "\\"),
    ):
        if people is not None and _is_written_one_way(letters := _sought(people)):
            conditions.append(_holds(connection, column, letters, quote))
    return conditions


def may_name(connection: Connection, column: Any, keys: Iterable[str], quote: str = "\\") -> ColumnElement[bool]:
    """Return a condition that leaves out what surely names none of the addresses.

    ``quote`` is what precedes a quoted local part. What it lets through has to be compared by `Address.key`.
    """
    text = cast(column, Text)
    sought = list(keys)
    if not all(map(_is_written_one_way, sought)):
        return true()
    return or_(*(_holds(connection, text, letters, quote) for letters in sought), text.contains("=?"))


def text_may_name(text: str, keys: Iterable[str]) -> bool:
    """Apply the condition of `may_name` to a JSON text that was read."""
    written = text.lower()
    return "\\" in text or "=?" in text or any(key.lower() in written or not _is_written_one_way(key) for key in keys)


def _is_written_one_way(letters: str) -> bool:
    """Tell whether the text is ASCII and no A-label: else the database may fold its case in another way."""
    return letters.isascii() and "xn--" not in letters


def _holds(connection: Connection, text: ColumnElement[str], letters: str, quote: str) -> ColumnElement[bool]:
    """Return the condition that the text holds the letters or a quoted local part, which has several spellings."""
    if connection.dialect.name == "postgresql":
        text = collate(text, "C")  # in Turkish the small letter of I is another one
    return or_(text.icontains(letters, autoescape=True), text.contains(quote, autoescape=True))


def _is_among(wanted: str | None, texts: Iterable[str]) -> bool:
    if wanted is None:
        return True
    sought, keys = _sought(wanted), map(_key, texts)
    return sought in (keys if "@" in sought else (key.rpartition("@")[2] for key in keys))


def _sought(wanted: str) -> str:
    """Return the key of an address, or a domain, which has no @."""
    domain = wanted.lstrip("@")
    return _key(wanted) if "@" in domain else domain.lower()


def _key(text: str) -> str:
    try:
        return Address.parse(text).key
    except NotAnAddress:
        return text.strip().lower()


def _queues() -> CTE:
    """Select each mailbox and UIDVALIDITY that has a decision, stepping over the index from one to the next."""
    queues = select(col(MailboxRow.id).label("mailbox_id"), _next(col(MailboxRow.id), -1).label("uidvalidity")).cte(
        "queues", recursive=True
    )
    following = select(queues.c.mailbox_id, _next(queues.c.mailbox_id, queues.c.uidvalidity))
    return queues.union_all(following.where(queues.c.uidvalidity.is_not(None)))


def _next(mailbox_id: Any, uidvalidity: Any) -> ScalarSelect[int]:
    row = aliased(DecisionRow)
    return (
        select(func.min(col(row.uidvalidity)))
        .where(col(row.mailbox_id) == mailbox_id, col(row.uidvalidity) > uidvalidity)
        .scalar_subquery()
    )
