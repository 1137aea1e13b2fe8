"""Checks of the mailbox: encryption, login, capabilities and folders."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from worker.bootstrap import imap_access
from worker.diagnostics.findings import Finding, failed, passed, skipped, warned
from worker.domain.errors import LoginRefused, Unavailable
from worker.domain.servers import Tls
from worker.imap import ImapMailbox
from worker.imap.errors import CertificateRefused, HostUnknown
from worker.settings import Idle, Settings
from worker.tls import renewal

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
