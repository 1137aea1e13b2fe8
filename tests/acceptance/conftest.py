"""An installation for each test, on both databases."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.dropbox import Dropbox
from tests.servers.dovecot import Dovecot


@pytest.fixture(params=["sqlite", "postgresql"])
def any_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """SQLite and PostgreSQL, fresh."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'dropbox.db'}"
    url = request.getfixturevalue("database_url")
    assert isinstance(url, str)
    return url


@pytest.fixture
def dropbox_on(dovecot: Dovecot, mailbox_user: str) -> Callable[[str], Dropbox]:
    return lambda url: Dropbox(dovecot, mailbox_user, url)


@pytest.fixture
def dropbox(dropbox_on: Callable[[str], Dropbox], tmp_path: Path) -> Dropbox:
    """An installation on SQLite."""
    return dropbox_on(f"sqlite:///{tmp_path / 'dropbox.db'}")
