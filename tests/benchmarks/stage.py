"""What rows are measured on: servers of our own, mailboxes nobody has opened, databases copied from templates."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from psycopg.sql import SQL, Composed
from sqlalchemy import text

from tests.benchmarks import history
from tests.benchmarks.company import ONE, Company, found
from tests.benchmarks.effort import Effort
from tests.benchmarks.instance import Drained, Poll, Post, WorkerFailed
from tests.benchmarks.mix import PLAIN, Variation, message
from tests.servers.dovecot import PASSWORD, Dovecot
from tests.servers.postgres import Postgres
from tests.servers.process import new_folder
from worker.store.database import Database

DURABLE = {"fsync": "on", "full_page_writes": "on", "max_wal_size": "4GB", "min_wal_size": "2GB"}
"""As an operator runs it, not as tests do: its log is written in place of old ones, as after a while of use."""
KINDS = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Fetched:
    """What a yardstick client did."""

    messages: int
    octets: int
    seconds: float

    @property
    def rate(self) -> float:
        return self.messages / self.seconds


class Stage:
    """Starts what a row asks for when it is first asked for, and removes all of it at the end."""

    def __init__(self, effort: Effort, say: Callable[[str], None]) -> None:
        self.effort = effort
        self.say = say
        self._ending = ExitStack()
        self._numbers = itertools.count(1)
        self._templates: dict[tuple[str, int, Company], str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.close()

    @cached_property
    def folder(self) -> Path:
        """Beside Dovecot's own folder, so that its mailboxes can link to files made here."""
        folder = new_folder("bench")
        self._ending.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder

    @cached_property
    def dovecot(self) -> Dovecot:
        server = Dovecot()
        self._ending.callback(server.remove)
        server.start()
        return server

    @cached_property
    def postgres(self) -> Postgres:
        server = Postgres(DURABLE)
        self._ending.callback(server.remove)
        server.start()
        return server

    # --- mailboxes

    def letters(self, count: int, kind: str = "mix", variation: Variation = PLAIN) -> list[Path]:
        """The first ``count`` messages of a mix as files; each is written once in a run."""
        folder = self.folder / kind
        folder.mkdir(exist_ok=True)
        files = [folder / str(number) for number in range(count)]
        missing = [number for number, file in enumerate(files) if not file.exists()]
        if missing:
            self.say(f"writing {len(missing):,} messages ({kind})")
        for number in missing:
            files[number].write_bytes(message(number, variation))
            self.dovecot.account.own(files[number])
        return files

    def mailbox(self, letters: Sequence[Path] = ()) -> str:
        """Make a mailbox that Dovecot has never seen, holding these messages as just arrived; give its user."""
        user = f"bench{next(self._numbers):04d}"
        inbox = self.dovecot.mail / user / "Maildir"
        for name in ("tmp", "new", "cur"):
            self.dovecot.account.make_folder(inbox / name)
        now = time.time()
        for place, letter in enumerate(letters):
            os.utime(letter, (now, now))
            os.link(letter, inbox / "new" / f"{int(now)}.{place:09d}.bench")
        return user

    def remove_mailbox(self, user: str) -> None:
        shutil.rmtree(self.dovecot.mail / user, ignore_errors=True)

    def count(self, user: str, folder: str | None = None) -> int:
        maildir = self.dovecot.mail / user / "Maildir"
        box = maildir / f".{folder}" if folder else maildir
        return sum(1 for part in ("new", "cur") if (box / part).is_dir() for _ in (box / part).iterdir())

    # --- databases

    def database(self, kind: str, past: int = 0, company: Company = ONE) -> str:
        """The URL of a new database with the company in it, and ``past`` contacts and emails."""
        template = self._templates.get((kind, past, company)) or self._make_template(kind, past, company)
        if kind == "sqlite":
            file = self.folder / f"database{next(self._numbers):04d}.sqlite3"
            shutil.copyfile(template, file)
            return f"sqlite:///{file}"
        return self.postgres.url(self.postgres.create_database(template))

    def remove_database(self, url: str) -> None:
        if url.startswith("sqlite:///"):
            for file in Path(url.removeprefix("sqlite:///")).parent.glob(Path(url).name + "*"):
                file.unlink(missing_ok=True)
        else:
            self.postgres.drop_database(url.rpartition("/")[2])

    def _make_template(self, kind: str, past: int, company: Company) -> str:
        template = str(self.folder / f"template{past}-{company.accounts}x{company.users}.sqlite3")
        url = f"sqlite:///{template}"
        if kind == "postgresql":
            template = self.postgres.create_database()
            url = self.postgres.url(template)
        database = Database.open(url, statement_seconds=3600)
        found(database, company)
        if past:
            self.say(f"writing {past:,} contacts and emails ({kind})")
            history.remember(database, past)
        if kind == "sqlite":
            with database.engine.connect() as connection:
                connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        database.close()
        self._templates[kind, past, company] = template
        return template

    # --- what is measured

    def settle(self, letters: Sequence[Path] = ()) -> None:
        """Flush prepared data to the disk now, so that this does not happen during the measurement.

        The ``letters`` are cold afterwards, as a weekend's backlog is: on the disk, and not in the system's memory.
        """
        if "postgres" in self.__dict__:
            self.postgres.execute(Composed([SQL("CHECKPOINT")]))
        os.sync()
        for letter in letters:
            with letter.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def drain(self, letters: Sequence[Path], url: str, *, port: int | None = None, user: str | None = None) -> Drained:
        """Let the worker empty a cold mailbox with these letters, and see that it did."""
        user = user or self.mailbox(letters)
        self.settle(letters)
        drained = Poll(Post(port or self.dovecot.imap, user, url), self.folder).wait()
        self.see_it_empty(user, len(letters), drained)
        self.remove_mailbox(user)
        return drained

    def drain_into(self, kind: str, letters: Sequence[Path], past: int = 0, company: Company = ONE) -> Drained:
        """Drain into a new database of that kind, and remove it afterwards."""
        url = self.database(kind, past, company)
        drained = self.drain(letters, url)
        self.remove_database(url)
        return drained

    def see_it_empty(self, user: str, count: int, drained: Drained) -> None:
        """A fast worker that loses mail is no worker."""
        moved = sum(self.count(user, folder) for folder in ("Associated", "Rejected"))
        if sum(drained.counts.values()) != count or moved != count or self.count(user):
            raise WorkerFailed(f"of {count} messages {moved} were moved, {self.count(user)} are left: {drained.counts}")

    def fetch(self, letters: Sequence[Path], how: str = "bulk", port: int | None = None) -> Fetched:
        """Let a client that only fetches read a cold mailbox with these letters."""
        user = self.mailbox(letters)
        self.settle(letters)
        command = [sys.executable, "-m", "tests.benchmarks.yardsticks", how]
        finished = subprocess.run(
            [*command, str(port or self.dovecot.imap), user, PASSWORD], capture_output=True, check=True
        )
        fetched = Fetched(**json.loads(finished.stdout))
        if fetched.messages != len(letters):
            raise WorkerFailed(f"the yardstick fetched {fetched.messages} of {len(letters)} messages")
        self.remove_mailbox(user)
        return fetched
