"""The mail of the benchmarks. The same number and seed give the same bytes; a mail has 22 KB on average.

70 % have an HTML part, 15 % an attachment of 20, 60 or 200 KB (its encoded size in the message), one to three To
recipients of twenty thousand. Lines end in LF, as mail servers write them into a Maildir.
"""

import base64
import quopri
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from functools import cache
from random import Random

from tests.benchmarks.company import CUSTOMERS, FOUNDED, ONE, RECEIVED_BY, Company, Member

KB = 1000
SCORE = 20
HTML_IN_A_SCORE = 14
ATTACHMENT_SIZES = (20 * KB, 60 * KB, 200 * KB)
"""One of each in a score: the shares are the same however few messages are measured."""
_BASE64_LINE = 77
_WORDS = (  # noqa: SIM905 - a text, not a list
    "the offer as discussed please find attached our contract with delivery in March and terms that we agreed on by "
    "phone thank you for your time meeting next week would Tuesday suit regards team invoice number order price "
    "discount quantity project schedule draft review signature question answer customer support update"
).split()


@dataclass(frozen=True)
class Variation:
    """How a message differs from what the worker files."""

    token: str | None = None
    """Another token than the owner's."""
    sender: str | None = None
    """Another From than the owner's registered address."""
    attachment: int | None = None
    """The size of its attachment in octets, as it is in the message; 0: no message has one."""
    company: Company = ONE
    """Whose users send it."""


PLAIN = Variation()


@dataclass(frozen=True)
class _Letter:
    number: int
    owner: Member
    dropbox: str
    sender: str
    recipients: tuple[str, ...]
    subject: str
    sent: str
    salt: Random = field(compare=False)


def message(number: int, variation: Variation = PLAIN, seed: str = "mix") -> bytes:
    """Make message ``number`` of the mix."""
    salt = Random(f"{seed} {number}")
    letter = _letter(number, salt, variation)
    content_type, body = _body(letter, seed, variation)
    return _head(letter, content_type) + b"\n" + body


def customer(number: int) -> str:
    return f"person{number:05d}@customer{number % 4001:04d}.example"


def _letter(number: int, salt: Random, variation: Variation) -> _Letter:
    owner = Member(salt.choice(variation.company.members))
    dropbox = owner.dropbox if variation.token is None else owner.dropbox.replace(owner.token, variation.token)
    return _Letter(
        number=number,
        owner=owner,
        dropbox=dropbox,
        sender=variation.sender or owner.login,
        recipients=tuple(customer(chosen) for chosen in salt.sample(range(CUSTOMERS), salt.choice((1, 1, 1, 2, 3)))),
        subject=" ".join(salt.choices(_WORDS, k=6)).capitalize(),
        sent=format_datetime(FOUNDED + timedelta(seconds=40 * number)),
        salt=salt,
    )


def _head(letter: _Letter, content_type: str) -> bytes:
    """Return the first lines of a mail whose receiving server also wrote it into the Maildir."""
    salt, owner = letter.salt, letter.owner
    queue_ids = [f"{salt.getrandbits(44):011X}" for _ in range(3)]
    taken_in = (
        f"from out.company.example (out.company.example [192.0.2.{owner.number % 250}])\n"
        "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))\n"
        f"\tby {RECEIVED_BY} (Postfix) with ESMTPS id {queue_ids[0]}\n\tfor <{letter.dropbox}>; {letter.sent}"
    )
    relayed = f"by out.company.example (Postfix) with ESMTP id {queue_ids[1]};\n\t{letter.sent}"
    submitted = (
        f"from [10.1.2.{owner.number % 250}] (desk{owner.number}.company.example [10.1.2.{owner.number % 250}])\n"
        f"\tby out.company.example (Postfix) with ESMTPSA id {queue_ids[2]};\n\t{letter.sent}"
    )
    hops = [taken_in, relayed, submitted] if salt.random() < 0.35 else [taken_in, submitted]
    signature = base64.b64encode(salt.randbytes(256)).decode()
    fields = [
        f"Return-Path: <{letter.sender}>",
        f"Delivered-To: {letter.dropbox}",
        *(f"Received: {hop}" for hop in hops),
        "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=company.example; s=mail;\n"
        "\th=from:to:subject:date:message-id:mime-version:content-type;\n\tb="
        + "\n\t ".join(signature[start : start + 70] for start in range(0, len(signature), 70)),
        f"Message-ID: <{salt.getrandbits(96):024x}.{letter.number}@company.example>",
        f"Date: {letter.sent}",
        "MIME-Version: 1.0",
        "User-Agent: Mozilla Thunderbird",
        "Content-Language: en-GB",
        "To: " + ",\n ".join(f"{_name(address)} <{address}>" for address in letter.recipients),
        f"From: {_name(letter.sender)} <{letter.sender}>",
        f"Subject: {letter.subject}",
        f"Content-Type: {content_type}",
    ]
    return "\n".join(fields).encode() + b"\n"


