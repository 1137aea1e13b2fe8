"""The composition root: makes the parts that work together, as the settings say. No other module knows them all."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import structlog

from worker.domain.erasure import NAMING_FIELDS
from worker.domain.verdicts import Filing
from worker.filing import Rules
from worker.imap import ImapAccess, ImapMailbox
from worker.imap.oauth import TokenSource
from worker.logs import Event, configure, log_deferred, log_filed
from worker.mime.content import read_carried
from worker.mime.head import organisational_domain, read_results
from worker.outgoing import Notifier
from worker.outgoing.post import mail_server_of, post_of
from worker.poll import Limits, Poller, Watcher, Watchers
from worker.poll.own_folders import MailboxCopies
from worker.settings import LogFormat, Settings, state_folder
from worker.store.database import Database, parse_url
from worker.store.locks import MailboxLock
from worker.store.poll_store import PollStore
from worker.store.traces import NoticeOutbox


class LoggingWatcher(Watcher):
    """Writes a line to the log for each message."""

    def filed(self, filing: Filing, seconds: float) -> None:
        """Log a message that was committed."""
        log_filed(filing, seconds)

    def deferred(self, uid: int, error: str, message_id: str | None = None, seconds: float | None = None) -> None:
        """Log a message that stays in the queue and is tried again."""
        log_deferred(uid, error, message_id, seconds)


@dataclass(frozen=True, slots=True)
class Parts:
    """One mailbox, one database, and the poll between them; each connects when it is first used."""

    settings: Settings
    access: ImapAccess
    database: Database
    store: PollStore
    mailbox: ImapMailbox
    poller: Poller
    lock: MailboxLock
    notifier: Notifier | None

    @property
    def mailbox_name(self) -> str:
        """The name of the mailbox in the database: ``user@host/folder``."""
        return self.access.mailbox_name

    def close(self) -> None:
        """Close every connection and let another worker have the mailbox."""
        self.mailbox.close()
        self.lock.release()
        self.database.close()


def compose(settings: Settings, *watchers: Watcher, worker: str | None = None) -> Parts:
    """Make the parts of a worker, whose polls are logged and reported to ``watchers``.

    ``worker`` is the name under which its marks are stored; by default a new one.

    Raises:
        SettingsError: a setting that the mailbox needs is missing.
        Refused: a setting has a value that cannot be used.
        Unavailable: the database's file cannot be made.
    """
    access, rules, post = imap_access(settings), rules_of(settings), post_of(settings)
    mailbox = ImapMailbox(access, head_fields_of(settings))
    database = open_database(settings)  # last of what may fail: nobody would close it
    notifier = Notifier(NoticeOutbox(database), post) if post and settings.notice_from else None
    store = PollStore(database, gives_notice=notifier is not None, worker=worker)
    limits = Limits(messages=settings.batch_messages, octets=settings.batch_bytes)
    poller = Poller(mailbox, store, rules, limits=limits, watcher=Watchers(LoggingWatcher(), *watchers))
    lock = MailboxLock(database, access.mailbox_name)
    return Parts(settings, access, database, store, mailbox, poller, lock, notifier)


def verify(settings: Settings) -> None:
    """Check the settings as `compose` does, without opening or making anything.

    Raises:
        SettingsError: a setting that the mailbox needs is missing.
        Refused: a setting has a value that cannot be used.
    """
    ImapMailbox(imap_access(settings), head_fields_of(settings))
    rules_of(settings)
    post_of(settings)
    parse_url(settings.database_url.get_secret_value())


def head_fields_of(settings: Settings) -> tuple[str, ...]:
    """Return the fields to fetch. The Subject, which takes time, is only needed for notices of rejected mail."""
    return (*settings.token_headers, "Subject") if settings.notice_from else settings.token_headers


def open_mailbox(settings: Settings) -> ImapMailbox:
    """Return the mailbox on a connection of its own, made when it is first needed."""
    return ImapMailbox(imap_access(settings), head_fields_of(settings))


@contextmanager
def copies_in_mailbox(settings: Settings, database: Database, account_id: int) -> Iterator[MailboxCopies]:
    """Give access to a person's mail in the mailbox that the settings name (R29).

    Raises:
        SettingsError: when a setting that the mailbox needs is missing.
    """
    store = PollStore(database)
    mailbox = ImapMailbox(imap_access(settings), (*settings.token_headers, *NAMING_FIELDS))

    def accounts_of(token: str) -> frozenset[int]:
        return frozenset(issued.owner.account_id for issued in store.issued([token]).values())

    try:
        yield MailboxCopies(mailbox, rules_of(settings), account_id, accounts_of)
    finally:
        mailbox.close()


def open_database(settings: Settings, *, create: bool = True) -> Database:
    """Open the database that the settings name.

    Raises:
        Refused: its URL cannot be used.
        Unavailable: its file cannot be made, or is missing and ``create`` is off.
    """
    url = settings.database_url.get_secret_value()
    return Database.open(url, statement_seconds=settings.statement_seconds, create=create)


def rules_of(settings: Settings) -> Rules:
    """Return what the settings say to the core."""
    return Rules(
        dropbox=settings.require_address(),
        token_headers=settings.token_headers,
        received_by=settings.received_by,
        authserv_id=settings.authserv_id if settings.requires_sender_auth else None,
        max_attachment_bytes=settings.max_attachment_bytes,
        max_recipients=settings.max_recipients,
        max_new_records_per_day=settings.max_new_records_per_day,
        forwards=settings.forwards,
        read_carried=read_carried,
        read_results=read_results,
        organisational_domain=organisational_domain,
    )


def imap_access(settings: Settings) -> ImapAccess:
    """Return what the settings say of the mailbox, with a source of tokens where it is needed.

    Raises:
        SettingsError: a setting that the mailbox needs is missing.
    """
    access = settings.require_mailbox()
    return replace(access, token=TokenSource(access.oauth, state_folder=state_folder())) if access.oauth else access


def start_log(settings: Settings) -> None:
    """Start the log as the settings say; their secrets are never logged."""
    configure(
        level=settings.log_level,
        as_json=None if settings.log_format is LogFormat.AUTO else settings.log_format is LogFormat.JSON,
        secrets=[secret for secret in _secrets_of(settings) if secret],
    )


def warn_of_forgery(settings: Settings) -> None:
    """Log that From is believed unchecked, where the settings say so (R13)."""
    if not settings.requires_sender_auth:
        structlog.get_logger().warning(
            Event.SENDER_AUTH_OFF, message="a forged From is believed: set BCC_DROPBOX_AUTHSERV_ID to have it checked"
        )


def _secrets_of(settings: Settings) -> Iterator[str | None]:
    if settings.mailbox_name is not None:
        mailbox = settings.require_mailbox()
        yield mailbox.password
        if mailbox.oauth is not None:
            yield from (mailbox.oauth.client_secret, mailbox.oauth.refresh_token)
    if mail_server := mail_server_of(settings):
        yield mail_server.password
    database = parse_url(settings.database_url.get_secret_value())
    yield database.password
    yield from database.normalized_query.get("password", ())  # libpq takes it from there, too
