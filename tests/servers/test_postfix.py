"""Postfix hands its mail to our Dovecot, and no token is lost on the way."""

from collections.abc import Callable

import pytest

from tests.harness.running import await_true
from tests.servers.dovecot import Dovecot
from tests.servers.postfix import DOMAIN, Postfix, to_lmtp, to_maildir

MAIL = b"From: jo@example.com\r\nTo: kim@client.example\r\nSubject: hello\r\n\r\nbody\r\n"


def arrived(dovecot: Dovecot, user: str, count: int) -> list[bytes]:
    await_true(lambda: len(dovecot.folder(user)) >= count)
    return dovecot.folder(user)


@pytest.mark.parametrize("way", ["lmtp", "virtual"])
def test_each_recipient_gets_a_copy_that_names_its_token(
    dovecot: Dovecot, mailbox_user: str, postfix_with: Callable[[str], Postfix], way: str
) -> None:
    if way == "lmtp":
        mailbox, postfix = f"{mailbox_user}@{DOMAIN}", postfix_with(to_lmtp(dovecot))
    else:
        mailbox, postfix = mailbox_user, postfix_with(to_maildir(dovecot, mailbox_user))
    tokens = [f"{mailbox_user}+TokA@{DOMAIN}", f"{mailbox_user}+TokB@{DOMAIN}"]
    postfix.send("jo@example.com", tokens, MAIL)
    copies = arrived(dovecot, mailbox, 2)
    named = {token for token in tokens for copy in copies if f"Delivered-To: {token}".encode() in copy}
    assert named == set(tokens)
