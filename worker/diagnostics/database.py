"""Checks of the database: it answers, has our schema, and its clock agrees with ours."""

import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from worker.diagnostics.findings import Finding, failed, passed, warned
from worker.domain.errors import DatabaseMissing, DropboxError, Refused
from worker.settings import Settings
from worker.store.database import Database
from worker.store.room import Room, room_of
from worker.store.schema import HEAD, revision_of

_CLOCKS_APART = timedelta(seconds=30)
_SERVER = text("SELECT clock_timestamp(), pg_is_in_recovery()")
_PRIMARY = "name the primary in BCC_DROPBOX_DATABASE_URL, or all servers and target_session_attrs=read-write"
_LEAST_DAYS = 7
_MEND = "start the database, or correct BCC_DROPBOX_DATABASE_URL"


def check_database(settings: Settings) -> Iterator[Finding]:
    """Check the database by reading only; never create a missing SQLite file."""
    url = settings.database_url.get_secret_value()
    try:
        database = Database.open(url, statement_seconds=settings.statement_seconds, create=False)
    except DatabaseMissing as error:
        yield warned("database", str(error), "nothing: the first start makes it")
        return
    except DropboxError as error:
        yield failed("database", str(error), _MEND)
        return
    try:
        yield from _check_open(database)
    except DropboxError as error:
        yield failed("database", str(error), _MEND)
    finally:
        database.close()


def _check_open(database: Database) -> Iterator[Finding]:
    with database.read() as connection:
        revision = revision_of(connection)
        there, is_standby = (None, False) if database.is_sqlite else connection.execute(_SERVER).one()
    if is_standby:
        yield failed("database", "PostgreSQL, but a read-only standby", _PRIMARY)
    else:
        yield passed("database", "SQLite" if database.is_sqlite else "PostgreSQL")
    yield from _check_sessions(database)
    if database.file and database.file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        yield warned(
            "database file", "others on this machine can read people's mail in it", f"chmod 600 {database.file}"
        )
    if revision == HEAD:
        yield passed("schema", f"revision {revision}")
        yield room_left(room_of(database, datetime.now(UTC)))
    else:
        yield warned(
            "schema", f"revision {revision or 'none'}, not {HEAD}", "nothing: the next start brings it up to date"
        )
    yield clock_of_database(there)


def _check_sessions(database: Database) -> Iterator[Finding]:
    try:
        database.require_own_sessions()
    except Refused as error:
        yield failed("database sessions", str(error), "set pool_mode = session in PgBouncer, or connect directly")


def room_left(room: Room) -> Finding:
    """Warn when the disk will be full within a week at the present growth."""
    what, days = "room on the disk", room.days_left
    if room.size.disk_free is None:
        return passed(what, "not seen from here: watch the database server's disk")
    if days is None:
        return passed(what, f"{room.size.disk_free / 10**9:.1f} GB free")
    seen = f"{room.size.disk_free / 10**9:.1f} GB free, enough for {days:.0f} days at the present growth"
    if days >= _LEAST_DAYS:
        return passed(what, seen)
    return warned(
        what,
        seen,
        "enlarge the disk, or keep less: BCC_DROPBOX_KEEP_EMAILS_DAYS, then `bcc-dropbox vacuum`",
    )


def clock_of_database(there: datetime | None) -> Finding:
    """Compare the database's time with this machine's; ``there`` is None when both have the same clock."""
    what = "the database's clock"
    if there is None:
        return passed(what, "ours: the database is a file of this machine")
    apart = abs(datetime.now(UTC) - there)
    seen = f"{apart.total_seconds():.0f} s apart from ours"
    if apart > _CLOCKS_APART:
        return warned(what, seen, "let both machines set their clocks by NTP")
    return passed(what, seen)
