"""What a stranger can send to be taken for jo@example.com, and honest mail to send beside it.

The stranger owns evil.example: its mail server passes SPF, its key signs, and its DNS answers every question. He has
one mail that Jo really sent, and so one good signature of example.com. Everything else he makes up.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from tests.recipes.letters import JO, OUR_ID, VERDICTS
from tests.recipes.signature import Signer

EVIL, SIBLING = "evil.example", "evil.co.uk"
JO_ABROAD = "jo@victim.co.uk"
HONEST_RECIPIENT, MARK = "kim@client.example", "mark@client.example"
VICTIMS = ("example.com", "victim.co.uk")
DATE = "Mon, 23 Nov 2026 09:00:00 +0000"
RESULT = "dmarc=pass header.from=example.com"
ENCODED_RESULTS = (  # as quoted-printable hides them in a tag
    "x=3B=20dmarc=3Dpass=20header.from=3Dexample.com=20header.z=3D@evil.example",
    "x=3B=20dkim=3Dpass=20header.d=3Dexample.com=20header.z=3D@evil.example",
)


@dataclass(frozen=True)
class Mail:
    """One mail and the SMTP commands before it."""

    kind: str
    tried: str
    raw: bytes
    mail_from: str = f"<x@{EVIL}>"
    helo: str = f"mail.{EVIL}"


def records(signer: Signer, evil: Signer, sibling: Signer) -> dict[str, str]:
    """Publish what the domains of the sender say, and for the stranger whatever helps."""
    stranger = {
        f"*._domainkey.*{EVIL}": evil.public,
        f"_dmarc.*{EVIL}": "v=DMARC1; p=none",
        f"*{EVIL}": "v=spf1 +all",
    }
    abroad = {"_dmarc.victim.co.uk": "v=DMARC1; p=reject", "victim.co.uk": "v=spf1 -all"}
    spf = {"example.com": "v=spf1 -all", SIBLING: "v=spf1 +all"}
    return {**signer.records, **sibling.records, **abroad, **spf, **stranger}


def letter(identity: str, *fields: str, sender: str = f"From: {JO}", to: str = MARK) -> bytes:
    """Write a mail whose Message-ID and subject are `identity`."""
    head = [*fields, f"Date: {DATE}", sender, f"To: {to}", f"Subject: {identity}", f"Message-ID: <{identity}>"]
    return "\r\n".join([*head, "", "body", ""]).encode("latin-1")


def honest(signer: Signer, count: int) -> list[bytes]:
    """Write mail as Jo's provider signs it: in each form that is in use, one after the other."""
    shapes: tuple[dict[str, Any], ...] = (
        {},
        {"relaxed": True},
        {"tags": "i=jo@eu.example.com; "},
        {"tags": "t=1790000000; x=9790000000; darn=client.example; ", "relaxed": True},  # as Google's begin
        {"tags": "q=dns/txt; i=@example.com; "},
        {"tags": "\r\n\ti=jo@example.com;\r\n\t"},
    )
    letters = [letter(f"honest-{number}@example.com", to=HONEST_RECIPIENT) for number in range(count)]
    return [signer.sign(each, **shapes[number % len(shapes)]) for number, each in enumerate(letters)]


def forgeries(signer: Signer, evil: Signer, sibling: Signer) -> list[Mail]:
    """Give all that is tried, each with an identity of its own."""
    tried = [
        *_envelopes(),
        *_greetings(),
        *_senders(evil),
        *_relatives(sibling),
        *_tag_names(evil),
        *_tag_values(evil),
        *_verdicts(evil),
        *_repeated(signer),
        *_stolen(signer),
        *_read_in_two_ways(signer),
    ]
    return [replace(mail, raw=mail.raw.replace(b"FORGED", b"forged-%d" % number)) for number, mail in enumerate(tried)]


IDENTITY = f"FORGED@{EVIL}"


