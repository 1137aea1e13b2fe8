"""Checks of database, mailbox, outgoing mail server and webhooks: each answers, and is fit for its use."""

import stat
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from worker.bootstrap import imap_access
from worker.diagnostics.filed_mail import Finding, failed, passed, skipped, warned
from worker.domain.endpoints import EndpointState
from worker.domain.errors import DatabaseMissing, DropboxError, LoginRefused, Refused, Unavailable
from worker.domain.servers import Tls
from worker.imap import ImapMailbox
from worker.imap.connection import CertificateRefused, HostUnknown
from worker.outgoing.post import mail_server_of, post_of
from worker.settings import Idle, Settings
from worker.store.database import Database
from worker.store.health import EndpointHealth, endpoints_health
from worker.store.room import Room, room_of
from worker.store.schema import HEAD, revision_of
from worker.wire import renewal

_CLOCKS_APART = timedelta(seconds=30)
_SERVER = text("SELECT clock_timestamp(), pg_is_in_recovery()")
_PRIMARY = "name the primary in BCC_DROPBOX_DATABASE_URL, or all servers and target_session_attrs=read-write"
_LEAST_DAYS = 7
_MEND = "start the database, or correct BCC_DROPBOX_DATABASE_URL"


def check_database(settings: Settings) -> Iterator[Finding]:
    """Check the database by reading only; never create a missing SQLite file."""
    url = settings.database_url.get_secret_value()
    try:
        database = Database.open(url, statement_seconds=settings.statement_seconds, create=False)
    except DatabaseMissing as error:
        yield warned("database", str(error), "nothing: the first start makes it")
        return
    except DropboxError as error:
        yield failed("database", str(error), _MEND)
        return
    try:
        yield from _check_open(database)
    except DropboxError as error:
        yield failed("database", str(error), _MEND)
    finally:
        database.close()


def _check_open(database: Database) -> Iterator[Finding]:
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
    return warned(
        what,
        seen,
        "enlarge the disk, or keep less: BCC_DROPBOX_KEEP_EMAILS_DAYS, then `bcc-dropbox vacuum`",
    )


def clock_of_database(there: datetime | None) -> Finding:
    """Compare the database's time with this machine's; ``there`` is None when both have the same clock."""
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


def check_webhooks(settings: Settings) -> Iterator[Finding]:
    """Read how the webhooks are doing; without any there is nothing to see."""
    try:
        url = settings.database_url.get_secret_value()
        database = Database.open(url, statement_seconds=settings.statement_seconds, create=False)
        with closing(database), database.read() as connection:
            found = endpoints_health(connection)
    except DropboxError:
        return  # the database's own finding tells it, or its schema is made by the next start
    for webhook in found:
        yield _finding(webhook)


def _finding(webhook: EndpointHealth) -> Finding:
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
