"""Findings of `check`: of the database, the mailbox, the filed mail, the mail server that sends, and the webhooks."""

import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import text

from worker.bootstrap import imap_access, open_database
from worker.domain.endpoints import EndpointState
from worker.domain.errors import DatabaseMissing, DropboxError, LoginRefused, Refused, Unavailable
from worker.domain.outcomes import Code
from worker.domain.routing import OPEN_FIELDS
from worker.domain.servers import Tls
from worker.domain.verdicts import Trace
from worker.imap import ImapMailbox
from worker.imap.connection import CertificateRefused, HostUnknown
from worker.outgoing.post import mail_server_of, post_of
from worker.settings import Idle, Settings
from worker.store import health
from worker.store.database import Database
from worker.store.health import EndpointHealth, endpoints_health
from worker.store.room import Room, room_of
from worker.store.schema import HEAD, revision_of
from worker.store.traces import recent_traces
from worker.wire import renewal

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
        """True when the worker cannot work like this."""
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


_CLOCKS_APART = timedelta(seconds=30)
_SERVER = text("SELECT clock_timestamp(), pg_is_in_recovery()")
_PRIMARY = "name the primary in BCC_DROPBOX_DATABASE_URL, or all servers and target_session_attrs=read-write"
_LEAST_DAYS = 7


def check_database(settings: Settings) -> Iterator[Finding]:
    """Check the database by reading only; never create a missing SQLite file."""
    try:
        with closing(open_database(settings, create=False)) as database:
            yield from _check_open(database)
    except DatabaseMissing as error:
        yield warned("database", str(error), "nothing: the first start makes it")
    except DropboxError as error:
        yield failed("database", str(error), "start the database, or correct BCC_DROPBOX_DATABASE_URL")


def _check_open(database: Database) -> Iterator[Finding]:
    """Check a database that can be opened."""
    with database.read() as connection:
        revision = revision_of(connection)
        there, is_standby = (None, False) if database.is_sqlite else connection.execute(_SERVER).one()
    if is_standby:
        yield failed("database", "PostgreSQL, but a read-only standby", _PRIMARY)
    else:
        yield passed("database", "SQLite" if database.is_sqlite else "PostgreSQL")
    yield from _check_sessions(database)
    if database.file and database.file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        yield warned(
            "database file", "others on this machine can read people's mail in it", f"chmod 600 {database.file}"
        )
    if revision == HEAD:
        yield passed("schema", f"revision {revision}")
        yield room_left(room_of(database, datetime.now(UTC)))
    else:
        yield warned(
            "schema", f"revision {revision or 'none'}, not {HEAD}", "nothing: the next start brings it up to date"
        )
    yield clock_of_database(there)


def _check_sessions(database: Database) -> Iterator[Finding]:
    try:
        database.require_own_sessions()
    except Refused as error:
        yield failed("database sessions", str(error), "set pool_mode = session in PgBouncer, or connect directly")


def room_left(room: Room) -> Finding:
    """Warn when the disk will be full within a week at the present growth."""
    what, days = "room on the disk", room.days_left
    if room.size.disk_free is None:
        return passed(what, "not seen from here: watch the database server's disk")
    if days is None:
        return passed(what, f"{room.size.disk_free / 10**9:.1f} GB free")
    seen = f"{room.size.disk_free / 10**9:.1f} GB free, enough for {days:.0f} days at the present growth"
    if days >= _LEAST_DAYS:
        return passed(what, seen)
    return warned(what, seen, "enlarge the disk, or keep less: BCC_DROPBOX_KEEP_EMAILS_DAYS, then `bcc-dropbox vacuum`")


def clock_of_database(there: datetime | None) -> Finding:
    """Compare the database's time with this machine's; pass None when both have the same clock."""
    what = "the database's clock"
    if there is None:
        return passed(what, "ours: the database is a file of this machine")
    apart = abs(datetime.now(UTC) - there)
    seen = f"{apart.total_seconds():.0f} s apart from ours"
    if apart > _CLOCKS_APART:
        return warned(what, seen, "let both machines set their clocks by NTP")
    return passed(what, seen)


_WITHOUT = {
    "MOVE": "messages are copied, flagged and expunged one by one instead of moved",
    "UIDPLUS": "what is done cannot always be taken out of the queue",
    "IDLE": "new mail waits for the next poll",
}
_AHEAD = timedelta(minutes=2)


def check_mailbox(settings: Settings) -> Iterator[Finding]:
    """Check the mailbox over one connection; change nothing on the server."""
    mailbox = ImapMailbox(imap_access(settings), settings.token_headers)
    try:
        mailbox.open()
        yield _tls(settings)
        yield passed("login", settings.mailbox_name or "")
        yield from _capabilities(mailbox, settings)
        yield from _folders(mailbox)
        yield _clock(mailbox)
    except LoginRefused as error:
        yield failed("login", str(error), "correct BCC_DROPBOX_IMAP_USER and its password, or the OAuth settings")
    except Unavailable as error:
        yield failed("mailbox", str(error), _mending(error))
    finally:
        mailbox.close()