def _envelopes() -> Iterator[Mail]:
    """Name Jo's domain in MAIL FROM so that one program reads it there, and another the stranger's."""
    for address in (
        *(
            "jo@example.com",
            '"a@example.com"@evil.example',
            "a@example.com(@evil.example",
            "a(@example.com)@evil.example",
        ),
        *('"a\\"@example.com"@evil.example', "@example.com:a@evil.example", "a%example.com@evil.example"),
        *("example.com!a@evil.example", "a@example.com,b@evil.example", "a@evil.example,example.com"),
        *("a@evil.example(example.com", "a@evil.example@example.com", "a@example.com@evil.example"),
        *("a@example.com(.evil.example", "a@example.com\\.evil.example", 'a@example.com".evil.example'),
        *("a@example.com;.evil.example", "a@example.com/.evil.example", "a@example.com\t.evil.example"),
        *("a@example.com .evil.example", "a@example.com[.evil.example", "a@example.com=.evil.example"),
        *(
            '"a;dmarc=pass header.from=example.com"@evil.example',
            '"a; spf=pass smtp.mailfrom=example.com"@evil.example',
        ),
        *('"a (@example.com)"@evil.example', '"a@example.com("@evil.example', '"a@example.com,"@evil.example'),
        *('"@example.com:a"@evil.example', '"a@example.com "@evil.example', '"a@example.com>"@evil.example'),
        *('"<a@example.com"@evil.example', '"a@example.com;"@evil.example', "a=example.com@evil.example", ""),
    ):
        yield Mail("envelope", address, letter(IDENTITY), f"<{address}>")


def _greetings() -> Iterator[Mail]:
    """Do the same with HELO, which counts for SPF where MAIL FROM is empty."""
    for name in (
        *(
            "example.com",
            OUR_ID,
            "example.com(.evil.example",
            "evil.example(example.com",
            "a@example.com",
            "[example.com]",
        ),
        *(
            "example.com;.evil.example",
            '"example.com".evil.example',
            "example.com\\.evil.example",
            "example.com,evil.example",
        ),
        *(
            f"{OUR_ID};{RESULT.replace(' ', '_')}",
            "example.com/.evil.example",
            "example.com=.evil.example",
            "(example.com)",
        ),
    ):
        for mail_from in ("<>", f"<x@{EVIL}>"):
            yield Mail("HELO", f"{name} {mail_from}", letter(IDENTITY), mail_from, name)


def _senders(evil: Signer) -> Iterator[Mail]:
    """Write From so that the checker reads the stranger's domain, who signs, and the worker Jo's address."""
    for sender in (
        *("From: jo@example.com", "From: jo@example.com (@evil.example)", "From: jo(@evil.example)@example.com"),
        *("From: <@evil.example:jo@example.com>", 'From: "x@evil.example" <jo@example.com>', "From : jo@example.com"),
        *("From: x@evil.example <jo@example.com>", "From: <jo@example.com>, <x@evil.example>", "FROM: jo@example.com"),
        *(
            "From: x@evil.example, jo@example.com",
            "From: jo@example.com <x@evil.example>",
            "From: jo@example.com@evil.example",
        ),
        *(
            "From: g: jo@example.com;",
            "From: [x@evil.example] <jo@example.com>",
            "From: (<x@evil.example>) jo@example.com",
        ),
        *("From: =?us-ascii?q?x=40evil.example?= <jo@example.com>", "From: <jo@example.com> <x@evil.example>"),
        *(
            'From: "jo@example.com, x"@evil.example',
            "From: jo@example.com\r\n (\r\n @evil.example)",
            "From: jo@example.com;x@evil.example",
        ),
        *("From: x@evil.example\r\nFrom: jo@example.com", "From: jo@example.com\r\nFrom: x@evil.example"),
        *("From: jo@example.com\r\nFrom : x@evil.example", "From : x@evil.example\r\nFrom: jo@example.com"),
        *(
            "From:\r\nFrom: jo@example.com",
            "From: jo@example.com\r\nSender: x@evil.example",
            "From: \0x@evil.example, jo@example.com",
        ),
    ):
        yield Mail("From", sender, evil.sign(letter(IDENTITY, sender=sender)))


