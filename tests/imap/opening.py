"""How tests reach a server on this machine."""

from typing import Any

from tests.servers.dovecot import PASSWORD, Dovecot
from worker.imap import ImapAccess, Tls


def plain(port: int, user: str = "jane", **details: Any) -> ImapAccess:
    """Plain text on loopback; `details` replace what else is usual."""
    usual: dict[str, Any] = {"host": "127.0.0.1", "tls": Tls.NONE, "password": PASSWORD, "timeout_seconds": 10.0}
    return ImapAccess(port=port, user=user, **(usual | details))


def access_to(server: Dovecot, user: str, **details: Any) -> ImapAccess:
    return plain(server.imap, user, **details)


def encrypted(server: Dovecot, user: str, tls: Tls, **details: Any) -> ImapAccess:
    usual: dict[str, Any] = {"host": "localhost", "tls": tls, "ca_file": server.authority}
    return plain(server.imaps if tls is Tls.SSL else server.imap, user, **(usual | details))
