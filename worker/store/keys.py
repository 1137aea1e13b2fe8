"""Pass many keys as one parameter: statements do not grow with the batch and meet no limit on variables.

Statements that run for each batch are built once (`wanted_texts`): building one takes longer than running it.
"""

from collections.abc import Collection
from typing import Any, cast

from sqlalchemy import (
    ARRAY,
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
from sqlalchemy.orm import Mapped
from sqlalchemy.types import TypeEngine

from worker.store.columns import CleanText, storable, to_json


def among_numbers(connection: Connection, column: Mapped[Any], values: Collection[int]) -> ColumnElement[bool]:
    """Return the condition that the column holds one of the numbers."""
    return _among(connection, column, list(values), BigInteger())


def among_texts(connection: Connection, column: Mapped[Any], values: Collection[str]) -> ColumnElement[bool]:
    """Return the condition that the column holds one of the texts."""
    return _among(connection, column, [storable(value) for value in values], Text())


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