def _name(address: str) -> str:
    local, _, domain = address.partition("@")
    return f"{local.capitalize()} {domain.partition('.')[0].capitalize()}"


def _makeup(seed: str, number: int) -> tuple[bool, int | None]:
    """Decide whether a message has an HTML part, and the size of its attachment if it has one."""
    score, place = divmod(number, SCORE)
    order = Random(f"{seed} score {score}").sample(range(SCORE), SCORE)
    attachments = dict(zip(order, ATTACHMENT_SIZES, strict=False))
    return place in order[-HTML_IN_A_SCORE:], attachments.get(place)


def _body(letter: _Letter, seed: str, variation: Variation) -> tuple[str, bytes]:
    salt = letter.salt
    boundary = f"------------{salt.getrandbits(72):018x}"
    plain_type = "text/plain; charset=UTF-8"
    plain = f"Dear customer, this is mail {letter.number}.\n\n".encode() + _cut(_plain_text(), salt, (400, 3300))
    content_type, body = plain_type, plain
    has_html, size = _makeup(seed, letter.number)
    if has_html:
        html = b"Content-Transfer-Encoding: quoted-printable\n\n" + _cut(_html_text(), salt, (1500, 11_800))
        parts = [(plain_type, b"\n" + plain), ("text/html; charset=UTF-8", html)]
        content_type, body = _multipart("alternative", boundary + "a", parts)
    size = size if variation.attachment is None else variation.attachment
    if not size:
        return content_type, body
    attachment = (
        b"Content-Transfer-Encoding: base64\n"
        b'Content-Disposition: attachment; filename="offer.pdf"\n\n' + _attached(size, salt)
    )
    parts = [(content_type, b"\n" + body), ('application/pdf; name="offer.pdf"', attachment)]
    return _multipart("mixed", boundary + "m", parts)


def _multipart(subtype: str, boundary: str, parts: list[tuple[str, bytes]]) -> tuple[str, bytes]:
    limit = b"--" + boundary.encode()
    pieces = [limit + b"\nContent-Type: " + kind.encode() + b"\n" + body + b"\n" for kind, body in parts]
    return f'multipart/{subtype}; boundary="{boundary}"', b"".join(pieces) + limit + b"--\n"


def _cut(lines: tuple[bytes, ...], salt: Random, sizes: tuple[int, int]) -> bytes:
    """Take whole lines from somewhere in the text, about so many octets."""
    wanted = salt.randint(*sizes) // 70
    start = salt.randrange(len(lines) - wanted)
    return b"\n".join(lines[start : start + wanted]) + b"\n"


def _attached(size: int, salt: Random) -> bytes:
    block = _base64_text()
    offset = salt.randrange(len(block) // _BASE64_LINE // 2) * _BASE64_LINE
    times, rest = divmod(size, len(block) // 2)
    return block[: len(block) // 2] * times + block[offset : offset + rest // _BASE64_LINE * _BASE64_LINE]


@cache
def _plain_text() -> tuple[bytes, ...]:
    words = Random("plain text")
    return tuple(" ".join(words.choices(_WORDS, k=11))[:70].encode() for _ in range(2000))


@cache
def _html_text() -> tuple[bytes, ...]:
    paragraphs = (
        b'<p style="margin:0 0 1em;font-family:Arial,sans-serif">' + line + b"<br>" + line + b"</p>"
        for line in _plain_text()
    )
    return tuple(quopri.encodestring(b"\n".join(paragraphs)).splitlines())


@cache
def _base64_text() -> bytes:
    return base64.encodebytes(Random("attachment").randbytes(57 * 16_000))
