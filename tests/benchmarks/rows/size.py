"""Bytes that a filed mail takes in the database, everything included, for each byte of it (R30)."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from sqlalchemy import text

from tests.benchmarks.finding import Finding
from tests.benchmarks.mix import PLAIN, Variation
from tests.benchmarks.stage import Stage
from worker.store.database import Database
from worker.store.room import parts_of, size_of

TARGETS = {"sqlite": 0.76, "postgresql": 0.85}
GOALS = {"sqlite": 0.62, "postgresql": 0.70}
"""Zstandard alone leaves 0.595 of the mix."""
_TEXT_TARGET, _TEXT_GOAL = 0.70, 0.45
_TEXT = Variation(attachment=0)


def sqlite(stage: Stage) -> Finding:
    return _stored(stage, "sqlite", "mix", TARGETS["sqlite"], GOALS["sqlite"])


def postgresql(stage: Stage) -> Finding:
    return _stored(stage, "postgresql", "mix", TARGETS["postgresql"], GOALS["postgresql"])


def text_mail(stage: Stage) -> Finding:
    """The mail of the mix without its attachments."""
    return _stored(stage, "sqlite", "text", _TEXT_TARGET, _TEXT_GOAL, _TEXT)


def _stored(stage: Stage, kind: str, mail: str, target: float, goal: float, variation: Variation = PLAIN) -> Finding:
    letters = stage.letters(stage.effort.sized, mail, variation)
    url = stage.database(kind)
    with closing(Database.open(url)) as database:
        before = _settled_size(database)
        stage.drain(letters, url)
        grown = _settled_size(database) - before
        parts = parts_of(database)
    stage.remove_database(url)
    octets = _octets(letters)
    ratio = grown / octets
    return Finding(
        row=f"size-{kind}" if variation is PLAIN else f"size-{mail}",
        what=f"bytes stored for a byte of mail, {len(letters):,} messages ({mail}), {kind}",
        target=f"≤ {target:.2f}",
        result=f"{ratio:.2f} ({grown / len(letters) / 1000:.1f} KB a message)",
        yardstick=f"the messages themselves: {octets / len(letters) / 1000:.1f} KB",
        passed=ratio <= target,
        goal=f"≤ {goal:.2f}",
        figures={"bytes": grown, "mail": octets, "parts": parts},
    )


def _octets(letters: Sequence[Path]) -> int:
    return sum(letter.stat().st_size for letter in letters)


def _settled_size(database: Database) -> int:
    """Return the size after everything is in its place: SQLite's log in the file, PostgreSQL's rows vacuumed."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)" if database.is_sqlite else "VACUUM"))
    return size_of(database).used
