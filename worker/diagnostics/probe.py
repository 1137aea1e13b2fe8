"""Send a probe, wait for its mails, take them out again, and say what they show and what to set."""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from worker.bootstrap import imap_access
from worker.diagnostics.checks import AUTHENTICATION_RECIPE, RECIPES, Finding, failed, passed, warned
from worker.diagnostics.probe_mails import FORGED_DOMAIN, Copies, Copy, Forgery, Probe, Trust
from worker.domain.authentication import Stamps, authenticate, carries_odd_signature, stamps_of
from worker.domain.errors import DropboxError, Refused
from worker.domain.outcomes import Folder
from worker.imap import ImapMailbox
from worker.imap.connection import SaidNo
from worker.mime import read_head
from worker.mime.head import organisational_domain, read_results
from worker.outgoing import Post
from worker.outgoing.post import post_of
from worker.settings import Settings

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


def _send_and_await(probe: Probe, post: Post, mailbox: ImapMailbox, wait_seconds: float) -> Returned:
    """Send, wait, clean up. Remove only messages whose Message-ID is the probe's."""
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


_LATE = timedelta(minutes=3)
"""R22."""
_CLOCKS_APART = timedelta(minutes=2)
_RECIPES = f"see {RECIPES}"
_ONE_AT_A_TIME = (
    "let the mail server deliver one recipient at a time (Postfix: TRANSPORT_destination_recipient_limit = 1,"
    f" Exim: max_rcpt = 1) and record it: {_RECIPES}"
)


def check_probe(settings: Settings, wait: timedelta) -> Iterator[Finding]:
    """Send a probe, yield the findings, and leave nothing of it in the mailbox."""
    post = post_of(settings)
    if post is None:
        yield failed("probe", "there is no mail server to send it by", "set BCC_DROPBOX_SMTP_URL")
        return
    probe = Probe.made(settings, post.sender)
    mailbox = ImapMailbox(imap_access(settings), settings.token_headers)
    try:
        returned = _send_and_await(probe, post, mailbox, wait.total_seconds())
    except DropboxError as error:
        yield failed("probe", str(error), "see that BCC_DROPBOX_SMTP_URL is right and takes mail for the dropbox")
        return
    finally:
        mailbox.close()
    if not returned.copies.copies:
        yield failed(
            "probe",
            f"nothing came back within {wait.total_seconds():.0f} s",
            f"look for {probe.message_id} in the mail server's log and queue; it may have been returned to"
            f" {probe.sender}",
        )
        return
    yield from findings(returned, settings)


def findings(returned: Returned, settings: Settings) -> Iterator[Finding]:
    """Say what the copies show, with advice for these settings."""
    copies = returned.copies
    yield _way(returned)
    yield _tokens(copies)
    yield from _belief(copies, Trust(settings.received_by, settings.token_headers))
    yield _stamp(copies, settings)
    yield from _forged_senders(returned, settings)
    yield from _clock(returned)
    yield _cleaning(returned)


def _way(returned: Returned) -> Finding:
    copies = returned.copies.copies
    number = "1 copy" if len(copies) == 1 else f"{len(copies)} copies"
    seen = f"one mail to two addresses came back as {number} after {returned.seconds:.1f} s"
    if any(copy.folder is Folder.REJECTED for copy in copies):
        seen += "; the running worker had moved it to Rejected, as it should: nobody has these tokens"
    if returned.seconds > _LATE.total_seconds():
        return warned("probe", seen, "find out where the mail server lets it lie: a copy has to be there in 3 minutes")
    return passed("probe", seen)


def _tokens(copies: Copies) -> Finding:
    what = "probe: tokens"
    lost = copies.lost
    where = ", ".join(copies.fields_with_tokens)
    if not lost:
        return passed(what, f"both are kept, in {where}")
    if len(lost) == len(copies.probe.canaries):
        return failed(what, "both are lost: no field of any copy names them", _ONE_AT_A_TIME)
    place = "first" if lost[0] == copies.probe.canaries[0] else "second"
    return failed(what, f"that of the {place} recipient is lost; the other stands in {where}", _ONE_AT_A_TIME)


