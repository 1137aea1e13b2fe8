"""Column types: Python values to database values and back, the same on every database; and the database's clock."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, DateTime, Dialect, Text, TypeDecorator, func, select

_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_FEW = 5
_SURROGATES = re.compile("[\ud800-\udfff]")


class CleanText(TypeDecorator[str]):
    """Text without NUL and lone surrogates: databases refuse them, and one such mail must not stop a mailbox."""

    impl = Text
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[str | None], str | None]:  # noqa: ARG002 - SQLAlchemy's
        """Drop the characters that cannot be stored. Bound directly for speed: a batch has thousands of texts."""
        return _storable_or_null


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in Python on every database; SQLite itself stores no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], datetime | str | None]:
        """Refuse naive times: their zone would be a guess. Bound directly for speed."""
        return _as_sqlite_keeps_it if dialect.name == "sqlite" else _in_utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Add the zone again."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


@lru_cache(maxsize=512)  # a batch has few distinct times, each in many rows
def _as_sqlite_keeps_it(value: datetime | None) -> str | None:
    """Return the text form that SQLAlchemy reads from SQLite."""
    utc = _in_utc(value)
    return utc.replace(tzinfo=None).isoformat(" ", "microseconds") if utc else None


def _in_utc(value: datetime | None) -> datetime | None:
    if value is None:
        return None
    if value.tzinfo is None:
        raise ValueError("a naive datetime has no place in the database")
    return value.astimezone(UTC)


def _storable_or_null(value: str | None) -> str | None:
    return value if value is None else storable(value)


def storable(text: str) -> str:
    """Return the text without NUL and lone surrogates."""
    if "\0" in text:
        text = text.replace("\0", "")
    return text if text.isascii() else _SURROGATES.sub("", text)


def to_json(value: Any) -> str:
    """Return compact JSON of lists, dicts and plain values; every text in it is storable."""
    return _few_texts_to_json(value) if isinstance(value, tuple) and len(value) <= _FEW else _to_json(value)


def _to_json(value: Any) -> str:
    written = _COMPACT.encode(value)
    if "\\u0000" in written:
        written = _COMPACT.encode(_without_nul(value))
    return storable(written)


_few_texts_to_json = lru_cache(maxsize=512)(_to_json)
"""Cached, because the recipients of a message are stored with its email and again with its decision."""


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list | tuple):
        return [_without_nul(element) for element in value]
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(element) for key, element in value.items()}
    return value


def time_of(connection: Connection) -> datetime:
    """Return the database's time: one clock for all workers and for `status`, whatever their hosts' clocks say.

    Raises:
        Unavailable: the database is down.
    """
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    now: datetime = connection.execute(select(func.clock_timestamp(type_=UtcDateTime))).scalar_one()
    return now
