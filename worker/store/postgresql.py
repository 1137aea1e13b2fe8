"""Connect to PostgreSQL, directly or through a pooler: time limits, checks of each connection, and a clean return."""

from contextlib import suppress
from typing import Any
from uuid import uuid4

from sqlalchemy import URL, Engine, create_engine, event, text
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from worker.domain.errors import Refused
from worker.store.columns import to_json
from worker.store.database_errors import SessionShared, translated

MARK = "bcc_dropbox.session"
"""A setting that a client gives its session. Another value in it means that another client uses the same session."""
_APPLICATION = "bcc-dropbox"
_CONNECTIONS = 6
"""At most: the lock, a poll that reads and writes, and the jobs beside it."""
_BACKEND = "bcc_dropbox_backend"
_IS_POOLED = "bcc_dropbox_is_pooled"
_IS_NEW = "bcc_dropbox_is_new"
_LONGEST_SILENCE = 8000
"""Milliseconds between two statements of one transaction."""
_CHECKS_CLIENTS_SINCE = 140000
_PROBES = 5
"""Tries to see a shared session. Between two of them another client may take the session away."""
MOVED = {
    "25006",  # read_only_sql_transaction: the name now leads to a standby
    "0A000",  # feature_not_supported: READ WRITE on a standby, or a prepared statement whose tables were changed
}
"""SQLSTATEs after which a new connection may succeed where this one cannot."""


def postgresql_engine(url: URL, statement_seconds: int) -> Engine:
    """Make the engine; a connection is made when it is first needed."""
    engine = create_engine(
        url,
        connect_args={name: value for name, value in connection_parameters().items() if name not in url.query},
        pool_size=2,
        max_overflow=_CONNECTIONS - 2,
        pool_timeout=statement_seconds,
        json_serializer=to_json,
        hide_parameters=True,  # an error's text goes to the log, and parameters are people's mail
    )
    errors = engine.dialect.loaded_dbapi.Error
    limits = _wanted(_session_settings(statement_seconds), url)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: ConnectionPoolEntry) -> None:
        """Set the limits by statements: PgBouncer refuses a connection that brings them as startup ``options``."""
        connection.autocommit = True
        columns = ", ".join(["pg_backend_pid()", *["set_config(%s, %s, false)"] * len(limits)])
        row = connection.execute(f"SELECT {columns}", [part for item in limits.items() for part in item]).fetchone()
        if connection.info.server_version >= _CHECKS_CLIENTS_SINCE:
            with suppress(errors):  # not every system that PostgreSQL runs on can
                connection.execute("SET client_connection_check_interval = '2s'")
        connection.autocommit = False
        # A pooler gives its clients numbers of its own.
        record.info.update({_BACKEND: row[0], _IS_POOLED: connection.info.backend_pid != row[0], _IS_NEW: True})

    @event.listens_for(engine, "checkout")
    def ping(connection: Any, record: ConnectionPoolEntry, _fairy: object) -> None:
        """Check that the server answers, in the session that was made with this connection."""
        if record.info.pop(_IS_NEW, False):
            return
        try:
            connection.autocommit = True
            (backend,) = connection.execute("SELECT pg_backend_pid()").fetchone()
            connection.autocommit = False
        except errors as error:
            raise InvalidatePoolError from error
        if backend != record.info[_BACKEND]:
            raise SessionShared

    @event.listens_for(engine, "close")
    def clean(connection: Any, record: ConnectionPoolEntry) -> None:
        """Leave nothing in a session that the pooler gives to another program."""
        if record.info.get(_IS_POOLED) and connection.info.transaction_status == 0:  # idle: no transaction, not broken
            with suppress(errors):
                connection.autocommit = True
                connection.execute("DISCARD ALL")

    return engine


def connection_parameters() -> dict[str, Any]:
    """Return libpq's parameters: the client notices a cut network within ten seconds."""
    return {
        "application_name": _APPLICATION,
        "connect_timeout": 5,
        "keepalives": 1,
        "keepalives_idle": 4,
        "keepalives_interval": 2,
        "keepalives_count": 2,
        "tcp_user_timeout": 8000,
    }


def _session_settings(statement_seconds: int) -> dict[str, str]:
    """Return the settings of each session: statements and transactions end, and the server notices a cut network.

    A transaction of a worker that fell silent keeps its row locks for eight seconds at most.
    """
    milliseconds = statement_seconds * 1000
    return {
        "statement_timeout": str(milliseconds),
        "lock_timeout": str(milliseconds),
        "idle_in_transaction_session_timeout": str(min(2 * milliseconds, _LONGEST_SILENCE)),
        "TimeZone": "UTC",
        "tcp_keepalives_idle": "4",
        "tcp_keepalives_interval": "2",
        "tcp_keepalives_count": "2",
        "tcp_user_timeout": "8000",
    }


def require_own_sessions(engine: Engine) -> None:
    """Refuse a pooler that lends sessions for one transaction or statement: advisory locks need a session of their own.

    One client marks its session again and again, and another one looks for the mark in its own session.

    Raises:
        Refused: when the pooler is in transaction or statement mode.
        Unavailable: when the database is down.
    """
    try:
        with translated():
            shared = _shares_sessions(engine.execution_options(isolation_level="AUTOCOMMIT"))
    except SessionShared:
        shared = True
    if shared:
        raise Refused(str(SessionShared()))


def _shares_sessions(engine: Engine) -> bool:
    mark, backends = uuid4().hex, set()
    with engine.connect() as client, engine.connect() as other:
        for _ in range(_PROBES):
            client.exec_driver_sql(f"SET {MARK} = '{mark}'")
            backends.add(client.scalar(text("SELECT pg_backend_pid()")))
            if other.scalar(text(f"SELECT current_setting('{MARK}', true)")) == mark or len(backends) > 1:
                return True
        client.exec_driver_sql(f"RESET {MARK}")
    return False


def _wanted(settings: dict[str, str], url: URL) -> dict[str, str]:
    """Leave out the settings that the URL has in its own ``options``."""
    own = " ".join(url.normalized_query.get("options", ())).lower()
    return {name: value for name, value in settings.items() if f"{name.lower()}=" not in own}