def _belief(copies: Copies, present: Trust) -> Iterator[Finding]:
    """Check that the present settings find the tokens and no forgery; name better ones if there are any."""
    what = "probe: forged envelope fields"
    routed, best = copies.routed(present), copies.best_trust()
    mending = "set" if best else f"let the mail server drop such fields from what comes in: {_RECIPES}"
    settings = best.settings if best else ()
    if routed.forgeries:
        yield failed(what, f"a forged {' and '.join(routed.forgeries)} would be believed", mending, settings)
    elif left := copies.kept_forgeries:
        yield passed(what, f"would not be believed; the mail server lets through {', '.join(left)}")
    else:
        yield passed(what, "the mail server takes them out")
    what = "probe: RECEIVED_BY and TOKEN_HEADERS"
    if routed.missed and not copies.lost:
        yield failed(what, "with the present ones a token is not found", mending, settings)
    elif routed.is_right and present.received_by:
        yield passed(what, "the present ones are right")
    elif best:
        yield warned(what, "there are safer ones than the present", mending, settings)


def _stamp(copies: Copies, settings: Settings) -> Finding:
    what = "probe: Authentication-Results"
    stamp, ours = copies.stamp(), settings.authserv_id
    stated = stamp.authserv_id
    if stamp.is_forged:
        seen = "the mail server lets a forged one through and writes none of its own above it"
        mending = f"let it check senders and drop what claims to be its own: {_RECIPES}"
        if settings.requires_sender_auth:
            return failed(what, f"{seen}: it would be believed", mending)
        return warned(what, f"{seen}; nothing is asked of it as yet", mending)
    if stated is None:
        mending = f"let it check senders: {AUTHENTICATION_RECIPE} says how"
        found = failed if settings.requires_sender_auth else warned
        return found(what, "the mail server writes none; a forged one is taken out", mending)
    if ours is None or stated.lower() != ours.lower():
        found = failed if settings.requires_sender_auth else warned
        return found(what, f"the mail server writes them as {stated}", "set", (f"BCC_DROPBOX_AUTHSERV_ID={stated}",))
    check = authenticate(Stamps((stamp.value,)), read_results, ours, copies.probe.sender.domain, organisational_domain)
    says = check.why.code.replace("_", " ") if stamp.found else "nothing"
    return passed(what, f"stamped by {stated}, no forged one would be believed; of the probe it says: {says}")


def _forged_senders(returned: Returned, settings: Settings) -> Iterator[Finding]:
    """Say whether the mail server vouches for a forged sender, and whether the worker would believe it (R13)."""
    what = "probe: forged senders"
    tried, ours = returned.tried, settings.authserv_id
    vouched = [each for each in tried if any(copy.vouches_for_forgery for copy in each.copies)]
    shapes = " and ".join(dict.fromkeys(each.forgery.shape for each in vouched))
    if vouched:
        found = failed if settings.requires_sender_auth else warned
        would_win = any(
            ours and _believes(copy, ours, settings.received_by) for each in vouched for copy in each.copies
        )
        effect = (
            "such mail would win" if would_win else "such mail would not win, since the worker refuses it by itself"
        )
        yield found(
            what,
            f"the mail server vouches for a sender forged by {shapes}: {effect}",
            f"it runs an older recipe: copy {AUTHENTICATION_RECIPE} and that of your mail server again, and reload it",
        )
        return
    missing = sum(each.is_missing for each in tried)
    refused = sum(not each.is_taken for each in tried)
    seen = f"{len(tried)} mails tried, none would win; the mail server refused {refused} of them at once"
    if missing:
        yield warned(what, f"{seen}; {missing} did not come back", "look for them in the mail server's log and queue")
    elif tried:
        yield passed(what, seen)


def _believes(copy: Copy, authserv_id: str, received_by: str | None) -> bool:
    """Tell whether the worker would take a copy to be from the forged domain."""
    stamps = stamps_of(copy.head, received_by)
    check = authenticate(stamps, read_results, authserv_id, FORGED_DOMAIN, organisational_domain)
    return check.passed and not carries_odd_signature(copy.head)


def _clock(returned: Returned) -> Iterator[Finding]:
    what = "probe: the mail server's clock"
    there = returned.copies.server_time()
    if there is None:
        return
    earliest, latest = returned.sent_at, returned.sent_at + timedelta(seconds=returned.seconds)
    apart = max(earliest - there, there - latest, timedelta())
    seen = f"{apart.total_seconds():.0f} s apart from ours"
    yield (
        warned(what, seen, "let both machines set their clocks by NTP") if apart > _CLOCKS_APART else passed(what, seen)
    )


def _cleaning(returned: Returned) -> Finding:
    if returned.left:
        return warned(
            "probe: traces",
            f"{returned.left} messages of it are left in the mailbox",
            f"delete what has the Message-ID {returned.copies.probe.message_id}",
        )
    return passed("probe: traces", "its messages are out of the mailbox again")
