"""Originals of emails: compressed with Zstandard, alone or in packs, checked by a digest when read (R20, R30)."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from typing import Any

import zstandard
from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, func, select, text, update
from sqlmodel import col

from worker.domain.errors import DropboxError
from worker.store.columns import among_numbers
from worker.store.database import Database
from worker.store.inserts import insert_rows
from worker.store.tables import UNPACKED, AccountRow, EmailContentRow, EmailPackRow, EmailRow

_LEVEL = 3
"""Zstandard's default level. Level 1 makes text mail 2 % larger and saves 3 µs a message."""
_LARGEST = 1024**3
"""Bytes; no message can be larger (MAX_ATTACHMENT_BYTES), so a frame that claims more is damaged."""
_PACK_BYTES = 1024 * 1024
"""Of the messages in a pack. A reader decompresses the whole pack in a millisecond; to rewrite it takes 10 ms."""
_PACK_MESSAGES = 128
_LONGEST_IN_PACK = 128 * 1024
"""Bytes. A longer message is mostly attachments, which have nothing in common with other mail."""


class Encoding(StrEnum):
    """How an original is stored."""

    PLAIN = "plain"
    ZSTD = "zstd"
    PACK = "pack"


@dataclass(frozen=True, slots=True)
class StoredOriginal:
    """An original as the database holds it. Rows from before compression have no ``digest`` (SHA-256).

    Of an original in a pack, ``original`` is the pack, in which it has ``length`` bytes from ``start``.
    """

    original: bytes
    encoding: str
    digest: bytes | None
    start: int | None = None
    length: int | None = None

    def columns(self) -> dict[str, Any]:
        """Return the values of the row's columns."""
        return {"original": self.original, "encoding": self.encoding, "digest": self.digest}


class Damaged(DropboxError):
    """The stored original is not the message that was filed: the disk or somebody else changed it."""


def pack(raw: bytes) -> StoredOriginal:
    """Compress the message; store it plain when that is not smaller."""
    packed = _compressed([raw])
    digest = hashlib.sha256(raw).digest()
    if len(packed) < len(raw):
        return StoredOriginal(packed, Encoding.ZSTD, digest)
    return StoredOriginal(raw, Encoding.PLAIN, digest)


def unpack(stored: StoredOriginal) -> bytes:
    """Return the message byte for byte.

    Raises:
        Damaged: when the stored bytes cannot be decompressed or do not match the digest.
    """
    raw = bytes(stored.original) if stored.encoding == Encoding.PLAIN else _decompressed(stored.original)
    if stored.start is not None and stored.length is not None:
        raw = raw[stored.start : stored.start + stored.length]
    if stored.digest is not None and hashlib.sha256(raw).digest() != bytes(stored.digest):
        raise Damaged("the stored original is damaged: its SHA-256 digest does not match; restore it from a backup")
    return raw


def read_original(connection: Connection, account_id: int, email_id: int) -> bytes | None:
    """Return the message of a stored email, byte for byte; None when there is no such email.

    Raises:
        Damaged: when the stored bytes are not the message that was filed.
    """
    of_email = (col(EmailContentRow.account_id) == account_id, col(EmailContentRow.email_id) == email_id)
    row: Any = connection.execute(_STORED.where(*of_email)).first()
    return None if row is None else unpack(StoredOriginal(*row))


def pack_old(database: Database, most: int) -> int:
    """Compress up to ``most`` originals stored before compression; return how many it found.

    Each one is its own short transaction, so that no poll waits long for it.

    Raises:
        Unavailable: when the database is down.
    """
    unpacked = select(col(EmailContentRow.account_id), col(EmailContentRow.email_id)).where(text(UNPACKED)).limit(most)
    with database.read() as connection:
        found = connection.execute(unpacked).all()
    for account_id, email_id in found:
        _pack_one(database, account_id, email_id)
    return len(found)


