"""How a mail server elsewhere hands its mail in."""

import smtplib
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

_DONE = 250


class Tried(Protocol):
    """A mail and the SMTP commands before it, as they are."""

    @property
    def helo(self) -> str: ...

    @property
    def mail_from(self) -> str: ...

    @property
    def raw(self) -> bytes: ...


def greets(port: int) -> bool:
    """Tell whether a mail server answers here, and not somebody else who was given the same port."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        return connection.recv(4) == b"220 "
    return False


def hand_in(port: int, sender: str, recipients: Sequence[str], raw: bytes) -> None:
    """Hand one message in for all recipients in one transaction; raises when any of them is refused."""
    with smtplib.SMTP("127.0.0.1", port, "client.example", timeout=30) as client:
        if refused := client.sendmail(sender, recipients, raw):
            raise smtplib.SMTPRecipientsRefused(refused)


def is_taken(port: int, recipient: str, mail: Tried) -> bool:
    """Hand one mail in exactly as it is; tell whether the server took it."""
    commands = (("EHLO", mail.helo), ("MAIL", f"FROM:{mail.mail_from}"), ("RCPT", f"TO:<{recipient}>"))
    with smtplib.SMTP("127.0.0.1", port, "client.example", timeout=30) as client:
        client.command_encoding = "latin-1"
        try:
            return all(client.docmd(*each)[0] == _DONE for each in commands) and client.data(mail.raw)[0] == _DONE
        except smtplib.SMTPException:
            return False  # it said why, or closed the connection
        finally:
            client.close()  # Exim takes 0.2 seconds to answer QUIT
