"""How a mail server elsewhere hands its mail in."""

import smtplib
from collections.abc import Sequence


def hand_in(port: int, sender: str, recipients: Sequence[str], raw: bytes) -> None:
    """Hand one message in for all recipients in one transaction; raises when any of them is refused."""
    with smtplib.SMTP("127.0.0.1", port, "client.example", timeout=30) as client:
        if refused := client.sendmail(sender, recipients, raw):
            raise smtplib.SMTPRecipientsRefused(refused)
