"""Migrated databases for tests: each kind is migrated once, and every test gets a copy."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from tests.servers.postgres import Postgres
from worker.store.database import Database
from worker.store.schema import migrate

KINDS = ("sqlite", "postgresql")
Fill = Callable[[Database], object]


def leave_empty(_database: Database) -> None:
    """Add no rows to a migrated database."""


@dataclass
class Databases:
    """Makes databases of both kinds as copies of templates; a template is made when it is first needed."""

    folder: Path
    postgres: Callable[[], Postgres]
    _templates: dict[tuple[str, Fill], str] = field(default_factory=dict)

    def copy(self, kind: str, file: Path | None = None, fill: Fill = leave_empty) -> str:
        """Return the URL of a migrated database with the rows that ``fill`` adds; ``file`` is where SQLite keeps it."""
        template = self.template(kind, fill)
        if kind == "postgresql":
            return self.postgres().url(self.postgres().create_database(template))
        file = file or self.folder / f"{uuid4().hex}.db"
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(template, file)
        return f"sqlite:///{file}"

    def template(self, kind: str, fill: Fill = leave_empty) -> str:
        """Return the file, or the database's name on PostgreSQL, of which copies are made."""
        return self._templates.get((kind, fill)) or self._make_template(kind, fill)

    def empty(self, kind: str, file: Path) -> str:
        """Return the URL of a database without any table; SQLite's file is not there yet."""
        if kind == "postgresql":
            return self.postgres().url(self.postgres().create_database())
        return f"sqlite:///{file}"

    def drop(self, url: str) -> None:
        if url.startswith("sqlite"):
            file = Path(url.removeprefix("sqlite:///"))
            for each in file.parent.glob(f"{file.name}*"):
                each.unlink()
        else:
            self.postgres().drop_database(url.rpartition("/")[2])

    def _make_template(self, kind: str, fill: Fill) -> str:
        url = self.empty(kind, self.folder / f"template-{len(self._templates)}.db")
        database = Database.open(url)
        migrate(database)
        fill(database)
        database.close()
        template = url.removeprefix("sqlite:///") if kind == "sqlite" else url.rpartition("/")[2]
        self._templates[kind, fill] = template
        return template
