"""A worker of one's own with its books, and servers that a test may stop."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.harness.databases import Databases
from tests.outages.between import Between, Rewrite, as_it_is
from tests.outages.ledger import Ledger
from tests.servers.cut import Cut
from tests.servers.dovecot import Dovecot
from tests.servers.postgres import Postgres

InFrontOf = Callable[..., Between]
Opened = Callable[..., Ledger]


@pytest.fixture
def ledger_on(mailbox_user: str, databases: Databases, tmp_path: Path) -> Iterator[Opened]:
    """Open the books of a worker whose mailbox is on this server; ends its processes afterwards."""
    opened: list[Ledger] = []

    def ledger_on(server: Dovecot, database_url: str | None = None) -> Ledger:
        url = database_url or databases.copy("sqlite", tmp_path / "worker.sqlite3")
        opened.append(Ledger(server, mailbox_user, url, tmp_path / "worker.env"))
        return opened[-1]

    yield ledger_on
    for ledger in opened:
        ledger.kill()


@pytest.fixture
def ledger(ledger_on: Opened, dovecot: Dovecot) -> Ledger:
    """Create a ledger on SQLite and the Dovecot that all tests share."""
    return ledger_on(dovecot)


@pytest.fixture
def through(ledger: Ledger, cut: Cut) -> Cut:
    """Return the proxy between the worker of `ledger` and its mailbox."""
    ledger.settings["imap_port"] = str(cut.port)
    return cut


@pytest.fixture
def in_front_of() -> Iterator[InFrontOf]:
    """Put a proxy between a worker and its mailbox."""
    with ExitStack() as proxies:

        def in_front_of(ledger: Ledger, rewrite: Rewrite = as_it_is) -> Between:
            proxy = proxies.enter_context(Between(ledger.dovecot.imap, rewrite))
            ledger.settings["imap_port"] = str(proxy.port)
            return proxy

        yield in_front_of


@pytest.fixture(scope="module")
def own_dovecot() -> Iterator[Dovecot]:
    """A server that a test may stop; it starts it again."""
    server = Dovecot()
    server.start()
    yield server
    server.remove()


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    """Start a PostgreSQL that the tests of this module may stop."""
    server = Postgres()
    server.start()
    yield server
    server.remove()
