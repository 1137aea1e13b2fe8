"""Column types, the same on every database; many keys as one parameter; the database's clock."""

import json
import re
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    DateTime,
    Dialect,
    FromClause,
    LargeBinary,
    Text,
    TypeDecorator,
    bindparam,
    func,
    select,
)
from sqlalchemy.orm import Mapped
from sqlalchemy.types import TypeEngine

_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_FEW = 5
_SURROGATES = re.compile("[\ud800-\udfff]")


class CleanText(TypeDecorator[str]):
    """Text without NUL and lone surrogates: databases refuse them, and one such mail must not stop a mailbox."""

    impl = Text
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[str | None], str | None]:  # noqa: ARG002 - SQLAlchemy's
        """Drop the characters that cannot be stored. Bound directly for speed: a batch has thousands of texts."""
        return storable_or_null


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


def are_storable(texts: Iterable[str | None]) -> bool:
    """Tell whether all are ASCII texts without NUL, which `storable` would return as they are."""
    together = "".join(filter(None, texts))
    return together.isascii() and "\0" not in together


def storable_or_null(value: str | None) -> str | None:
    """Return what `storable` makes of a text that may be missing."""
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


def among_numbers(connection: Connection, column: Mapped[Any], values: Collection[int]) -> ColumnElement[bool]:
    """Return the condition that the column holds one of the numbers."""
    return _among(connection, column, list(values), BigInteger())


def among_texts(connection: Connection, column: Mapped[Any], values: Collection[str]) -> ColumnElement[bool]:
    """Return the condition that the column holds one of the texts."""
    texts = list(values) if are_storable(values) else [storable(value) for value in values]
    return _among(connection, column, texts, Text())


def among_wanted(dialect: str, column: Mapped[Any]) -> ColumnElement[bool]:
    """Return the condition that the column holds one of the values; `values` makes its parameters."""
    if dialect == "sqlite":
        return column.in_(select(_wanted_element()))
    type_ = cast("ColumnElement[Any]", column).type
    return column == func.any(bindparam("wanted", type_=ARRAY(type_, dimensions=1)))


def values(dialect: str, wanted: Collection[Any]) -> dict[str, Any]:
    """Return the parameters of `among_wanted`."""
    return {"wanted": to_json(list(wanted)) if dialect == "sqlite" else list(wanted)}


def wanted_texts(dialect: str) -> FromClause:
    """Return a table ``wanted(account_id, key)`` of account ids and texts; `text_pairs` makes its parameters."""
    if dialect == "sqlite":
        element = _wanted_element()
        return _wanted(func.json_extract(element, "$[0]"), func.json_extract(element, "$[1]"))
    return _unnested(CleanText())


def text_pairs(dialect: str, pairs: Collection[tuple[int, str]]) -> dict[str, Any]:
    """Return the parameters of `wanted_texts`."""
    return {"wanted": to_json([list(pair) for pair in pairs])} if dialect == "sqlite" else _arrays(pairs)


def wanted_digests(dialect: str) -> FromClause:
    """Return a table ``wanted(account_id, key)`` of account ids and bytes; `digest_pairs` makes its parameters."""
    if dialect == "sqlite":
        element = _wanted_element()
        return _wanted(func.json_extract(element, "$[0]"), func.from_hex(func.json_extract(element, "$[1]")))
    return _unnested(LargeBinary())


def digest_pairs(dialect: str, pairs: Collection[tuple[int, bytes]]) -> dict[str, Any]:
    """Return the parameters of `wanted_digests`."""
    if dialect == "sqlite":
        return {"wanted": to_json([[account_id, digest.hex()] for account_id, digest in pairs])}
    return _arrays(pairs)


def _among(
    connection: Connection, column: Mapped[Any], values: list[Any], type_: TypeEngine[Any]
) -> ColumnElement[bool]:
    if connection.dialect.name == "sqlite":
        return column.in_(select(func.json_each(to_json(values)).table_valued("value").c.value))
    # Not a join with unnest(): without statistics the planner chooses a nested loop over all pairs.
    return column == func.any(bindparam(None, values, ARRAY(type_, dimensions=1)))


def _wanted_element() -> ColumnElement[Any]:
    return func.json_each(bindparam("wanted", type_=Text())).table_valued("value").c.value


def _wanted(account_id: ColumnElement[Any], key: ColumnElement[Any]) -> FromClause:
    return select(account_id.label("account_id"), key.label("key")).subquery("wanted")


def _unnested(type_: TypeEngine[Any]) -> FromClause:
    arrays = (
        bindparam("wanted_accounts", type_=ARRAY(BigInteger(), dimensions=1)),
        bindparam("wanted_keys", type_=ARRAY(type_, dimensions=1)),
    )
    return func.unnest(*arrays).table_valued("account_id", "key").render_derived(name="wanted")


def _arrays(pairs: Collection[tuple[int, Any]]) -> dict[str, Any]:
    return {"wanted_accounts": [pair[0] for pair in pairs], "wanted_keys": [pair[1] for pair in pairs]}
