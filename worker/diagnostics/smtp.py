"""Check of the mail server that sends the worker's own mail: reached, encrypted, logged in; nothing is sent."""

from collections.abc import Iterator

from worker.diagnostics.findings import Finding, failed, passed
from worker.domain.errors import DropboxError
from worker.outgoing.configured import mail_server_of, post_of
from worker.settings import Settings
from worker.tls import renewal


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