def _pack_one(database: Database, account_id: int, email_id: int) -> None:
    this = (col(EmailContentRow.account_id) == account_id, col(EmailContentRow.email_id) == email_id)
    with database.read() as connection:
        raw = connection.scalar(select(col(EmailContentRow.original)).where(*this))
    if raw is not None:
        packed = pack(bytes(raw))
        with database.note() as connection:
            connection.execute(update(EmailContentRow).where(*this, text(UNPACKED)).values(**packed.columns()))


_OF_PACK = and_(
    col(EmailPackRow.account_id) == col(EmailContentRow.account_id),
    col(EmailPackRow.id) == col(EmailContentRow.pack_id),
)
_STORED = select(
    *(func.coalesce(col(EmailPackRow.packed), col(EmailContentRow.original)), col(EmailContentRow.encoding)),
    *(col(EmailContentRow.digest), col(EmailContentRow.pack_start), col(EmailContentRow.pack_length)),
).join_from(EmailContentRow, EmailPackRow, _OF_PACK, isouter=True)
_MOVE = (
    update(EmailContentRow)
    .where(
        col(EmailContentRow.account_id) == bindparam("of_account"),
        col(EmailContentRow.email_id) == bindparam("of_email"),
    )
    .values(pack_start=bindparam("starts_at"))
)


def accounts_of(database: Database) -> Sequence[int]:
    """Return the accounts whose originals `pack_together` can pack.

    Raises:
        Unavailable: when the database is down.
    """
    with database.read() as connection:
        return connection.scalars(select(col(AccountRow.id))).all()


def pack_together(database: Database, account_id: int) -> int:
    """Compress the account's next originals together, if there are enough for a whole pack; return how many.

    The originals are written in one short transaction, so that a crash loses nothing and no poll waits long for it.

    Raises:
        Unavailable: when the database is down.
        Conflict: when another worker packs the same originals.
    """
    with database.read() as connection:
        messages = _for_next_pack(connection, account_id)
    if not messages:
        return 0
    packed = _compressed(list(messages.values()))
    with database.note() as connection:
        loose = (*_of_emails(connection, account_id, messages), col(EmailContentRow.pack_id).is_(None))
        still = connection.scalars(select(col(EmailContentRow.email_id)).where(*loose).with_for_update()).all()
        if len(still) < len(messages):
            return 0  # another command erased an email meanwhile, or another worker packed them
        number = max(messages)
        row = {"account_id": account_id, "id": number, "first_email_id": min(messages), "packed": packed}
        insert_rows(connection, EmailPackRow, [row])
        # Deleted and inserted: when an update makes rows small, SQLite keeps the room in their pages unused.
        connection.execute(delete(EmailContentRow).where(*loose))
        insert_rows(connection, EmailContentRow, _in_pack(account_id, number, messages))
    return len(messages)


def leave_packs(connection: Connection, leaving: ColumnElement[bool]) -> None:
    """Take originals out of their packs; the caller deletes their rows in this transaction (R29, R30).

    ``leaving`` is a condition on `EmailContentRow`.

    Raises:
        Damaged: when a pack cannot be decompressed, so that the other originals in it cannot be kept.
    """
    columns = (col(EmailContentRow.account_id), col(EmailContentRow.pack_id))
    locked = connection.execute(select(*columns).where(leaving).with_for_update()).all()
    for account_id, pack_id in sorted({(account, number) for account, number in locked if number is not None}):
        _rewrite(connection, account_id, pack_id, leaving)