def _relatives(sibling: Signer) -> Iterator[Mail]:
    """Sign as a neighbour of Jo's domain, under the same public suffix, or with a name that only looks alike."""
    abroad = letter(IDENTITY, sender=f"From: {JO_ABROAD}")
    yield Mail("relatives", "signed by evil.co.uk", sibling.sign(abroad), f"<x@{SIBLING}>")
    yield Mail("relatives", "SPF of evil.co.uk", abroad, f"<x@{SIBLING}>", SIBLING)
    yield Mail("relatives", "i= of the neighbour", sibling.sign(abroad, f"i={JO_ABROAD}; "), f"<x@{SIBLING}>")
    for domain in ("example.com.evil.example", "notexample.com", "com", "co.uk", "example.com."):
        yield Mail("relatives", domain, sibling.sign(letter(IDENTITY), domain=domain), f"<x@{EVIL}>")


def _tag_names(evil: Signer) -> Iterator[Mail]:
    """Write the name of a tag so that a guard does not know it, and the server does."""
    for name in (
        *(
            "i",
            "Ii",
            ".i",
            "_i",
            "i1",
            "i.",
            "-i",
            "i-",
            "Zi",
            "iZ",
            "(i",
            "1i",
            "i(",
            '"i',
            'i"',
            "I i",
            "i I",
            "I",
            "i\t",
            "\ti",
        ),
        *(
            "i/",
            "@i",
            "i+",
            "{i",
            "i:",
            "<i",
            "i>",
            "[i",
            "i,",
            "\xe9i",
            "i\0",
            "\0i",
            "i\x0b",
            "=i",
            "i\r\n\t",
            "\r\n i",
            "i i",
            "ii",
        ),
    ):
        for payload in ENCODED_RESULTS:
            yield Mail("tag names", f"{name}={payload[:14]}", evil.sign(letter(IDENTITY), f"{name}={payload}; "))
    for name, value in (
        ("Dd", "example.com"),
        ("1s", f"test; {RESULT}"),
        ("A1a", f"rsa-sha256; {RESULT}"),
        ("d", "example.com"),
    ):
        yield Mail("tag names", f"{name}={value}", evil.sign(letter(IDENTITY), f"{name}={value}; "))


def _tag_values(evil: Signer) -> Iterator[Mail]:
    """Write a value that the server copies out: with results in it, or as if it ended earlier."""
    for value in (
        *("x=3B=20dkim=3Dpass=20header.d=3Dexample.com=20header.z=3D@evil.example", "jo@example.com", "@example.com"),
        *("x=3B\r\n =20dkim=3Dpass=20header.d\r\n =3Dexample.com=20header.z=3D@evil.example", "jo=40example.com"),
        f"x=0AAuthentication-Results:=20{OUR_ID}=3B=20dmarc=3Dpass=20header.from=3Dexample.com=0AX:=20@evil.example",
        f"x=0D=0AAuthentication-Results:=20{OUR_ID}=3B=20dmarc=3Dpass=20header.from=3Dexample.com=0D=0AX:=20@evil.example",
        *(
            f'"x{RESULT}"@evil.example',
            f"x({RESULT}@evil.example",
            f"x) {RESULT} (@evil.example",
            f"x, {RESULT}@evil.example",
        ),
        *(
            "x=28@evil.example",
            "x=22=3B=20dmarc=3Dpass=20header.from=3Dexample.com@evil.example",
            "@example.com=00.evil.example",
        ),
        *(
            "x=09dmarc=3Dpass=09header.from=3Dexample.com@evil.example",
            "@example.com=20.evil.example",
            "@example.com=28.evil.example",
        ),
    ):
        yield Mail("i=", value, evil.sign(letter(IDENTITY), f"i={value}; "))
        yield Mail("i= of a wrong signature", value, evil.sign(letter(IDENTITY), f"i={value}; ", is_right=False))
    for domain in (
        *(
            '"example.com(.evil.example',
            "example.com(.evil.example",
            "example.com\\.evil.example",
            "example.com=.evil.example",
        ),
        *(
            "example.com,.evil.example",
            'example.com".evil.example',
            "example.com[.evil.example",
            "example.com .evil.example",
        ),
        *(
            "example.com\0.evil.example",
            "example.com:evil.example",
            "evil.example:example.com",
            "x@example.com@evil.example",
        ),
        *(
            "evil.example(header.d=example.com)",
            "example.com/.evil.example",
            "example.com\xa0.evil.example",
            "a..evil.example",
        ),
    ):
        yield Mail("d=", domain, evil.sign(letter(IDENTITY), domain=domain))
    for selector in (
        *(
            "test._domainkey.evil.example.\0",
            "test._domainkey.evil.example.",
            "x(",
            'x"',
            f"x({RESULT}",
            f"x)({RESULT}",
        ),
        *("test._domainkey.evil.example.(", "test._domainkey.evil.example\\000"),
    ):
        yield Mail("s=", selector, evil.sign(letter(IDENTITY), selector=selector))
        yield Mail("s= of example.com", selector, evil.sign(letter(IDENTITY), selector=selector, domain="example.com"))
    for algorithm in (
        f"rsa-sha256 {RESULT}",
        f"rsa-sha256({RESULT})",
        f"rsa-sha256-{RESULT}",
        f'rsa-sha256"; {RESULT}',
    ):
        yield Mail("a=", algorithm, evil.sign(letter(IDENTITY), algorithm=algorithm))


