"""Attachment sizes told by BODYSTRUCTURE: never more than there is (R21)."""

import base64
import email.policy
import quopri
from email.message import EmailMessage

import pytest

from tests.servers.dovecot import Dovecot
from worker.imap import ImapMailbox
from worker.imap.answers import attachment_octets
from worker.mime import read_content

OCTETS = bytes(range(256)) * 400


def mail(*attachments: tuple[str, str]) -> EmailMessage:
    message = EmailMessage(policy=email.policy.SMTP)
    message["From"], message["Subject"] = "jane@example.com", "sizes"
    message.set_content("words\n" * 5000)
    for media_type, name in attachments:
        maintype, _, subtype = media_type.partition("/")
        message.add_attachment(OCTETS, maintype, subtype, filename=name)
    return message


def part_in_lines_of(width: int) -> bytes:
    encoded = base64.b64encode(OCTETS)
    lines = b"\r\n".join(encoded[at : at + width] for at in range(0, len(encoded), width))
    head = b"MIME-Version: 1.0\r\nContent-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n"
    return head + b"Content-Disposition: attachment; filename=a.zip\r\n\r\n" + lines + b"\r\n"


def quoted_printable() -> bytes:
    head = b"MIME-Version: 1.0\r\nContent-Type: text/csv\r\nContent-Transfer-Encoding: quoted-printable\r\n"
    body = quopri.encodestring(OCTETS).replace(b"\n", b"\r\n")
    return head + b"Content-Disposition: attachment; filename=a.csv\r\n\r\n" + body


def forwarded() -> bytes:
    outer = mail()
    outer.add_attachment(mail(("application/pdf", "inner.pdf")))
    return outer.as_bytes()


CASES = {
    "two attachments": (mail(("application/pdf", "a.pdf"), ("image/png", "b.png")).as_bytes(), 0.98),
    "none": (mail().as_bytes(), 0.0),
    "base64 in lines of 76": (part_in_lines_of(76), 0.98),
    "base64 in lines of 60": (part_in_lines_of(60), 0.98),
    "quoted-printable": (quoted_printable(), 0.3),
    "a message within": (forwarded(), 0.3),
}


@pytest.mark.parametrize("case", CASES)
def test_the_server_alone_proves_a_size_that_is_never_above_the_real_one(
    dovecot: Dovecot, mailbox_user: str, mailbox: ImapMailbox, case: str
) -> None:
    raw, least_share = CASES[case]
    dovecot.deliver(mailbox_user, raw)
    mailbox.open()
    (proven,) = mailbox.attachment_bytes(mailbox.uids(0, 10)).values()
    real = read_content(raw).attachment_bytes
    assert real * least_share <= proven <= real


@pytest.mark.parametrize(
    "odd",
    [
        None,
        (),
        b"NIL",
        (b"TEXT",),
        (b"APPLICATION", b"ZIP", None, None, None, b"BASE64", b"many"),
        ([],),
        ((), b"MIXED"),
    ],
)
def test_a_structure_that_is_none_proves_nothing(odd: object) -> None:
    assert attachment_octets(odd) == 0


def test_nesting_of_any_depth_is_walked() -> None:
    part: object = (b"APPLICATION", b"ZIP", None, None, None, b"BASE64", 6202)
    for _ in range(100_000):
        part = ([part], b"MIXED")
    assert attachment_octets(part) == 4499
