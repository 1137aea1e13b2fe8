"""Mailboxes of tests on the real Dovecot, closed afterwards."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.imap.opening import access_to
from tests.servers.dovecot import Dovecot
from worker.imap import ImapAccess, ImapMailbox

Opened = Callable[[ImapAccess], ImapMailbox]


@pytest.fixture
def access(dovecot: Dovecot, mailbox_user: str) -> ImapAccess:
    return access_to(dovecot, mailbox_user)


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Give a mailbox that was opened."""
    with ExitStack() as closing:

        def opened(access: ImapAccess) -> ImapMailbox:
            mailbox = ImapMailbox(access, ("Delivered-To", "X-Original-To", "Subject"))
            closing.callback(mailbox.close)
            mailbox.open()
            return mailbox

        yield opened


@pytest.fixture
def mailbox(access: ImapAccess, opened: Opened) -> ImapMailbox:
    return opened(access)
