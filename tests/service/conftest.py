"""A service of one's own for each test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers.dovecot import Dovecot, DovecotSettings
from tests.service.running import Installation, Running, mailbox_settings


@pytest.fixture
def installation(dovecot: Dovecot, mailbox_user: str, tmp_path: Path) -> Iterator[Installation]:
    """Settings for a mailbox that nobody has used, and a fresh SQLite file."""
    settings = mailbox_settings(dovecot.imap, mailbox_user, f"sqlite:///{tmp_path / 'worker.sqlite3'}")
    installation = Installation(tmp_path / "worker.env", settings)
    yield installation
    for running in installation.started:
        running.kill()


@pytest.fixture
def pair(installation: Installation, dovecot: Dovecot, mailbox_user: str, database_url: str) -> tuple[Running, Running]:
    """Start one worker that empties the mailbox, and one that stands by."""
    installation.settings = mailbox_settings(dovecot.imap, mailbox_user, database_url)
    first = installation.start()
    first.wait_for("poll.finished")
    second = installation.start()
    second.wait_for("worker.standby")
    return first, second


@pytest.fixture
def forgiving_dovecot(dovecot_with: Callable[[DovecotSettings], Dovecot]) -> Dovecot:
    """A server that does not keep a client waiting for its earlier wrong passwords."""
    return dovecot_with(DovecotSettings(extra="service anvil {\n unix_listener anvil-auth-penalty {\n mode = 0\n }\n}"))
