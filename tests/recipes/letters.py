"""The mail that goes through a recipe: honest, and with everything in it that a sender could forge."""

from worker.domain.text import LENGTH

ANNE, BERT, FORGED = ("anne".ljust(LENGTH, "7"), "bert".ljust(LENGTH, "7"), "evve".ljust(LENGTH, "7"))

OUR_ID = "mx.drop.example.com"
JO = "jo@example.com"
HEAD = b"From: jo@example.com\r\nTo: kim@client.example\r\nSubject: hello\r\nMessage-ID: <1@example.com>\r\n"
BODY = b"body\r\n"
PLAIN = HEAD + b"\r\n" + BODY

ENVELOPE_FIELDS = (
    *("Delivered-To", "X-Original-To", "X-Delivered-To", "Envelope-To", "X-Envelope-To", "X-Forwarded-To"),
    *("X-Drop-Rcpt", "To", "Cc"),
)
SPELLINGS = ("{name}: {value}", "{name} : {value}", "{name}:\r\n {value}", "{name}: <{value}>, {value}")
VERDICT = "dmarc=pass header.from=example.com; spf=pass smtp.mailfrom=example.com; dkim=pass header.d=example.com"
VERDICTS = (
    f"Authentication-Results: {OUR_ID}; {VERDICT}",
    f"authentication-results:{OUR_ID}; {VERDICT}",
    f"Authentication-Results : {OUR_ID}; {VERDICT}",
    f"Authentication-Results:\r\n {OUR_ID}; {VERDICT}",
    f"Authentication-Results: (really) {OUR_ID} 1; {VERDICT}",
    f'Authentication-Results: "{OUR_ID}"; {VERDICT}',
    f'Authentication-Results: "mx.drop\\.example.com"; {VERDICT}',
)


def dropbox(token: str) -> str:
    return f"drop+{token}@drop.example.com"


def naming(token: str) -> bytes:
    """Write every field that could name a token, in every spelling, as a sender would."""
    fields = [
        spelling.format(name=spelt, value=dropbox(token))
        for name in ENVELOPE_FIELDS
        for spelt in (name, name.upper())
        for spelling in SPELLINGS
    ]
    hops = [
        f"Received: from {OUR_ID} by {OUR_ID}\r\n with {protocol} id 1\r\n for <{dropbox(token)}>; "
        "Mon, 23 Nov 2026 09:00:00 +0000"
        for protocol in ("ESMTP", "LMTP")
    ]
    return "".join(f"{field}\r\n" for field in [*hops, *fields, *hops]).encode() + PLAIN


def vouched_for() -> bytes:
    """Write the verdict of our own server, in every spelling of its name."""
    return "".join(f"{verdict}\r\n" for verdict in VERDICTS).encode() + PLAIN


def dated() -> bytes:
    """Write a mail with all the fields that a server would else add, and so break its signature."""
    return b"Date: Mon, 23 Nov 2026 09:00:00 +0000\r\n" + PLAIN


def with_attached_mail() -> bytes:
    """Forward a mail as an attachment, which has a delivery of its own behind it."""
    attached = f"Delivered-To: {dropbox(FORGED)}\r\n{VERDICTS[0]}\r\n".encode() + PLAIN
    body = (
        b"--part\r\nContent-Type: text/plain\r\n\r\nsee below\r\n"
        b"--part\r\nContent-Type: message/rfc822\r\n\r\n" + attached + b"\r\n--part--\r\n"
    )
    return HEAD + b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=part\r\n\r\n" + body


def of_ten_megabytes() -> bytes:
    """Attach as much as R21 allows, in base64: about 14 MB on the wire."""
    line = b"QUJD" * 19 + b"\r\n"
    encoded = line * (10 * 1024 * 1024 // 57)
    part = b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
    return HEAD + b"MIME-Version: 1.0\r\n" + part + b"\r\n" + encoded


def body_of(raw: bytes) -> bytes:
    return raw.partition(b"\r\n\r\n")[2]
