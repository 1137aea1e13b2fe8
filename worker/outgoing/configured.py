"""From the settings to the post: for the service, and for the commands that send a code."""

from typing import TYPE_CHECKING

from worker.domain.servers import MailServer
from worker.outgoing.post import Post

if TYPE_CHECKING:
    from worker.settings import Settings

_LONGEST_WAIT_SECONDS = 15
"""The service does nothing else while it waits for this server."""


def post_of(settings: "Settings") -> Post | None:
    """Return the sender of the worker's mail; without a mail server there is no sender.

    Letters come from NOTICE_FROM, else from the dropbox address.

    Raises:
        SettingsError: when neither address is set.
    """
    server = mail_server_of(settings)
    return Post(server, settings.notice_from or settings.require_address().base) if server else None


def mail_server_of(settings: "Settings") -> MailServer | None:
    """Return the mail server that SMTP_URL names; None when it is not set."""
    if settings.smtp_url is None:
        return None
    return MailServer.parse(
        settings.smtp_url.get_secret_value(),
        ca_file=settings.smtp_ca_file,
        timeout_seconds=min(settings.socket_seconds, _LONGEST_WAIT_SECONDS),
    )
