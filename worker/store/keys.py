"""Many keys as one parameter: no statement grows with the batch, and none meets a limit on variables."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    LargeBinary,
    Text,
    bindparam,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped
from sqlalchemy.types import TypeEngine

from worker.store.columns import CleanText, storable, to_json


def among_numbers(connection: Connection, column: Mapped[int], values: Collection[int]) -> ColumnElement[bool]:
    """The condition that the column holds one of the numbers."""
    return _among(connection, column, list(values), BigInteger())


def among_texts(connection: Connection, column: Mapped[str], values: Collection[str]) -> ColumnElement[bool]:
    """The condition that the column holds one of the texts."""
    return _among(connection, column, [storable(value) for value in values], Text())


def account_texts(connection: Connection, pairs: Collection[tuple[int, str]]) -> FromClause:
    """A table ``wanted(account_id, key)`` of account ids and texts."""
    if connection.dialect.name == "sqlite":
        element = func.json_each(to_json([list(pair) for pair in pairs])).table_valued("value").c.value
        return _wanted(func.json_extract(element, "$[0]"), func.json_extract(element, "$[1]"))
    return _unnested(pairs, CleanText())


def account_digests(connection: Connection, pairs: Collection[tuple[int, bytes]]) -> FromClause:
    """A table ``wanted(account_id, key)`` of account ids and octets."""
    if connection.dialect.name == "sqlite":
        in_hex = to_json([[account_id, digest.hex()] for account_id, digest in pairs])
        element = func.json_each(in_hex).table_valued("value").c.value
        return _wanted(func.json_extract(element, "$[0]"), func.from_hex(func.json_extract(element, "$[1]")))
    return _unnested(pairs, LargeBinary())


def _among(
    connection: Connection, column: Mapped[Any], values: list[Any], type_: TypeEngine[Any]
) -> ColumnElement[bool]:
    if connection.dialect.name == "sqlite":
        return column.in_(select(func.json_each(to_json(values)).table_valued("value").c.value))
    # Not a join with unnest(): of a table without statistics the planner makes a loop over all pairs.
    return column == func.any(bindparam(None, values, ARRAY(type_, dimensions=1)))


def _wanted(account_id: ColumnElement[Any], key: ColumnElement[Any]) -> FromClause:
    return select(account_id.label("account_id"), key.label("key")).subquery("wanted")


def _unnested(pairs: Collection[tuple[int, Any]], type_: TypeEngine[Any]) -> FromClause:
    accounts, keys = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    arrays = (
        bindparam(None, accounts, ARRAY(BigInteger(), dimensions=1)),
        bindparam(None, keys, ARRAY(type_, dimensions=1)),
    )
    return func.unnest(*arrays).table_valued("account_id", "key").render_derived(name="wanted")
