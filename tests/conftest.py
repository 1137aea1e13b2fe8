"""The servers and databases that tests ask for, each made once when first asked, and the servers' logs on failure."""

import os
import subprocess
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from itertools import cycle, groupby, islice
from pathlib import Path
from uuid import uuid4

import pytest

from tests.harness.crm import Rows
from tests.harness.databases import KINDS, Databases
from tests.harness.installation import Dropbox
from tests.secrecy import secrets_in
from tests.servers.cut import Cut
from tests.servers.dovecot import Dovecot, DovecotSettings
from tests.servers.postfix import Postfix
from tests.servers.postgres import Postgres
from tests.servers.process import PYTESTS_FOLDER, STARTED, memory
from tests.servers.requirement import require_root
from worker.store.database import Database
from worker.store.poll_store import PollStore

MOST_LOG = 10_000
LOG_STARTS = pytest.StashKey[dict[str, int]]()
WAITING = {"outages", "service", "test_courier.py", "test_idle.py", "test_two_workers.py"}
"""Folders and files of tests that mostly wait."""
if MEMORY := memory():
    os.environ.setdefault(PYTESTS_FOLDER, str(MEMORY))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let every second process begin with some of the longest tests, and the others with tests that mostly wait.

    So the cores have work while a test waits, and no process works or waits alone at the end. pytest-xdist divides the
    list into equal parts, and a process without work takes some from the end of a part.
    """
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    first: list[list[pytest.Item]] = [[] for _ in range(processes)]
    working, waiting = cycle(first[::2]), cycle(first[1::2] or first)
    others: list[pytest.Item] = []
    for path, of_file in groupby(items, key=lambda item: item.path):
        long: list[pytest.Item] = []
        short: list[pytest.Item] = []
        for item in of_file:
            (long if item.get_closest_marker("timeout") else short).append(item)
        if long:
            next(working).extend(long)
        (next(waiting) if short and not WAITING.isdisjoint(path.parts[-2:]) else others).extend(short)
    rest, ordered = iter(others), []
    for process, beginning in enumerate(first, start=1):
        ordered += beginning
        ordered += islice(rest, max(0, len(items) * process // processes - len(ordered)))
    items[:] = ordered


@pytest.fixture(scope="session")
def dovecot_with() -> Iterator[Callable[[DovecotSettings], Dovecot]]:
    """Give an instance with other settings, started once for each of them."""
    with ExitStack() as servers:
        started: dict[DovecotSettings, Dovecot] = {}

        def start(settings: DovecotSettings) -> Dovecot:
            if settings not in started:
                server = Dovecot(settings)
                servers.callback(server.remove)
                server.start()
                started[settings] = server
            return started[settings]

        yield start


@pytest.fixture(scope="session")
def dovecot(dovecot_with: Callable[[DovecotSettings], Dovecot]) -> Dovecot:
    return dovecot_with(DovecotSettings())


@pytest.fixture
def forgiving_dovecot(dovecot_with: Callable[[DovecotSettings], Dovecot]) -> Dovecot:
    """A server that does not keep a client waiting for its earlier wrong passwords."""
    return dovecot_with(DovecotSettings(extra="service anvil {\n unix_listener anvil-auth-penalty {\n mode = 0\n }\n}"))


@pytest.fixture
def mailbox_user() -> str:
    """Name a mailbox that nobody has used."""
    return f"mailbox-{uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def database_url(postgres: Postgres) -> Iterator[str]:
    """Make a fresh, empty PostgreSQL database."""
    name = postgres.create_database()
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Databases:
    """Give copies of migrated databases; PostgreSQL starts only for a test that needs it."""
    return Databases(tmp_path_factory.mktemp("databases"), lambda: request.getfixturevalue("postgres"))


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Name the kind of database."""
    return str(request.param)


@pytest.fixture
def sqlite_url(databases: Databases, tmp_path: Path) -> str:
    """Make an SQLite file with all tables and no rows."""
    return databases.copy("sqlite", tmp_path / "data" / "dropbox.db")


@pytest.fixture
def url(kind: str, databases: Databases, tmp_path: Path) -> Iterator[str]:
    """Make a database of each kind with all tables and no rows."""
    url = databases.copy(kind, tmp_path / "data" / "dropbox.db")
    yield url
    databases.drop(url)


@pytest.fixture
def empty_url(kind: str, databases: Databases, tmp_path: Path) -> Iterator[str]:
    """Name a database of each kind without any table."""
    url = databases.empty(kind, tmp_path / "data" / "dropbox.db")
    yield url
    databases.drop(url)


@pytest.fixture
def open_database() -> Iterator[Callable[[str], Database]]:
    """Open databases that are closed after the test."""
    with ExitStack() as opened:

        def open_one(url: str) -> Database:
            database = Database.open(url)
            opened.callback(database.close)
            return database

        yield open_one


@pytest.fixture
def database(url: str, open_database: Callable[[str], Database]) -> Database:
    """Open a migrated database of each kind."""
    return open_database(url)


@pytest.fixture
def crm(database: Database) -> Rows:
    """Give the rows of a CRM that has none yet."""
    return Rows(database)


@pytest.fixture
def store(database: Database) -> PollStore:
    """Give the store as the worker has it."""
    return PollStore(database)


@pytest.fixture
def dropbox_on(dovecot: Dovecot, mailbox_user: str) -> Callable[[str], Dropbox]:
    return lambda url: Dropbox(dovecot, mailbox_user, url)


@pytest.fixture
def dropbox(dropbox_on: Callable[[str], Dropbox], sqlite_url: str) -> Dropbox:
    """Return an installation on SQLite."""
    return dropbox_on(sqlite_url)


@pytest.fixture
def postfix_with() -> Iterator[Callable[[str], Postfix]]:
    """Give a Postfix that ends its main.cf so; see `tests.servers.postfix` for what to say."""
    with ExitStack() as servers:

        def start(main: str) -> Postfix:
            server = Postfix(main)
            servers.callback(server.remove)
            server.start()
            return server

        yield start


@pytest.fixture
def cut(dovecot: Dovecot) -> Iterator[Cut]:
    """Stand between a client and Dovecot's plain port."""
    with Cut(dovecot.imap) as proxy:
        yield proxy


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """Mount a file system of 4 MB."""
    require_root("a small file system")
    folder = Path(f"/tmp/bcc-disk-{uuid4().hex[:12]}")
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4M", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)
    folder.rmdir()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for server in STARTED:
        server.revive()
    item.stash[LOG_STARTS] = {str(s.log): s.log.stat().st_size for s in STARTED if s.log.exists()}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let no secret be in what a test's process wrote; show what each server logged during a test that failed."""
    report = yield
    if report.passed and (section := secrets_in(report.sections)):
        report.outcome = "failed"
        report.longrepr = f"a secret stands in {section}"
    if report.failed:
        starts = item.stash.get(LOG_STARTS, {})
        for server in [server for server in STARTED if server.log.exists()]:
            logged = server.log.read_bytes()[starts.get(str(server.log), 0) :][-MOST_LOG:]
            if logged:
                report.sections.append((f"log of {server.name}", logged.decode(errors="replace")))
    return report
