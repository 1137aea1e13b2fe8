"""A service of one's own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.databases import Databases
from tests.harness.installation import Dropbox
from tests.harness.running import Running
from tests.servers.dovecot import Dovecot


@pytest.fixture
def installation(dovecot: Dovecot, mailbox_user: str, databases: Databases, tmp_path: Path) -> Iterator[Dropbox]:
    """Settings for a mailbox that nobody has used, and a migrated SQLite file without rows."""
    url = databases.copy("sqlite", tmp_path / "worker.sqlite3")
    installation = Dropbox(dovecot, mailbox_user, url, env_file=tmp_path / "worker.env")
    yield installation
    installation.kill()


@pytest.fixture
def pair(installation: Dropbox, database_url: str) -> tuple[Running, Running]:
    """Start an active worker and a standby."""
    first = installation.start(database_url=database_url)
    first.wait_for("poll.finished")
    second = installation.start()
    second.wait_for("worker.standby")
    return first, second
