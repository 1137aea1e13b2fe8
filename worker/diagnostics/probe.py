"""Sending a probe, waiting until it is back in the mailbox, and taking it out again."""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from worker.diagnostics.probe_copies import Copies, Copy
from worker.diagnostics.probe_letter import Probe
from worker.domain.errors import Refused
from worker.domain.outcomes import Folder
from worker.imap import ImapMailbox
from worker.imap.errors import SaidNo
from worker.mime import read_head
from worker.outgoing import Post

_PLACES = (None, Folder.REJECTED)
"""The queue; and where a running worker moves a copy at once, since nobody has its token."""
_PAUSE_SECONDS = 0.3
_SECOND_COPY_SECONDS = 10.0
"""How long after the first copy the other one is waited for."""
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Returned:
    """What came back, and how many seconds after it was sent."""

    copies: Copies
    seconds: float
    sent_at: datetime
    left: int
    """Copies that could not be removed."""


def send_and_await(probe: Probe, post: Post, mailbox: ImapMailbox, wait_seconds: float) -> Returned:
    """Send, wait, clean up. Removes nothing but messages with the probe's own Message-ID.

    Raises:
        Undeliverable: the mail server does not take it.
        Unavailable: the mail server or the mailbox is down.
    """
    sent_at = datetime.now(UTC)
    began = time.monotonic()
    post.hand_in(probe.letter(sent_at), probe.recipients)
    try:
        copies, seconds = _await(probe, mailbox, began, wait_seconds)
    finally:
        left = _clean_up(probe, mailbox)
    return Returned(copies, seconds, sent_at, left)


def _await(probe: Probe, mailbox: ImapMailbox, began: float, wait_seconds: float) -> tuple[Copies, float]:
    """Until both tokens are there, or a copy for each recipient, or the time is up."""
    deadline = began + wait_seconds
    copies = Copies(probe, ())
    seconds = 0.0
    while True:
        found = Copies(probe, tuple(_found(probe, mailbox)))
        now = time.monotonic()
        if len(found.copies) > len(copies.copies):
            if not copies.copies:
                deadline = min(deadline, now + _SECOND_COPY_SECONDS)
            copies, seconds = found, now - began
        if (copies.copies and not copies.lost) or len(copies.copies) >= len(probe.canaries) or now >= deadline:
            return copies, seconds
        time.sleep(_PAUSE_SECONDS)


def _found(probe: Probe, mailbox: ImapMailbox) -> Iterator[Copy]:
    for folder in _PLACES:
        for uid in _uids(probe, mailbox, folder):
            with suppress(Refused):  # a worker has just moved it: it is found there
                yield Copy(read_head(mailbox.fetch_one(folder, uid)), folder)


def _uids(probe: Probe, mailbox: ImapMailbox, folder: Folder | None) -> list[int]:
    try:
        return mailbox.find(folder, probe.message_id)
    except SaidNo:
        return []  # there is no such folder yet


def _clean_up(probe: Probe, mailbox: ImapMailbox) -> int:
    """Again and again, for a running worker may move a copy under our hands; gives how many were still there."""
    left = 0
    for _ in range(_ROUNDS):
        left = 0
        for folder in _PLACES:
            uids = _uids(probe, mailbox, folder)
            left += len(uids)
            if uids:
                mailbox.discard(folder, uids)
        if not left:
            break
    return left
