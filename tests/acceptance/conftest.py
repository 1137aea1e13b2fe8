"""An installation for each test."""

from collections.abc import Callable

import pytest

from tests.harness.installation import Dropbox
from tests.servers.dovecot import Dovecot


@pytest.fixture
def dropbox_on(dovecot: Dovecot, mailbox_user: str) -> Callable[[str], Dropbox]:
    return lambda url: Dropbox(dovecot, mailbox_user, url)


@pytest.fixture
def dropbox(dropbox_on: Callable[[str], Dropbox], sqlite_url: str) -> Dropbox:
    """Return an installation on SQLite."""
    return dropbox_on(sqlite_url)
