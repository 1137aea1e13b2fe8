"""R19 to R21: what is kept of a whole message beside its octets."""

import base64
from datetime import UTC, datetime

import pytest
from fast_mail_parser import ParseError, parse_email

from worker.domain.messages import Attachment
from worker.mime import read_content

TOP = b"From: jane@sales.example\r\nTo: bob@client.example\r\nMIME-Version: 1.0\r\n"
PDF = bytes(range(256)) * 40


def multipart(*parts: bytes, kind: bytes = b"mixed", head: bytes = b"") -> bytes:
    body = b"".join(b"--=_x\r\n" + part + b"\r\n" for part in parts)
    return head + TOP + b'Content-Type: multipart/%s; boundary="=_x"\r\n\r\n%s--=_x--\r\n' % (kind, body)


def part(content_type: bytes, body: bytes, *more: bytes) -> bytes:
    return b"\r\n".join([b"Content-Type: " + content_type, *more, b"", body])


def attached(body: bytes = PDF, *more: bytes) -> bytes:
    fields = (b"Content-Transfer-Encoding: base64", b'Content-Disposition: attachment; filename="offer.pdf"', *more)
    return part(b"application/pdf", base64.encodebytes(body).replace(b"\n", b"\r\n"), *fields)


REFUSED_BY_THE_FAST_PARSER = part(b"text/plain", b"!", b"Content-Transfer-Encoding: base64")


