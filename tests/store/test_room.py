"""How much room the database takes, how fast it grows, and that unused room goes back to the disk (R30)."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.harness.crm import NOW, QUEUE, Mail, Rows, file
from worker.diagnostics.checks import Result, room_left
from worker.store.database import Database
from worker.store.poll_store import PollStore
from worker.store.retention import Retention
from worker.store.room import Room, Size, Vacuum, parts_of, record_size, room_of, size_of
from worker.store.tables import RoomRow

GB = 10**9


def filled(database: Database, store: PollStore, mails: int = 10) -> None:
    crm = Rows(database)
    joe = crm.user(crm.account(), "joe@acme.example")
    noise = bytes(range(256)) * 800
    for uid in range(1, mails + 1):
        body = noise[uid:] + bytes(uid)
        file(store, Mail(uid, joe.token, joe.login, body=body, subject=f"Offer {uid}"))
    with database.begin() as connection:
        many = text("UPDATE email_content SET original = :noise, encoding = 'plain', digest = NULL")
        connection.execute(many, {"noise": noise})


def test_growth_is_told_by_the_sizes_of_earlier_days(database: Database, crm: Rows) -> None:
    assert room_of(database, NOW).growth is None
    record_size(database, NOW)
    record_size(database, NOW + timedelta(hours=1))
    (noted,) = crm.rows(RoomRow)
    size = size_of(database)
    later = room_of(database, NOW + timedelta(days=10))
    assert later.growth == pytest.approx((size.filled - noted["used"]) / 10)
    record_size(database, NOW + timedelta(days=40))
    assert [row["day"] for row in crm.rows(RoomRow)] == [(NOW + timedelta(days=40)).date()]


def test_every_table_has_its_part_of_the_size(database: Database, store: PollStore) -> None:
    filled(database, store)
    parts = parts_of(database)
    assert parts["email_content"] == max(parts.values())


def test_a_new_sqlite_file_gives_room_back_in_small_steps(tmp_path: Path) -> None:
    from worker.store.schema import migrate

    database = Database.open(f"sqlite:///{tmp_path}/new.db")
    migrate(database)
    filled(database, PollStore(database), mails=20)
    retention = Retention(database, QUEUE.name)
    while retention.remove_emails(datetime.now(UTC) + timedelta(days=1)):
        pass
    vacuum = Vacuum(database)
    before = size_of(database)
    assert vacuum.can_step()
    assert before.unused
    steps = list(vacuum.steps())
    assert len(steps) > 2
    assert steps[-1][0] == steps[-1][1]
    assert size_of(database).used < before.used - 1_000_000
    assert list(vacuum.steps()) == []
    database.close()


def test_an_sqlite_file_of_an_early_release_is_rewritten_once(tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(tmp_path / "old.db") as early:
        early.execute("CREATE TABLE early (text TEXT)")
        early.execute("INSERT INTO early VALUES ('kept')")
    database = Database.open(f"sqlite:///{tmp_path}/old.db")
    vacuum = Vacuum(database)
    assert not vacuum.can_step()
    vacuum.rewrite()
    assert vacuum.can_step()
    with database.read() as connection:
        assert connection.scalar(text("SELECT text FROM early")) == "kept"
    database.close()


def test_a_servers_tables_are_vacuumed_one_after_the_other(database: Database) -> None:
    if not database.is_sqlite:
        steps = list(Vacuum(database).steps())
        assert [done for done, _ in steps] == list(range(1, len(steps) + 1))
        with database.begin() as connection:
            assert connection.scalar(text("SHOW statement_timeout")) != "0"


@pytest.mark.parametrize(
    ("room", "result"),
    [
        (Room(Size(GB, 0, 10 * GB), GB), Result.PASS),
        (Room(Size(GB, 0, 6 * GB), GB), Result.WARN),
        (Room(Size(GB, 0, 6 * GB), -GB), Result.PASS),
        (Room(Size(GB, 0, 6 * GB), None), Result.PASS),
        (Room(Size(GB, None, None), GB), Result.PASS),
    ],
)
def test_check_warns_when_the_disk_lasts_less_than_a_week(room: Room, result: Result) -> None:
    assert room_left(room).result is result
