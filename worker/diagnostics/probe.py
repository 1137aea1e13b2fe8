"""Send a probe, wait until its mails are in the mailbox, and take them out again."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from worker.diagnostics.probe_copies import Copies, Copy
from worker.diagnostics.probe_letter import Forgery, Probe
from worker.domain.errors import Refused
from worker.domain.outcomes import Folder
from worker.imap import ImapMailbox
from worker.imap.errors import SaidNo
from worker.mime import read_head
from worker.outgoing import Post

_PLACES = (None, Folder.REJECTED)
"""The queue, and the folder to which a running worker moves a copy, since no user has its token."""
_PAUSE_SECONDS = 0.3
_OTHER_COPIES_SECONDS = 10.0
"""The longest wait for the other mails of a probe once the first copy is there."""
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Tried:
    """A mail with a forged sender, whether the mail server took it, and what came back of it."""

    forgery: Forgery
    is_taken: bool
    copies: tuple[Copy, ...] = ()

    @property
    def is_missing(self) -> bool:
        """Tell whether the mail server took the mail and has not delivered it."""
        return self.is_taken and not self.copies


@dataclass(frozen=True, slots=True)
class Returned:
    """The copies that came back, and how many seconds after the mail was sent."""

    copies: Copies
    seconds: float
    sent_at: datetime
    left: int
    """Copies that could not be removed."""
    tried: tuple[Tried, ...] = ()


def send_and_await(probe: Probe, post: Post, mailbox: ImapMailbox, wait_seconds: float) -> Returned:
    """Send, wait, clean up. Remove only messages whose Message-ID is the probe's.

    Raises:
        Undeliverable: the mail server does not take the mail.
        Unavailable: the mail server or the mailbox is down.
    """
    sent_at = datetime.now(UTC)
    began = time.monotonic()
    try:
        post.hand_in(probe.letter(sent_at), probe.recipients)
        tried = [_tried(post, probe, forgery) for forgery in probe.forgeries(sent_at)]
        search = _Search(probe, mailbox, tried)
        copies, seconds = search.wait(began, wait_seconds)
    finally:
        left = _clean_up(probe, mailbox)
    return Returned(copies, seconds, sent_at, left, tuple(search.tried))


def _tried(post: Post, probe: Probe, forgery: Forgery) -> Tried:
    recipient = probe.recipients[0]
    return Tried(forgery, post.try_as_it_is(forgery.letter, recipient, mail_from=forgery.mail_from, helo=forgery.helo))


class _Search:
    """Looks for the mails of one probe until all are there. Reads each copy once."""

    def __init__(self, probe: Probe, mailbox: ImapMailbox, tried: Sequence[Tried]) -> None:
        self.tried = tried
        self._probe = probe
        self._mailbox = mailbox
        self._read: dict[tuple[Folder | None, int], Copy] = {}

    def wait(self, began: float, wait_seconds: float) -> tuple[Copies, float]:
        """Wait until both tokens are there or a copy for each recipient, and every forgery; or until the time is up."""
        deadline = began + wait_seconds
        copies, seconds = Copies(self._probe, ()), 0.0
        while True:
            found = self._look()
            now = time.monotonic()
            if len(found.copies) > len(copies.copies):
                if not copies.copies:
                    deadline = min(deadline, now + _OTHER_COPIES_SECONDS)
                copies, seconds = found, now - began
            is_whole = copies.copies and (not copies.lost or len(copies.copies) >= len(self._probe.canaries))
            if now >= deadline or (is_whole and not any(each.is_missing for each in self.tried)):
                return copies, seconds
            time.sleep(_PAUSE_SECONDS)

    def _look(self) -> Copies:
        present = {(folder, uid): None for folder in _PLACES for uid in _uids(self._probe, self._mailbox, folder)}
        for folder, uid in present.keys() - self._read.keys():
            with suppress(Refused):  # a worker has just moved it, and it is found there next time
                self._read[folder, uid] = Copy(read_head(self._mailbox.fetch_one(folder, uid)), folder)
        by_message: dict[str, list[Copy]] = {}
        for place in present.keys() & self._read.keys():
            copy = self._read[place]
            by_message.setdefault(copy.head.first("message-id").strip(), []).append(copy)
        self.tried = [
            Tried(each.forgery, each.is_taken, tuple(by_message.get(each.forgery.message_id, ())))
            for each in self.tried
        ]
        return Copies(self._probe, tuple(by_message.get(self._probe.message_id, ())))


def _uids(probe: Probe, mailbox: ImapMailbox, folder: Folder | None) -> list[int]:
    try:
        return mailbox.find(folder, probe.mark)
    except SaidNo:
        return []  # the folder does not exist yet


def _clean_up(probe: Probe, mailbox: ImapMailbox) -> int:
    """Remove the probe's mails, in several rounds because a running worker may move some; return how many are left."""
    left = 0
    for _ in range(_ROUNDS):
        left = 0
        for folder in _PLACES:
            uids = _uids(probe, mailbox, folder)
            left += len(uids)
            if uids:
                mailbox.remove(uids, folder)
        if not left:
            break
    return left
