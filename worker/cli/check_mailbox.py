"""Whether the mail server lets us in, over what, with which capabilities, and has the folders."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from worker.cli.findings import Finding, failed, passed, warned
from worker.domain.errors import LoginRefused, Unavailable
from worker.mailbox import ImapMailbox
from worker.settings import Idle, Settings, Tls
from worker.wiring import imap_access

_WITHOUT = {
    "MOVE": "messages are copied, flagged and expunged one by one instead of moved",
    "UIDPLUS": "what is done cannot always be taken out of the queue",
    "IDLE": "new mail waits for the next poll",
}
_AHEAD = timedelta(minutes=2)


def check_mailbox(settings: Settings) -> Iterator[Finding]:
    """One connection; changes nothing on the server."""
    mailbox = ImapMailbox(imap_access(settings), settings.token_headers)
    try:
        mailbox.open()
        yield _tls(settings)
        yield passed("login", settings.mailbox_name or "")
        yield from _capabilities(mailbox, settings)
        yield from _folders(mailbox)
        yield from _backlog(mailbox)
    except LoginRefused as error:
        yield failed("login", str(error), "correct BCC_DROPBOX_IMAP_USER and its password, or the OAuth settings")
    except Unavailable as error:
        yield failed("mailbox", str(error), _mending(str(error)))
    finally:
        mailbox.close()


def _mending(text: str) -> str:
    if "certificate" in text:
        return "set BCC_DROPBOX_IMAP_HOST to the name in the certificate, or BCC_DROPBOX_IMAP_CA_FILE to its authority"
    if "host is unknown" in text:
        return "correct BCC_DROPBOX_IMAP_HOST, or the name service of this machine"
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
        seen = "is made when it is first needed" if folder.messages is None else f"{folder.messages} messages"
        yield passed(f"folder {folder.name}", seen)


def _backlog(mailbox: ImapMailbox) -> Iterator[Finding]:
    backlog = mailbox.backlog()
    if backlog.oldest and backlog.oldest > datetime.now(UTC) + _AHEAD:
        yield warned("the mail server's clock", "it is ahead of ours", "let both machines set their clocks by NTP")