def _verdicts(evil: Signer) -> Iterator[Mail]:
    """Bring the verdict of our own server along."""
    spellings = (
        *VERDICTS,
        f"Authentication-Results\t: {OUR_ID}; {RESULT}",
        f"AUTHENTICATION-RESULTS: {OUR_ID.upper()}; {RESULT}",
        f"Authentication-Results: {OUR_ID}.; {RESULT}",
        f"Authentication-Results: {OUR_ID};\r\n\t{RESULT}",
        f"Authentication-Results:\r\n\t\r\n {OUR_ID}; {RESULT}",
        f"Authentication-Results: (;) {OUR_ID}; {RESULT}",
        f"Authentication-Results: elsewhere.example; none\r\nAuthentication-Results: {OUR_ID}; {RESULT}",
        f"ARC-Authentication-Results: i=1; {OUR_ID}; {RESULT}",
        f"X-Authentication-Results: {OUR_ID}; {RESULT}",
        f"Authentication-Results: {OUR_ID}; dkim=pass header.d=example.com",
        f"Authentication-Results: {OUR_ID}; spf=pass smtp.mailfrom=example.com",
        f"Authentication-Results: {OUR_ID}; dkim=pass header.i=@example.com header.b=x",
        f"Received: from {OUR_ID} by {OUR_ID} with ESMTP id 1; {DATE}\r\nAuthentication-Results: {OUR_ID}; {RESULT}",
        f"Authentication-Results: {OUR_ID}; {RESULT}\r\nReceived: from {OUR_ID} by {OUR_ID} with ESMTP id 1; {DATE}",
        f"Received-SPF: pass ({OUR_ID}: domain of jo@example.com) identity=mailfrom; envelope-from=jo@example.com",
        f"X-Big: {'x' * 120_000}\r\nAuthentication-Results: {OUR_ID}; {RESULT}",
        f"X-Hidden: x\rAuthentication-Results: {OUR_ID}; {RESULT}",
        f"X-Hidden: x\nAuthentication-Results: {OUR_ID}; {RESULT}",
        f"Authentication-Results\0: {OUR_ID}; {RESULT}",
    )
    for spelling in spellings:
        raw = letter(IDENTITY, spelling)
        yield Mail("verdicts", spelling[:90], raw)
        yield Mail("verdicts, signed", spelling[:90], evil.sign(raw))


def _repeated(signer: Signer) -> Iterator[Mail]:
    """Put a second field on top of a mail that Jo signed."""
    stolen = signer.sign(
        letter(
            "stolen@example.com",
            *(f"Sender: {JO}", f"Reply-To: {JO}", "Cc: x@client.example", "MIME-Version: 1.0"),
            *("Content-Type: text/plain", "Content-Transfer-Encoding: 7bit"),
        )
    )
    for field in (
        *(f"From: {JO}", f"Sender: {JO}", f"Reply-To: x@{EVIL}", f"To: {MARK}", f"Cc: {MARK}", "Subject: FORGED"),
        *(f"Date: {DATE}", f"Message-ID: <{IDENTITY}>", "Content-Type: text/html", "Content-Transfer-Encoding: base64"),
        *("MIME-Version: 1.0", f"TO : {MARK}", "subject:\r\n FORGED", f"From: x@{EVIL}"),
    ):
        marked = b"X-Tried: FORGED\r\n"
        yield Mail("repeated", field, marked + field.encode() + b"\r\n" + stolen)


