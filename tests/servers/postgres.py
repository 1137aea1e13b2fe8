"""A private PostgreSQL: no password, no fsync, no vacuum of its own accord, a fresh database on request.

What is committed survives `kill`, though not a power cut.
"""

import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql

from tests.servers.account import unprivileged
from tests.servers.process import ServerProcess, free_port, new_folder
from tests.servers.requirement import require

STRATEGIES_SINCE = 150000
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "200",
    "log_min_messages": "warning",
}


class Postgres:
    """One cluster; `stop`, `start`, `kill` and `kill_connections` make its outages.

    One that ``follows`` another is its standby until `promote`.
    """

    def __init__(self, settings: dict[str, str] | None = None, *, follows: "Postgres | None" = None) -> None:
        self.port: int = free_port()
        folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
        program = require("postgres", "postgresql", folders)
        account = unprivileged()
        folder = new_folder("postgres")
        account.own(folder)
        data = folder / "data"
        if follows:
            copied = ("--host=127.0.0.1", f"--port={follows.port}", "--username=postgres", "--checkpoint=fast", "-R")
            making = account.command(require("pg_basebackup", "postgresql", folders), "--no-sync", *copied, "-D", data)
        else:
            options = ("--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale")
            making = account.command(require("initdb", "postgresql", folders), *options, "-D", data)
        subprocess.run(making, cwd=folder, check=True, capture_output=True)
        chosen = [f"--{name}={value}" for name, value in {**SETTINGS, **(settings or {})}.items()]
        self.process = ServerProcess(
            "postgres",
            account.command(program, "-D", data, "-p", str(self.port), *chosen),
            folder,
            ready=self._answers,
            stop_signal=signal.SIGINT,
        )

    def start(self) -> None:
        self.process.start()

    def stop(self) -> None:
        """Shut down fast: running transactions are rolled back, connections closed."""
        self.process.stop()

    def kill(self) -> None:
        self.process.kill()

    def remove(self) -> None:
        self.process.remove()

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def create_database(self, template: str = "template1", name: str | None = None) -> str:
        """Make a database as a copy of another and give its name."""
        name = name or f"test_{uuid4().hex[:12]}"
        with self._connect() as connection:
            # Without fsync, copying files is three times as fast as writing the copy to the log (the default since 15).
            strategy = sql.SQL(" STRATEGY FILE_COPY" if connection.info.server_version >= STRATEGIES_SINCE else "")
            names = sql.Identifier(name), sql.Identifier(template)
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names) + strategy)
        return name

    def drop_database(self, name: str) -> None:
        self.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def promote(self) -> None:
        with self._connect() as connection:
            connection.execute("SELECT pg_promote()")

    def kill_connections(self, database: str | None = None) -> int:
        """Cut all connections, or those to one database; gives how many there were."""
        with self._connect() as connection:
            ended = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
                " AND datname = coalesce(%s, datname)",
                [database],
            )
            return ended.rowcount

    def execute(self, statement: sql.Composed) -> None:
        with self._connect() as connection:
            connection.execute(statement)

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="postgres",
            dbname="postgres",
            autocommit=True,
            connect_timeout=5,
        )

    def _answers(self) -> bool:
        with suppress(psycopg.OperationalError), self._connect():
            return True
        return False


def _version(folder: Path) -> float:
    return float(folder.parent.name)
