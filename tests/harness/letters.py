"""Messages as they are in the catch-all mailbox, built from plain lines so that the test controls every byte."""

from email.utils import formatdate, make_msgid

RECEIVED = "from mail.acme.example ([192.0.2.7]) by mx.drop.example with ESMTPS id 4; Mon, 23 Nov 2026 09:00:00 +0000"


def letter(
    dropbox: str | None,
    sender: str = "jane@acme.example",
    to: str = "carl@client.example",
    subject: str = "Our offer",
    body: str = "Hello,\n\nas discussed.\n",
    **fields: str,
) -> bytes:
    """One message; more header fields by name, with `_` for `-`; a value of "" leaves a field out."""
    head = {
        "Return-Path": f"<{sender}>",
        "Delivered-To": dropbox or "",
        "Received": RECEIVED,
        "From": sender,
        "To": to,
        "Subject": subject,
        "Date": formatdate(1_795_000_000),
        "Message-ID": make_msgid(domain="acme.example"),
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=utf-8",
    }
    head |= {name.replace("_", "-"): value for name, value in fields.items()}
    lines = [f"{name}: {value}" for name, value in head.items() if value]
    return "\r\n".join([*lines, "", body.replace("\n", "\r\n")]).encode()