def _stolen(signer: Signer) -> Iterator[Mail]:
    """Change a mail that Jo signed."""
    mail = letter("stolen@example.com")
    signed = signer.sign(mail)
    head, _, body = signed.partition(b"\r\n\r\n")
    mark = b"X-Tried: FORGED\r\n"
    yield Mail("stolen", "another subject", mark + signed.replace(b"Subject: stolen", b"Subject: FORGED"))
    yield Mail("stolen", "another recipient", mark + signed.replace(b"To: mark@", b"To: eve@"))
    yield Mail("stolen", "another body", mark + head + b"\r\n\r\nFORGED\r\n")
    yield Mail("stolen", "more of a body", mark + signed + b"FORGED\r\n")
    yield Mail("stolen", "the signature alone", mark + head.partition(b"\r\nDate")[0] + b"\r\n" + letter(IDENTITY))
    yield Mail("stolen", "expired", mark + signer.sign(mail, "t=1600000000; x=1600000001; "))
    yield Mail("stolen", "more than l= covers", mark + signer.sign(mail, length=len(body)) + b"FORGED\r\n")
    yield Mail("stolen", "l=0", mark + signer.sign(mail, length=0).partition(b"\r\n\r\n")[0] + b"\r\n\r\nFORGED\r\n")
    for name in ("From", "FROM"):
        unsigned = signer.sign(mail.replace(b"From: jo@example.com\r\n", b""))
        yield Mail("stolen", f"{name} is not signed", mark + f"{name}: {JO}\r\n".encode() + unsigned)


def _read_in_two_ways(signer: Signer) -> Iterator[Mail]:
    """Hide the signed fields of Jo's mail from the reader, but not from the checker of its signature."""
    signed = signer.sign(letter("stolen@example.com"))
    fields, _, body = signed.partition(b"\r\n\r\n")
    mine = letter(IDENTITY).partition(b"\r\n\r\n")[0]
    first_lf = mine.replace(b"\r\n", b"\n")
    for end in (
        b"no field",
        b"no field\0: x",
        b" ",
        b"\t",
        b"\r",
        b"\0",
        b": x",
        b"no field : : x",
        b"\x0b",
        b"two words: x",
        b"From ",
    ):
        yield Mail("two readings", f"head ends at {end!r}", mine + b"\r\n" + end + b"\r\n" + signed)
    for end in (b"\n", b"\n\n", b"\r", b"\r\r\n", b"\n\r\n", b"\r\n\r", b"\n\r", b"\0\n"):
        yield Mail("two readings", f"fields after {end!r}", mine + b"\r\nX-Hidden: x" + end + signed)
        yield Mail("two readings", f"the same, first line LF, {end!r}", first_lf + b"\nX-Hidden: x" + end + signed)
        lines = fields.replace(b"\r\n", end)
        yield Mail(
            "two readings", f"fields between {end!r}", mine + b"\r\nX-Hidden: x" + end + lines + b"\r\n\r\n" + body
        )
        yield Mail(
            "two readings", f"fields below {end!r}", b"X-Hidden: x" + end + lines + b"\r\n" + mine + b"\r\n\r\n" + body
        )
    yield Mail("two readings", "fields in the middle of 600", mine + b"\r\nX-Many: x" * 600 + b"\r\n" + signed)
    yield Mail(
        "two readings",
        "fields below 600",
        signed.replace(b"\r\n\r\n", b"\r\nX-Many: x" * 600 + b"\r\n" + mine + b"\r\n\r\n", 1),
    )
    for name in (b"Subject", b"To", b"From", b"Message-ID"):
        hidden = signed.replace(b"\r\n" + name + b":", b"\r\n" + name + b" :", 1)
        yield Mail("two readings", f"{name.decode()} with a space", mine + b"\r\n" + hidden)
