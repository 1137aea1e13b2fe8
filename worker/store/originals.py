"""Originals of emails: compressed with Zstandard, checked by a digest when read (R20, R30)."""

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import zstandard
from sqlalchemy import Connection, select, text, update
from sqlmodel import col

from worker.domain.errors import DropboxError
from worker.store.database import PAGE_SIZE, Database
from worker.store.tables import UNPACKED, EmailContentRow

_LEVEL = 3
"""Zstandard's default level. Level 1 makes text mail 2 % larger and saves 3 µs a message."""
_LARGEST = 1024**3
"""Bytes; no message can be larger (MAX_ATTACHMENT_BYTES), so a frame that claims more is damaged."""

_BESIDE = 60
"""Bytes that the other columns of the row take, and SQLite's own bytes for a row."""
_MOST_IN_PAGE = PAGE_SIZE - 35
_LEAST_IN_PAGE = (PAGE_SIZE - 12) * 32 // 255 - 23
"""Bytes of a row that SQLite keeps in its table's page when the row goes on in other pages (its file format, 1.6)."""


class Encoding(StrEnum):
    """How an original is stored."""

    PLAIN = "plain"
    ZSTD = "zstd"


@dataclass(frozen=True, slots=True)
class StoredOriginal:
    """An original as the database holds it. Rows from before compression have no ``digest`` (SHA-256)."""

    original: bytes
    encoding: str
    digest: bytes | None

    def columns(self) -> dict[str, Any]:
        """Return the values of the row's columns."""
        return {"original": self.original, "encoding": self.encoding, "digest": self.digest}


class Damaged(DropboxError):
    """The stored original is not the message that was filed: the disk or somebody else changed it."""


def pack(raws: Sequence[bytes]) -> list[StoredOriginal]:
    """Compress the messages; store those plain that are not smaller then.

    One call compresses them all, and gives up the interpreter's lock only once: other threads work meanwhile.
    """
    if not any(raws):
        return [_smaller(raw, raw) for raw in raws]
    packed = zstandard.ZstdCompressor(level=_LEVEL).multi_compress_to_buffer(list(raws))
    return [_smaller(raw, packed[place].tobytes()) for place, raw in enumerate(raws)]


def _smaller(raw: bytes, packed: bytes) -> StoredOriginal:
    digest = hashlib.sha256(raw).digest()
    if len(packed) < len(raw):
        return StoredOriginal(packed, Encoding.ZSTD, digest)
    return StoredOriginal(raw, Encoding.PLAIN, digest)


def in_full_pages(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Order the rows of originals so that SQLite, which fills one page after the other, leaves little of each empty.

    Each page takes the largest row that is left, and then always the largest that still fits. With rows as they come,
    a sixth of the room for text mail is lost.
    """
    left = sorted(rows, key=_bytes_in_page)
    sizes = [_bytes_in_page(row) for row in left]
    ordered = []
    while left:
        free, fitting = PAGE_SIZE, len(left)
        while fitting:
            ordered.append(left.pop(fitting - 1))
            free -= sizes.pop(fitting - 1)
            fitting = bisect_right(sizes, free)
    return ordered


def _bytes_in_page(row: dict[str, Any]) -> int:
    whole = len(row["original"]) + _BESIDE
    if whole <= _MOST_IN_PAGE:
        return whole
    rest = _LEAST_IN_PAGE + (whole - _LEAST_IN_PAGE) % (PAGE_SIZE - 4)
    return rest if rest <= _MOST_IN_PAGE else _LEAST_IN_PAGE


def unpack(stored: StoredOriginal) -> bytes:
    """Return the message byte for byte.

    Raises:
        Damaged: when the stored bytes cannot be decompressed or do not match the digest.
    """
    raw = _decompressed(stored.original) if stored.encoding == Encoding.ZSTD else bytes(stored.original)
    if stored.digest is not None and hashlib.sha256(raw).digest() != bytes(stored.digest):
        raise Damaged("the stored original is damaged: its SHA-256 digest does not match; restore it from a backup")
    return raw


def read_original(connection: Connection, account_id: int, email_id: int) -> bytes | None:
    """Return the message of a stored email, byte for byte; None when there is no such email.

    Raises:
        Damaged: when the stored bytes are not the message that was filed.
    """
    columns = col(EmailContentRow.original), col(EmailContentRow.encoding), col(EmailContentRow.digest)
    of_email = col(EmailContentRow.account_id) == account_id, col(EmailContentRow.email_id) == email_id
    row = connection.execute(select(*columns).where(*of_email)).first()
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
        (packed,) = pack([bytes(raw)])
        with database.note() as connection:
            connection.execute(update(EmailContentRow).where(*this, text(UNPACKED)).values(**packed.columns()))


def _decompressed(packed: bytes) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompress(packed, max_output_size=_LARGEST)
    except zstandard.ZstdError as error:
        raise Damaged(f"the stored original is damaged: {error}; restore it from a backup") from error
