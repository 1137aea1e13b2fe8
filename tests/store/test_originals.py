"""Originals are stored compressed, come out byte for byte, and damage is noticed (R20, R30)."""

from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import text

from tests.harness.crm import Mail, Rows, User, file
from worker.domain.errors import DropboxError
from worker.store.database import PAGE_SIZE, Database
from worker.store.inserts import insert_rows
from worker.store.originals import Damaged, Encoding, StoredOriginal, in_full_pages, pack, pack_old, unpack
from worker.store.poll_store import PollStore
from worker.store.tables import EmailContentRow

TEXT = b"Subject: Offer\r\n\r\n" + b"as discussed on the phone\r\n" * 200
RANDOM = bytes((number * 97 + number // 7 * 31) % 256 for number in range(40))


def stored_in(crm: Rows) -> StoredOriginal:
    (row,) = crm.rows(EmailContentRow)
    return StoredOriginal(row["original"], row["encoding"], row["digest"])


@pytest.mark.parametrize("raw", [b"", b"\x00\xff\r\nany bytes\n", TEXT, RANDOM, bytes(range(256)) * 5000])
def test_a_message_comes_out_byte_for_byte(raw: bytes) -> None:
    assert unpack(pack([raw])[0]) == raw


def test_text_becomes_small_and_what_does_not_stays_plain() -> None:
    assert len(pack([TEXT])[0].original) < 0.1 * len(TEXT)
    assert pack([RANDOM])[0] == StoredOriginal(RANDOM, Encoding.PLAIN, pack([RANDOM])[0].digest)


@pytest.mark.parametrize("place", [0, 5, -1])
def test_a_changed_byte_is_noticed(place: int) -> None:
    good = pack([TEXT])[0]
    changed = bytearray(good.original)
    changed[place] ^= 1
    with pytest.raises(Damaged, match=r"damaged: .*restore it from a backup"):
        unpack(StoredOriginal(bytes(changed), good.encoding, good.digest))


def test_a_plain_original_that_was_changed_is_noticed() -> None:
    with pytest.raises(DropboxError, match="does not match"):
        unpack(StoredOriginal(RANDOM + b"x", Encoding.PLAIN, pack([RANDOM])[0].digest))


def test_a_filed_mail_is_stored_compressed(store: PollStore, crm: Rows) -> None:
    joe = crm.user(crm.account(), "joe@acme.example")
    file(store, Mail(1, joe.token, joe.login, body=TEXT))
    stored = stored_in(crm)
    assert stored.encoding == Encoding.ZSTD
    assert unpack(stored) == TEXT


@pytest.mark.parametrize(("fewest", "most"), [(1_000, 4_000), (100, 30_000)], ids=["text", "mix"])
def test_the_originals_of_a_batch_fill_the_pages_of_sqlite(tmp_path: Path, fewest: int, most: int) -> None:
    chance = Random(16)
    rows = [
        {"account_id": 1, "email_id": number, **pack([chance.randbytes(chance.randint(fewest, most))])[0].columns()}
        for number in range(200)
    ]

    def pages(name: str, ordered: list[dict[str, Any]]) -> int:
        database = Database.open(f"sqlite:///{tmp_path}/{name}.db")
        with database.begin() as connection:
            connection.execute(text("CREATE TABLE email_content (account_id, email_id, original, encoding, digest)"))
            insert_rows(connection, EmailContentRow, ordered, at_once=10)
            taken: int = connection.execute(text("PRAGMA page_count")).scalar_one()
        database.close()
        return taken

    needed = sum(len(row["original"]) for row in rows) / PAGE_SIZE
    ordered = in_full_pages(rows)
    assert sorted(row["email_id"] for row in ordered) == list(range(200))
    assert pages("ordered", ordered) < 1.07 * needed + 5
    assert pages("as they come", rows) > 1.1 * needed


def test_an_original_from_before_compression_is_read_and_compressed_later(
    store: PollStore, database: Database, crm: Rows
) -> None:
    joe = crm.user(crm.account(), "joe@acme.example")
    file_as_before_compression(store, database, joe, TEXT)
    assert unpack(stored_in(crm)) == TEXT
    assert [pack_old(database, 10), pack_old(database, 10)] == [1, 0]
    assert stored_in(crm).encoding == Encoding.ZSTD
    assert unpack(stored_in(crm)) == TEXT


def file_as_before_compression(store: PollStore, database: Database, owner: User, raw: bytes) -> None:
    file(store, Mail(1, owner.token, owner.login, body=raw))
    with database.begin() as connection:
        as_before = text("UPDATE email_content SET original = :raw, encoding = 'plain', digest = NULL")
        connection.execute(as_before, {"raw": raw})