def _rewrite(connection: Connection, account_id: int, pack_id: int, leaving: ColumnElement[bool]) -> None:
    this = (col(EmailPackRow.account_id) == account_id, col(EmailPackRow.id) == pack_id)
    pack_row = select(col(EmailPackRow.packed), col(EmailPackRow.first_email_id)).where(*this).with_for_update()
    packed, first = connection.execute(pack_row).one()
    members = (
        select(col(EmailContentRow.email_id), col(EmailContentRow.pack_start), col(EmailContentRow.pack_length))
        .where(col(EmailContentRow.account_id) == account_id, col(EmailContentRow.email_id).between(first, pack_id))
        .where(col(EmailContentRow.pack_id) == pack_id, ~leaving)
    )
    staying: Any = connection.execute(members.order_by(col(EmailContentRow.email_id))).all()
    if not staying:
        connection.execute(delete(EmailPackRow).where(*this))
        return
    raw = _decompressed(packed)
    messages = {email_id: raw[start : start + length] for email_id, start, length in staying}
    smaller = _compressed(list(messages.values()))
    connection.execute(update(EmailPackRow).where(*this).values(packed=smaller))
    moved = [
        {"of_account": account_id, "of_email": number, "starts_at": start}
        for number, start in zip(messages, _starts(messages), strict=True)
    ]
    connection.execute(_MOVE, moved)


def _for_next_pack(connection: Connection, account_id: int) -> dict[int, bytes]:
    """Return the messages of the next whole pack by the IDs of their emails; nothing if there are not enough."""
    last = select(func.coalesce(func.max(col(EmailPackRow.id)), 0)).where(col(EmailPackRow.account_id) == account_id)
    of_email = and_(
        col(EmailRow.account_id) == col(EmailContentRow.account_id), col(EmailRow.id) == col(EmailContentRow.email_id)
    )
    loose = (
        select(col(EmailRow.id), col(EmailRow.size))
        .join_from(EmailContentRow, EmailRow, of_email)
        .where(
            *(col(EmailContentRow.account_id) == account_id, col(EmailContentRow.email_id) > last.scalar_subquery()),
            *(col(EmailContentRow.pack_id).is_(None), col(EmailContentRow.digest).is_not(None)),
            col(EmailRow.size) <= _LONGEST_IN_PACK,
        )
        .order_by(col(EmailContentRow.email_id))
        .limit(_PACK_MESSAGES)
    )
    found = connection.execute(loose).all()
    total = list(accumulate(size for _, size in found))
    if len(found) < _PACK_MESSAGES and not (total and total[-1] > _PACK_BYTES):
        return {}
    chosen = [number for (number, _), bytes_ in zip(found, total, strict=True) if bytes_ <= _PACK_BYTES]
    stored = _STORED.add_columns(col(EmailContentRow.email_id)).where(*_of_emails(connection, account_id, chosen))
    rows: Any = connection.execute(stored.order_by(col(EmailContentRow.email_id)))
    messages = {}
    for *columns, number in rows:
        with suppress(Damaged):  # it stays as it is, and its export tells
            messages[number] = unpack(StoredOriginal(*columns))
    return messages


def _of_emails(connection: Connection, account_id: int, emails: Any) -> tuple[ColumnElement[bool], ...]:
    these = among_numbers(connection, col(EmailContentRow.email_id), emails)
    return col(EmailContentRow.account_id) == account_id, these


def _in_pack(account_id: int, pack_id: int, messages: Mapping[int, bytes]) -> list[dict[str, Any]]:
    return [
        {
            "account_id": account_id,
            "email_id": number,
            "original": b"",
            "encoding": Encoding.PACK.value,
            "digest": hashlib.sha256(raw).digest(),
            "pack_id": pack_id,
            "pack_start": start,
            "pack_length": len(raw),
        }
        for (number, raw), start in zip(messages.items(), _starts(messages), strict=True)
    ]


def _starts(messages: Mapping[int, bytes]) -> list[int]:
    """Return where each message begins in the pack."""
    return [0, *accumulate(map(len, messages.values()))][:-1]


def _compressed(messages: Sequence[bytes]) -> bytes:
    return zstandard.ZstdCompressor(level=_LEVEL).compress(b"".join(messages))


def _decompressed(packed: bytes) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompress(packed, max_output_size=_LARGEST)
    except zstandard.ZstdError as error:
        raise Damaged(f"the stored original is damaged: {error}; restore it from a backup") from error
