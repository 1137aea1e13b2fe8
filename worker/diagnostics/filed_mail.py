"""Findings of `check`, and what the last filed mails show: envelopes recorded, senders checked."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from worker.domain.errors import DropboxError
from worker.domain.outcomes import Code
from worker.domain.routing import OPEN_FIELDS
from worker.domain.verdicts import Trace
from worker.settings import Settings
from worker.store import health
from worker.store.database import Database
from worker.store.schema import HEAD, revision_of
from worker.store.traces import recent_traces

RECIPES = "the recipes for mail servers in the project's README"
AUTHENTICATION_RECIPE = "the recipe sender-authentication in the project's README"
"""An installed host has no copy of them."""


class Result(StrEnum):
    """The result of one test."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"
    """There was nothing to test it with."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table; ``mending`` says what to do where there is something to do.

    ``settings`` are lines for the env file, to be copied as they stand; the words before them are then the mending.
    """

    what: str
    result: Result
    seen: str
    mending: str = ""
    settings: tuple[str, ...] = ()

    @property
    def has_failed(self) -> bool:
        """Whether the worker cannot work like this."""
        return self.result is Result.FAIL

    def as_json(self) -> dict[str, Any]:
        """Return the JSON fields; the advice is one sentence."""
        mending = " ".join(filter(None, (self.mending, " and ".join(self.settings))))
        return {"what": self.what, "result": self.result, "seen": self.seen, "mending": mending}


def passed(what: str, seen: str) -> Finding:
    """Return a finding about something that works."""
    return Finding(what, Result.PASS, seen)


def skipped(what: str, seen: str, mending: str) -> Finding:
    """Return a finding about something that could not be checked."""
    return Finding(what, Result.SKIP, seen, mending)


def warned(what: str, seen: str, mending: str, settings: tuple[str, ...] = ()) -> Finding:
    """Return a finding about something that works, but worse or less safely than it could."""
    return Finding(what, Result.WARN, seen, mending, settings)


def failed(what: str, seen: str, mending: str, settings: tuple[str, ...] = ()) -> Finding:
    """Return a finding about something that does not work."""
    return Finding(what, Result.FAIL, seen, mending, settings)


_RECORD = f"let your mail server record it: see {RECIPES}"
_UNSTAMPED = frozenset({Code.NO_RESULTS, Code.RESULTS_NOT_OURS})
_UNREAD = frozenset({Code.FIELDS_REPEATED, Code.SIGNATURE_NOT_PLAIN})
"""The mail itself was refused before its stamps were looked at."""
_POLLED_WITHIN = timedelta(minutes=5)


def check_mail(settings: Settings) -> Iterator[Finding]:
    """Look at the stored decisions; give no finding where the database has none."""
    name = settings.mailbox_name or ""
    url = settings.database_url.get_secret_value()
    try:
        database = Database.open(url, statement_seconds=settings.statement_seconds, create=False)
    except DropboxError:
        return  # there is no database yet: told already
    try:
        with database.read() as connection:
            if revision_of(connection) != HEAD:
                return
        yield _worker([each for each in health.mailboxes(database) if each.name == name])
        traces = recent_traces(database, name)
        yield from _envelope(traces)
        if settings.requires_sender_auth:
            yield _vouching(traces, settings.authserv_id or "")
    finally:
        database.close()


def _worker(mailboxes: Sequence[health.MailboxHealth]) -> Finding:
    good = mailboxes[0].last_good_poll_at if mailboxes else None
    if good is None:
        return warned("worker", "no poll of this mailbox has gone well yet", "systemctl start bcc-dropbox")
    seen = f"last good poll {(datetime.now(UTC) - good).total_seconds():.0f} s ago"
    if datetime.now(UTC) - good > _POLLED_WITHIN:
        return warned("worker", seen, "systemctl status bcc-dropbox; its log says why")
    return passed("worker", seen)


def _envelope(traces: Sequence[Trace]) -> Iterator[Finding]:
    """Find out whether the mail server records the envelope recipient of each mail (R4, R5)."""
    what = "envelope recipient"
    headers = Counter(header for trace in traces if (header := trace.token_header))
    named = {name: count for name, count in headers.items() if name.lower() not in OPEN_FIELDS}
    notes = Counter(trace.note.code for trace in traces if trace.note)
    opened = headers.total() - sum(named.values())
    recorded = sum(named.values()) + notes[Code.RECIPIENT_IS_NO_DROPBOX]
    lost = opened + notes[Code.RECIPIENT_NOT_RECORDED]
    seen = ", ".join(f"{name} in {count}" for name, count in named.items())
    if not recorded and lost:
        # Where the address stood openly in To or Cc, a mail to it came, and its envelope was not recorded.
        found = failed if opened else warned
        yield found(what, f"none of the last {lost} messages carries it in a field that can be believed", _RECORD)
    elif lost:
        yield warned(
            what,
            f"{lost} of the last {recorded + lost} messages carry it in no field that can be believed",
            f"mail to two dropboxes at once may lose it: `bcc-dropbox check --probe` tells; {_RECORD}",
        )
    elif recorded:
        yield passed(what, seen or f"recorded in {recorded}, none of them for a dropbox")


def _vouching(traces: Sequence[Trace], authserv_id: str) -> Finding:
    """Find out whether the mail server stamps each mail (R13): if it does not, a forged stamp may be believed."""
    what = "sender authentication"
    said = [trace.authentication.code for trace in traces if trace.authentication]
    checked = [code for code in said if code not in _UNREAD]
    stamped = [code for code in checked if code not in _UNSTAMPED]
    seen = f"{len(stamped)} of the last {len(checked)} messages were stamped by {authserv_id}"
    if checked and not stamped:
        return failed(
            what,
            f"none of the last {len(checked)} messages was stamped by {authserv_id}",
            "set BCC_DROPBOX_AUTHSERV_ID to the first word of the topmost Authentication-Results of a message",
        )
    if len(stamped) < len(checked):
        return warned(
            what,
            f"only {seen}: mail that it does not stamp may bring a forged stamp along",
            f"let the mail server stamp each mail, and drop what claims to be its own: see {AUTHENTICATION_RECIPE}",
        )
    if stamped:
        return passed(what, seen)
    return warned(what, "no recent mail to see it in", "send a mail to a dropbox and check again")