@pytest.mark.parametrize(
    ("field", "subject"),
    [
        (b"Subject: Offer", "Offer"),
        (b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= =?iso-8859-1?q?_aus_K=F6ln?=", "Grüße aus Köln"),
        (b"Subject: Re: =?utf-8?b?w6k=?= x", "Re: é x"),
        (b"Subject: =?x-unknown?q?abc?=", "abc"),
        (b"Subject: =?utf-8?b?!!?=", ""),
        (b"Subject: =?utf-8?q?broken", "=?utf-8?q?broken"),
        (b"Subject: =?utf-8?q?=1B=5B31mred=00=E2=80=AEcilbup?=", "[31mred cilbup"),
        (b"Subject: =?utf-8?q?a=0D=0AB=63c=3A_x?=", "a Bcc: x"),
        (b"Subject: =?utf-7?q?a_+2AA-?=", "a"),
        (b"Subject: a\xff", "a\ufffd"),
        (b"X: y", ""),
    ],
)
def test_the_subject_is_decoded_and_clean(field: bytes, subject: str) -> None:
    assert read_content(field + b"\r\n\r\n").subject == subject


@pytest.mark.parametrize(
    ("head", "thread"),
    [
        (b"Message-ID: <3@x>\r\nIn-Reply-To: <2@x>\r\nReferences: <1@x>\r\n <2@x>", "<1@x>"),
        (b"Message-ID: <3@x>\r\nIn-Reply-To: Jane's mail <2@x>", "<2@x>"),
        (b"Message-ID: <3@x>\r\nReferences: none", "<3@x>"),
        (b"Message-ID: 3@x", "3@x"),
        (b"X: y", ""),
    ],
)
def test_the_thread_is_named_by_its_first_message(head: bytes, thread: str) -> None:
    assert read_content(head + b"\r\n\r\n").thread_id == thread


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("Mon, 23 Nov 2026 10:00:00 +0100", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("23 Nov 26 09:00 GMT", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("Mon, 23 Nov 2026 09:00:00 -0000", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("Mon, 23 Nov 2026 09:00:00 +0000 (UTC)", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("yesterday", None),
        ("Mon, 99 Nov 2026 09:00:00 +0000", None),
        ("Mon, 23 Nov 2026 09:00:00 +9999999", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", None),
        ("", None),
        ("1" * 100_000, None),
    ],
)
def test_the_date_is_aware_utc_or_none(date: str, expected: datetime | None) -> None:
    content = read_content(f"Date: {date}\r\n\r\n".encode())
    assert content.sent_at == expected
    assert len(content.fingerprint) == 24


def test_what_is_stored_is_known_again_by_every_later_version() -> None:
    """R19 rests on fingerprints already in databases: other ones would store each mail of the past anew."""
    raw = (
        b"Message-ID: <offer@acme.example>\r\nFrom: Jane <jane@acme.example>\r\n"
        b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
        b"Date: Mon, 23 Nov 2026 10:00:00 +0100\r\n\r\nHello,\r\n\r\nhere it is.\r\n"
    )
    assert read_content(raw).fingerprint.hex() == "6b040090ae85aaf9ace3e7f4f6bd63d0610e01c54f4c7e14"


def test_the_first_words_come_from_the_plain_text() -> None:
    raw = multipart(
        part(b"text/html", b"<p>HTML</p>"), part(b"text/plain; charset=utf-8", "Grüße\r\n\r\n aus Köln".encode())
    )
    assert read_content(raw).snippet == "Grüße aus Köln"


@pytest.mark.parametrize(
    ("html", "snippet"),
    [
        ("<p>Hello <b>Bob</b></p><p>Bye</p>", "Hello Bob Bye"),
        ("<head><style>p {color: red}</style><title>T</title></head><body>Hi</body>", "Hi"),
        ("<script>alert(1)</script>Hi<script>alert(2)", "Hi"),
        ("a &amp; b &lt;script&gt; &#x41;", "a & b <script> A"),
        ("<!-- hidden -->Hi<!-- never closed", "Hi"),
        ("<style>" + "p {} " * 5000 + "</style>Hi", "Hi"),
        ("Hi <![<![", "Hi"),
        ("\x1b[31mred\u202e\0", "[31mred"),
        ("x" * 100_000, "x" * 200),
    ],
)
def test_the_first_words_of_html_are_text_and_never_markup(html: str, snippet: str) -> None:
    assert read_content(TOP + b"Content-Type: text/html; charset=utf-8\r\n\r\n" + html.encode()).snippet == snippet


def test_attachments_are_named_with_type_and_decoded_size() -> None:
    """R20, R21: inline images too."""
    image = part(b"image/png", b"iVBORw0KGgo=", b"Content-ID: <1>", b"Content-Transfer-Encoding: base64")
    text = part(
        b"text/plain",
        b"a=3Db=\r\nc",
        b"Content-Transfer-Encoding: quoted-printable",
        b"Content-Disposition: attachment; filename*=utf-8''%C3%BC.txt",
    )
    content = read_content(multipart(part(b"text/plain", b"Hello"), attached(), image, text))
    assert content.attachments == (
        Attachment("offer.pdf", "application/pdf", len(PDF)),
        Attachment("", "image/png", 8),
        Attachment("ü.txt", "text/plain", 4),
    )
    assert content.attachment_bytes == len(PDF) + 8 + 4


def test_a_forwarded_mail_is_an_attachment() -> None:
    inner = part(b"message/rfc822", b"Subject: inner\r\n\r\nSecret")
    content = read_content(multipart(part(b"text/plain", b"See below"), inner))
    assert content.snippet == "See below"
    assert [attachment.media_type for attachment in content.attachments] == ["message/rfc822"]


def test_names_of_attachments_are_clean() -> None:
    name = b'Content-Disposition: attachment; filename="../../etc/\x1b[31m\x00pass\tword"'
    (attachment,) = read_content(multipart(part(b"application/x", b"x", name))).attachments
    assert not {"\x1b", "\x00", "\t"} & set(attachment.name)
    assert len(attachment.name) <= 255


def test_the_standard_library_reads_what_the_fast_parser_refuses() -> None:
    raw = multipart(part(b"text/html", b"<p>Hello"), REFUSED_BY_THE_FAST_PARSER, attached())
    with pytest.raises(ParseError):
        parse_email(raw, mode="lazy")
    content = read_content(raw)
    assert content.snippet == "Hello"
    assert content.attachments == (Attachment("offer.pdf", "application/pdf", len(PDF)),)


@pytest.mark.parametrize("more", [[], [REFUSED_BY_THE_FAST_PARSER]], ids=["fast parser", "standard library"])
def test_a_mail_within_a_mail_is_an_attachment_and_shown_text_is_none_for_either_parser(more: list[bytes]) -> None:
    """R21."""
    named = part(b"text/plain", b"Minutes", b'Content-Disposition: inline; filename="minutes.txt"')
    inner = part(b"message/rfc822", b"Subject: inner\r\n\r\nSecret")
    content = read_content(multipart(part(b"text/plain", b"See below"), named, inner, *more))
    assert content.snippet == "See below"
    assert [each.media_type for each in content.attachments] == ["message/rfc822"]
    assert content.attachment_bytes > 20


def test_a_head_that_begins_with_a_folded_line_hides_no_body() -> None:
    content = read_content(multipart(part(b"text/plain", b"Hello"), attached(), head=b" folded\r\n"))
    assert (content.snippet, content.attachment_bytes) == ("Hello", len(PDF))


def test_broken_base64_has_the_size_it_would_have_whole() -> None:
    broken = part(b"application/pdf", b"!" * 7800, b"Content-Transfer-Encoding: base64")
    assert 0 < read_content(multipart(broken)).attachment_bytes <= 7800


@pytest.mark.parametrize("charset", [b"x-unknown", b"utf-16", b"utf-7", b"", b"\xff", b"undefined", b"idna"])
def test_any_charset_gives_text(charset: bytes) -> None:
    raw = multipart(part(b"text/plain; charset=" + charset, b"Hello \xff"), REFUSED_BY_THE_FAST_PARSER)
    assert "\ufffd" in read_content(raw).snippet or read_content(raw).snippet


def test_the_octets_are_kept_as_they_are() -> None:
    """R20."""
    raw = b"\0\xff" + multipart(attached())
    assert read_content(raw).raw is raw


def test_line_ends_and_empty_last_lines_make_no_other_body() -> None:
    """R19."""
    raw = multipart(part(b"text/plain", b"Hello\r\n\r\nBob"), attached())
    digest = read_content(raw).body_digest
    assert read_content(raw.replace(b"\r\n", b"\n")).body_digest == digest
    assert read_content(raw + b"\r\n\r\n").body_digest == digest
    assert read_content(b"Delivered-To: x\r\n" + raw).body_digest == digest
    assert read_content(raw.replace(b"Hello", b"hello")).body_digest != digest
    assert read_content(raw.replace(b"\r\n\r\nBob", b"\r\nBob")).body_digest != digest


def test_long_bodies_are_digested_alike_whatever_their_line_ends() -> None:
    body = b"x" * 1_048_575 + b"\n" * 5000 + b"y\r\n" * 400_000
    assert (
        read_content(b"A: b\n\n" + body).body_digest == read_content(b"A: b\n\n" + body.replace(b"\r", b"")).body_digest
    )
