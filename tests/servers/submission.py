"""How a mail server elsewhere hands its mail in."""

import smtplib
import socket
from collections.abc import Sequence
from contextlib import suppress


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
