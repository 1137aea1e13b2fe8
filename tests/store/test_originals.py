"""Originals are stored compressed, come out byte for byte, and damage is noticed (R20, R30)."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import zstandard
from sqlalchemy import event, text

from tests.store.crm import NOW, Crm, Mail, User, file
from worker.domain.errors import DropboxError
from worker.store.database import Database
from worker.store.originals import (
    Damaged,
    Encoding,
    StoredOriginal,
    accounts_of,
    pack,
    pack_old,
    pack_together,
    read_original,
    unpack,
)
from worker.store.poll_store import PollStore
from worker.store.retention import erase_emails
from worker.store.tables import EmailContentRow, EmailPackRow

TEXT = b"Subject: Offer\r\n\r\n" + b"as discussed on the phone\r\n" * 200
RANDOM = bytes((number * 97 + number // 7 * 31) % 256 for number in range(40))


def stored_in(crm: Crm) -> StoredOriginal:
    (row,) = crm.rows(EmailContentRow)
    return StoredOriginal(row["original"], row["encoding"], row["digest"])


@pytest.mark.parametrize("raw", [b"", b"\x00\xff\r\nany bytes\n", TEXT, RANDOM, bytes(range(256)) * 5000])
def test_a_message_comes_out_byte_for_byte(raw: bytes) -> None:
    assert unpack(pack(raw)) == raw


def test_text_becomes_small_and_what_does_not_stays_plain() -> None:
    assert len(pack(TEXT).original) < 0.1 * len(TEXT)
    assert pack(RANDOM) == StoredOriginal(RANDOM, Encoding.PLAIN, pack(RANDOM).digest)


@pytest.mark.parametrize("place", [0, 5, -1])
def test_a_changed_byte_is_noticed(place: int) -> None:
    good = pack(TEXT)
    changed = bytearray(good.original)
    changed[place] ^= 1
    with pytest.raises(Damaged, match=r"damaged: .*restore it from a backup"):
        unpack(StoredOriginal(bytes(changed), good.encoding, good.digest))


def test_a_plain_original_that_was_changed_is_noticed() -> None:
    with pytest.raises(DropboxError, match="does not match"):
        unpack(StoredOriginal(RANDOM + b"x", Encoding.PLAIN, pack(RANDOM).digest))


def test_a_filed_mail_is_stored_compressed(store: PollStore, crm: Crm) -> None:
    joe = crm.user(crm.account(), "joe@acme.example")
    file(store, Mail(1, joe.token, joe.login, body=TEXT))
    stored = stored_in(crm)
    assert stored.encoding == Encoding.ZSTD
    assert unpack(stored) == TEXT


def test_an_original_from_before_compression_is_read_and_compressed_later(
    store: PollStore, database: Database, crm: Crm
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


def filed(store: PollStore, owner: User, count: int, first: int = 1) -> list[bytes]:
    """File so many mails of one owner; return their messages."""
    raw = [
        b"Subject: Offer\r\nX-Mailer: one of the usual ones\r\n\r\n" + b"mail %d, as we discussed\r\n" % number * 20
        for number in range(first, first + count)
    ]
    file(
        store,
        *(
            Mail(number, owner.token, owner.login, body=body, subject=f"{number}")
            for number, body in enumerate(raw, first)
        ),
    )
    return raw


def originals(database: Database, account_id: int) -> list[bytes | None]:
    with database.read() as connection:
        ids = connection.scalars(text("SELECT email_id FROM email_content ORDER BY email_id")).all()
        return [read_original(connection, account_id, number) for number in ids]


def bytes_of_originals(crm: Crm) -> int:
    rows = [*(row["original"] for row in crm.rows(EmailContentRow)), *(row["packed"] for row in crm.rows(EmailPackRow))]
    return sum(map(len, rows))


def test_packed_originals_come_out_byte_for_byte_and_take_less_room(
    store: PollStore, database: Database, crm: Crm
) -> None:
    joe = crm.user(crm.account(), "joe@acme.example")
    raw = filed(store, joe, 130)
    alone = bytes_of_originals(crm)
    assert [pack_together(database, joe.account_id) for _ in range(2)] == [128, 0]
    assert originals(database, joe.account_id) == raw
    assert crm.count(EmailPackRow) == 1
    assert bytes_of_originals(crm) < alone / 3
    more = filed(store, joe, 130, first=200)
    assert [pack_together(database, joe.account_id) for _ in range(3)] == [128, 0, 0]
    assert originals(database, joe.account_id) == raw + more
    assert crm.count(EmailPackRow) == 2


def test_too_few_originals_are_not_packed_and_long_ones_never(store: PollStore, database: Database, crm: Crm) -> None:
    joe = crm.user(crm.account(), "joe@acme.example")
    filed(store, joe, 127)
    file(store, *(Mail(900 + n, joe.token, joe.login, body=RANDOM * 5000, subject=f"long {n}") for n in range(9)))
    assert pack_together(database, joe.account_id) == 0
    assert crm.count(EmailPackRow) == 0


def test_a_pack_holds_at_most_a_megabyte_of_messages(store: PollStore, database: Database, crm: Crm) -> None:
    joe = crm.user(crm.account(), "joe@acme.example")
    raw = [bytes([n]) * 100_000 for n in range(12)]
    file(store, *(Mail(n, joe.token, joe.login, body=body, subject=f"{n}") for n, body in enumerate(raw, 1)))
    assert [pack_together(database, joe.account_id) for _ in range(2)] == [10, 0]
    assert originals(database, joe.account_id) == raw


def test_accounts_never_share_a_pack(store: PollStore, database: Database, crm: Crm) -> None:
    joe, eve = (crm.user(crm.account(name), f"{name}@x.example") for name in ("joe", "eve"))
    filed(store, joe, 128)
    filed(store, eve, 100, first=500)
    assert accounts_of(database) == [joe.account_id, eve.account_id]
    assert [pack_together(database, account) for account in accounts_of(database)] == [128, 0]
    assert {row["account_id"] for row in crm.rows(EmailPackRow)} == {joe.account_id}


@pytest.mark.parametrize("leaving", [[1], [128], list(range(2, 129)), [5, 77]])
def test_what_is_removed_leaves_its_pack_and_the_others_stay(
    store: PollStore, database: Database, crm: Crm, leaving: list[int]
) -> None:
    joe = crm.user(crm.account(), "joe@acme.example")
    raw = filed(store, joe, 128)
    pack_together(database, joe.account_id)
    numbers = [row["email_id"] for row in crm.rows(EmailContentRow)]
    with database.begin() as connection:
        erase_emails(connection, joe.account_id, [numbers[n - 1] for n in leaving], NOW)
    assert originals(database, joe.account_id) == [body for n, body in enumerate(raw, 1) if n not in leaving]
    (pack_row,) = crm.rows(EmailPackRow)
    left = zstandard.ZstdDecompressor().decompress(pack_row["packed"])
    assert left == b"".join(body for n, body in enumerate(raw, 1) if n not in leaving)


def test_the_last_one_takes_its_pack_with_it(store: PollStore, database: Database, crm: Crm) -> None:
    joe = crm.user(crm.account(), "joe@acme.example")
    filed(store, joe, 128)
    pack_together(database, joe.account_id)
    for rows in (crm.rows(EmailContentRow)[:100], crm.rows(EmailContentRow)[100:]):
        with database.begin() as connection:
            erase_emails(connection, joe.account_id, [row["email_id"] for row in rows], NOW)
    assert (crm.count(EmailPackRow), crm.count(EmailContentRow)) == (0, 0)


def test_a_crash_while_packing_changes_nothing(store: PollStore, database: Database, crm: Crm) -> None:
    joe = crm.user(crm.account(), "joe@acme.example")
    raw = filed(store, joe, 128)
    before = crm.rows(EmailContentRow)
    with pytest.raises(KeyboardInterrupt), crashing_at(database, "DELETE FROM email_content"):
        pack_together(database, joe.account_id)
    assert (crm.rows(EmailContentRow), crm.count(EmailPackRow)) == (before, 0)
    assert pack_together(database, joe.account_id) == 128
    with pytest.raises(KeyboardInterrupt), crashing_at(database, "UPDATE email_pack"), database.begin() as connection:
        erase_emails(connection, joe.account_id, [before[0]["email_id"]], NOW)
    assert originals(database, joe.account_id) == raw


def test_a_damaged_original_is_not_packed(store: PollStore, database: Database, crm: Crm) -> None:
    joe = crm.user(crm.account(), "joe@acme.example")
    filed(store, joe, 128)
    damaged = crm.rows(EmailContentRow)[7]
    with database.begin() as connection:
        changed = text("UPDATE email_content SET original = :bytes WHERE email_id = :email_id")
        connection.execute(changed, {"bytes": b"damaged", "email_id": damaged["email_id"]})
    assert pack_together(database, joe.account_id) == 127
    assert crm.rows(EmailContentRow)[7] == {**damaged, "original": b"damaged"}


def test_a_damaged_pack_is_noticed(store: PollStore, database: Database, crm: Crm) -> None:
    joe = crm.user(crm.account(), "joe@acme.example")
    filed(store, joe, 128)
    pack_together(database, joe.account_id)
    with database.begin() as connection:
        connection.execute(text("UPDATE email_content SET pack_start = pack_start + 1"))
    with pytest.raises(Damaged, match="does not match"):
        originals(database, joe.account_id)


def test_the_first_version_of_the_view_shows_what_is_not_packed_and_the_second_all(
    store: PollStore, database: Database, crm: Crm
) -> None:
    joe = crm.user(crm.account(), "joe@acme.example")
    raw = filed(store, joe, 130)
    pack_together(database, joe.account_id)
    with database.read() as connection:
        first = connection.execute(text("SELECT email_id FROM v1_original ORDER BY email_id")).all()
        second = connection.execute(text("SELECT * FROM v2_original ORDER BY email_id")).all()
    assert len(first) == 2
    read = []
    for row in second:
        whole = zstandard.ZstdDecompressor().decompress(bytes(row.original))
        read.append(whole[row.start : row.start + row.length])
    assert read == raw


@contextmanager
def crashing_at(database: Database, statement: str) -> Iterator[None]:
    """Crash before the first statement that begins so."""

    def crash(_connection: object, _cursor: object, executed: str, *_rest: object) -> None:
        if executed.startswith(statement):
            raise KeyboardInterrupt

    event.listen(database.engine, "before_cursor_execute", crash)
    try:
        yield
    finally:
        event.remove(database.engine, "before_cursor_execute", crash)
