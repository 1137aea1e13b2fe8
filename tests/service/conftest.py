"""A service of one's own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.command import mailbox_settings
from tests.harness.databases import Databases
from tests.harness.running import Installation, Running
from tests.servers.dovecot import Dovecot


@pytest.fixture
def installation(dovecot: Dovecot, mailbox_user: str, databases: Databases, tmp_path: Path) -> Iterator[Installation]:
    """Settings for a mailbox that nobody has used, and a migrated SQLite file without rows."""
    settings = mailbox_settings(dovecot.imap, mailbox_user, databases.copy("sqlite", tmp_path / "worker.sqlite3"))
    installation = Installation(tmp_path / "worker.env", settings)
    yield installation
    for running in installation.started:
        running.kill()


@pytest.fixture
def pair(installation: Installation, dovecot: Dovecot, mailbox_user: str, database_url: str) -> tuple[Running, Running]:
    """Start an active worker and a standby."""
    installation.settings = mailbox_settings(dovecot.imap, mailbox_user, database_url)
    first = installation.start()
    first.wait_for("poll.finished")
    second = installation.start()
    second.wait_for("worker.standby")
    return first, second