def _mending(error: Unavailable) -> str:
    """Return the advice for a mailbox that cannot be reached."""
    match error:
        case CertificateRefused():
            return renewal(error) or (
                "set BCC_DROPBOX_IMAP_HOST to the name in the certificate, or BCC_DROPBOX_IMAP_CA_FILE to its authority"
            )
        case HostUnknown():
            return "correct BCC_DROPBOX_IMAP_HOST, or the name service of this machine"
        case _:
            return "see that the server runs and that BCC_DROPBOX_IMAP_HOST, _PORT, _TLS and _FOLDER are right"


def _tls(settings: Settings) -> Finding:
    if settings.imap_tls is Tls.NONE:
        return passed("TLS", "none: the server is this machine itself")
    return passed("TLS", f"{settings.imap_tls}, the certificate is that of {settings.imap_host}")


def _capabilities(mailbox: ImapMailbox, settings: Settings) -> Iterator[Finding]:
    offered = mailbox.capabilities()
    for name, consequence in _WITHOUT.items():
        if name == "IDLE" and settings.idle is Idle.OFF:
            yield passed(name, "switched off by BCC_DROPBOX_IDLE")
        elif name in offered:
            yield passed(name, "offered")
        else:
            yield warned(name, f"not offered: {consequence}", "a server that offers it serves better")


def _folders(mailbox: ImapMailbox) -> Iterator[Finding]:
    for folder in mailbox.folder_report():
        yield passed(f"folder {folder.name}", _held(folder.messages))


def _held(messages: int | None) -> str:
    if messages is None:
        return "is made when it is first needed"
    return "1 message" if messages == 1 else f"{messages} messages"


def _clock(mailbox: ImapMailbox) -> Finding:
    """Compare the clocks: the mail server stamps arrivals by its own clock, and none can be in the future."""
    what = "the mail server's clock"
    newest = mailbox.newest_arrival()
    if newest is None:
        return skipped(what, "there is no message to see it by", "`bcc-dropbox check --probe` sends one and compares")
    ahead = newest - datetime.now(UTC)
    if ahead > _AHEAD:
        seen = f"{ahead.total_seconds():.0f} s ahead of ours, by the newest message"
        return warned(what, seen, "let both machines set their clocks by NTP")
    return passed(what, "not ahead of ours, by the newest message")


_RECORD = f"let your mail server record it: see {RECIPES}"
_UNSTAMPED = frozenset({Code.NO_RESULTS, Code.RESULTS_NOT_OURS})
_UNREAD = frozenset({Code.FIELDS_REPEATED, Code.SIGNATURE_NOT_PLAIN})
"""The mail itself was refused before its stamps were looked at."""
_POLLED_WITHIN = timedelta(minutes=5)


def check_filed(settings: Settings) -> Iterator[Finding]:
    """Look at the stored decisions and the webhooks; give no finding where the database has none."""
    name = settings.mailbox_name or ""
    # There is no database yet, or it went down just now: the database's own finding tells it.
    with suppress(DropboxError), closing(open_database(settings, create=False)) as database:
        with database.read() as connection:
            if revision_of(connection) != HEAD:
                return
            webhooks = endpoints_health(connection)
        yield _worker([each for each in health.mailboxes(database) if each.name == name])
        traces = recent_traces(database, name)
        yield from _envelope(traces)
        if settings.requires_sender_auth:
            yield _vouching(traces, settings.authserv_id or "")
        yield from map(_webhook, webhooks)


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


def check_post(settings: Settings) -> Iterator[Finding]:
    """Check the mail server; yield nothing when SMTP_URL is not set."""
    what = "outgoing mail"
    try:
        post, server = post_of(settings), mail_server_of(settings)
        if post is None or server is None:
            return
        post.try_out()
    except DropboxError as error:
        meanwhile = "notices wait" if settings.notice_from else "no code for a sender address can be sent"
        mending = renewal(error) or "correct BCC_DROPBOX_SMTP_URL, or BCC_DROPBOX_SMTP_CA_FILE"
        yield failed(what, str(error), f"{mending}; {meanwhile}")
        return
    who = f", logged in as {server.user}" if server.user else ""
    yield passed(what, f"{server}{who}; letters come from {post.sender}")


def _webhook(webhook: EndpointHealth) -> Finding:
    what = f"webhook of {webhook.account}"
    seen = f"{webhook.host}: {_backlog(webhook)}"
    if webhook.state is EndpointState.PAUSED:
        return warned(what, f"paused, {webhook.paused_because}; {seen}", "`webhook test`, and then `webhook enable`")
    if webhook.state is EndpointState.DISABLED:
        return warned(what, f"disabled; {seen}", "`webhook enable`")
    if webhook.failing_since is not None:
        since = f"failing since {webhook.failing_since:%Y-%m-%d %H:%M} UTC"
        return warned(what, f"{since}, at last: {webhook.last_error}; {seen}", "`webhook test` shows what it answers")
    return passed(what, seen)


def _backlog(webhook: EndpointHealth) -> str:
    if webhook.oldest_at is None:
        return "nothing waits"
    age = round((datetime.now(UTC) - webhook.oldest_at).total_seconds())
    return f"{webhook.backlog} events wait, the oldest for {age} s"
