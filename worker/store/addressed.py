"""The records at an address (R16, R17): three conditions, each in the words by which one index answers it."""

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, text
from sqlmodel import col

from worker.domain.patterns import Module
from worker.store.tables import ADDRESSED_OTHERWISE, HAS_SECONDARY, RecordRow


class Addressed(NamedTuple):
    """Asked for by an OR of the three, SQLite reads all records instead."""

    by_email: ColumnElement[bool]
    """Of those that no mail made for it."""
    by_secondary_email: ColumnElement[bool]
    by_origin: ColumnElement[bool]
    """A mail made them for it, whatever their email is now."""


def addressed(key: Any) -> Addressed:
    """The conditions that a record has this address key, which may be a column."""
    return Addressed(
        by_email=and_(col(RecordRow.email_key) == key, text(f"({ADDRESSED_OTHERWISE})")),
        by_secondary_email=and_(col(RecordRow.secondary_email_key) == key, text(HAS_SECONDARY)),
        by_origin=and_(
            col(RecordRow.made_for) == key,
            col(RecordRow.module).in_(list(Module)),  # the index has the module before the address
        ),
    )
