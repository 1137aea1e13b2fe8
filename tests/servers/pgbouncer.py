"""A private PgBouncer before a PostgreSQL server."""

from tests.servers.account import unprivileged
from tests.servers.postgres import Postgres
from tests.servers.process import ServerProcess, accepts, free_port, new_folder
from tests.servers.requirement import require


class PgBouncer:
    """Lends the server's sessions in one mode; `change` reloads it with other settings."""

    def __init__(self, server: Postgres, **settings: str) -> None:
        program = require("pgbouncer", "pgbouncer")
        account = unprivileged()
        folder = new_folder("pgbouncer")
        account.own(folder)
        self.port = free_port()
        self._server = server
        self._file = folder / "pgbouncer.ini"
        self._settings = settings
        self.change()
        self.process = ServerProcess(
            "pgbouncer",
            account.command(program, self._file),
            folder,
            ready=lambda: accepts(self.port),
        )
        self.process.start()

    def change(self, **settings: str) -> None:
        """Write the settings; they count from the next start or `reload` on."""
        self._settings |= settings
        chosen = "\n".join(f"{name} = {value}" for name, value in self._settings.items())
        self._file.write_text(
            f"[databases]\n* = host=127.0.0.1 port={self._server.port} user=postgres\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\nauth_type = any\n"
            f"unix_socket_dir =\nadmin_users = postgres\n{chosen}\n"
        )

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def remove(self) -> None:
        self.process.remove()
