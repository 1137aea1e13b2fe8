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
        (b"Subject: a\xff", "a\xff"),
        # Backslashes are no escapes
        (rb"Subject: \\nas\users\ann =?UTF-8?Q?=C3=9Cbersicht?=", r"\\nas\users\ann Übersicht"),
        (rb"Subject: =?UTF-8?Q?=C3=9C?= \u0041\x41\N{DIGIT ONE}\n", r"Ü \u0041\x41\N{DIGIT ONE}\n"),
        (rb"Subject: C:\Users\new\U0001F600", r"C:\Users\new\U0001F600"),
        (rb"Subject: =?us-ascii?Q?=5Cu0041?=", r"\u0041"),
        # Labels as WHATWG reads them
        (b"Subject: =?gb2312?B?1uzpRrv5tcSxqLzb?=", "朱镕基的报价"),
        (b"Subject: =?GBK?Q?=D6=EC=E9F?=", "朱镕"),
        (b"Subject: =?gb_2312-80?Q?=E9F?=", "镕"),
        (b"Subject: =?ks_c_5601-1987?Q?=8Cc?=", "똠"),
        (b"Subject: =?euc-kr?Q?=8Cc?=", "똠"),
        (b"Subject: =?windows-949?Q?=8Cc?=", "똠"),
        (b"Subject: =?iso-8859-8-i?Q?=F9=EC=E5=ED?=", "שלום"),
        (b"Subject: =?iso-8859-8-e?Q?=F9=EC=E5=ED?=", "שלום"),
        (b"Subject: =?windows-874?Q?=A1=80?=", "ก€"),
        (b"Subject: =?tis-620?Q?=A1=85?=", "ก…"),
        (b"Subject: =?iso-8859-1?Q?Bob=92s_offer?=", "Bob\u2019s offer"),
        (b"Subject: =?us-ascii?Q?Bob=92s_offer?=", "Bob\u2019s offer"),
        (b"Subject: =?latin1?Q?5_=80?=", "5 €"),
        (b"Subject: =?iso-8859-9?Q?=80_=DE?=", "€ Ş"),
        (b"Subject: =?shift_jis?B?h0A=?=", "①"),
        (b"Subject: =?x-sjis?B?h0A=?=", "①"),
        (b"Subject: =?windows-31j?B?h0A=?=", "①"),
        (b"Subject: =?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"),
        (b"Subject: =?koi8-r?B?8NLJ18XU?=", "Привет"),
        (b"Subject: =?x-cp1251?B?z/Do4uXy?=", "Привет"),
        (b"Subject: =?x-mac-roman?Q?=8A?=", "ä"),
        (b"Subject: =?iso88591?Q?=E4?=", "ä"),
        (b"Subject: =?unicode-1-1-utf-8?Q?=C3=A4?=", "ä"),
        (b"Subject: =?utf8?Q?=C3=A4?=", "ä"),
        # Labels that are no charset, or of nobody: UTF-8, else windows-1252
        (b"Subject: =?unicode_escape?Q?=5Cu0041=C3=A4?=", r"\u0041ä"),
        (b"Subject: =?idna?Q?xn--bcher-kva?=", "xn--bcher-kva"),
        (b"Subject: =?rot13?Q?abc?=", "abc"),
        (b"Subject: =?x-unknown?Q?=C3=A4?=", "ä"),
        (b"Subject: =?x-unknown?Q?=E4?=", "ä"),
        (b"Subject: =?us-ascii?Q?=C3=A4?=", "ä"),
        # Bytes without an encoding
        ("Subject: Angebot für Köln".encode(), "Angebot für Köln"),
        (b"Subject: Angebot f\xfcr K\xf6ln", "Angebot für Köln"),
        (b"Subject: Bob\x92s offer \x80 5", "Bob\u2019s offer € 5"),
        (b"Subject: K\xf6ln\r\n =?utf-8?q?=C3=BC?=", "Köln ü"),
        (b"X: K\xf6ln\r\nSubject: K\xc3\xb6ln", "Köln"),
        (b"X: K\xf6ln\r\nSubject: K\xef\xbf\xbdln", "K\ufffdln"),
        # Encoded words as people's programs write them
        (b"Subject: =?utf-8?q?=C3?= =?utf-8?q?=BC?=", "ü"),
        (b"Subject: =?utf-8?b?w7w=?=\r\n =?UTF-8?B?w7w=?=", "üü"),
        (b"Subject: =?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
        (b"Subject: =?utf-8?q?a?=b=?utf-8?q?c?=", "abc"),
        (b"Subject: =?utf-8?q?a b?=", "a b"),
        (b"Subject: =?utf-8?q?what??=", "what?"),
        (b"Subject: =?utf-8*de?q?=C3=BC?=", "ü"),
        (b"Subject: =?utf-8?b?w7w?=", "ü"),
        (b"Subject: =?utf-8?b?w7 w=?=", "ü"),
        (b"Subject: =?utf-8?q?=ZZ?=", "=ZZ"),
        (b"Subject: =?iso-8859-1?Q?K\xf6ln_=F6?=", "Köln ö"),
        (b"Subject: =?iso-8859-1?Q?K\xc3\xb6ln_=F6?=", "Köln ö"),
        (b"Subject: =?utf-8?Q?K\xc3\xb6ln_=C3=B6?=", "Köln ö"),
        (b"Subject: =?utf-8?q?open =?utf-8?q?=C3=BC?=", "=?utf-8?q?open ü"),
        (b"Subject: =?utf-8?x?abc?= =??q?abc?=", "=?utf-8?x?abc?= =??q?abc?="),
        (b"Subject: =?utf-8?q??=", ""),
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
        ("Mon, 23 Nov 2026 10:00:00 +01:00", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("Mon, 23 Nov 2026 10:00:00 +1:00", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("Mon, 23 Nov 2026 10:00:00 +01", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("Mon, 23 Nov 2026 03:30:00 -05:30", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("Mon, 23 Nov 2026 14:30:00+0530", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("Mon, 23 Nov 2026 10:00:00 GMT+1", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("Mon, 23 Nov 2026 10:00:00 UTC+01:00", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("Mon, 23 Nov 2026 10:00:00 CET", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("Mon, 23 Nov 2026 04:00:00 EST", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("Mon, 23 Nov 2026 09:00:00 Z", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("Mon, 23 Nov 2026 10:00:00 +0100 CET", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("Mon, 23 Nov 2026 10:00:00 +0100 (Europe (Berlin))", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("Mon,23 Nov 2026 10:00 +0100", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("Mon, 23 November 2026 10:00:00.5 +0100", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("Mo, 23 Nov 2026 10.00.00 +0100", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("23-Nov-2026 10:00:00 +0100", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("Mon Nov 23 10:00:00 2026 +0100", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("Mon Nov 23 10:00:00 CET 2026", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("2026-11-23T10:00:00+01:00", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("2026-11-23 10:00:00 +0100", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("Mon, 23 Nov 126 09:00:00 +0000", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("Sat, 31 Dec 2016 23:59:60 +0000", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        # An offset that cannot be read is not UTC
        ("Mon, 23 Nov 2026 09:00:00", None),
        ("Mon Nov 23 09:00:00 2026", None),
        ("2026-11-23T09:00:00", None),
        ("Mon, 23 Nov 2026 09:00:00 +1:0x", None),
        ("Mon, 23 Nov 2026 09:00:00 +01:000", None),
        ("Mon, 23 Nov 2026 09:00:00 +0175", None),
        ("Mon, 23 Nov 2026 09:00:00 +2500", None),
        ("Mon, 23 Nov 2026 09:00:00 \u22120100", None),
        ("Mon, 23 Nov 2026 09:00:00 XYZ", None),
        ("Mon, 23 Nov 2026 09:00:00 A", None),
        ("Mon, 23 Nov 2026 09:00:00 PM +0100", None),
        ("Mon, 23 Nov 2026 09:00:00 Europe/Berlin", None),
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
    """Databases already hold fingerprints (R19): if they changed, old mail would be stored again."""
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
        ("<!--" + "p {} " * 5000 + "-->Hi", "Hi"),
        ("<p title='" + "p " * 5000 + "'>Hi <a href='never closed", "Hi"),
        ("Hi &amp", "Hi &"),
        ("Hi <![<![", "Hi"),
        ("\x1b[31mred\u202e\0", "[31mred"),
        ("x" * 100_000, "x" * 200),
    ],
)
def test_the_first_words_of_html_are_text_and_never_markup(html: str, snippet: str) -> None:
    assert read_content(TOP + b"Content-Type: text/html; charset=utf-8\r\n\r\n" + html.encode()).snippet == snippet


def test_attachments_are_named_with_type_and_decoded_size() -> None:
    """Count inline images too (R20, R21)."""
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


BOTH_PARSERS = pytest.mark.parametrize(
    "more", [[], [REFUSED_BY_THE_FAST_PARSER]], ids=["fast parser", "standard library"]
)
NAMES: list[tuple[bytes, str]] = [
    (b'Content-Disposition: attachment; filename="Offer; final.pdf"; size=5', "Offer; final.pdf"),
    (b'Content-Disposition: attachment; filename="a;b=c;d.pdf"', "a;b=c;d.pdf"),
    (b'Content-Disposition: attachment; size=5; filename="Offer; final.pdf"', "Offer; final.pdf"),
    (b'Content-Disposition: attachment; filename="a \\"b\\" c.pdf"', 'a "b" c.pdf'),
    (b'Content-Disposition: attachment; filename="C:\\Users\\x.pdf"', r"C:\Users\x.pdf"),
    (b'Content-Disposition: attachment; filename="a  b.pdf"', "a b.pdf"),
    (b"Content-Disposition: attachment; filename=offer.pdf", "offer.pdf"),
    (b"Content-Disposition: attachment; filename=Offer final.pdf", "Offer final.pdf"),
    (b'Content-Disposition: Attachment;\r\n FileName="offer.pdf"', "offer.pdf"),
    (b'content-disposition: attachment ; filename = "offer.pdf" ;', "offer.pdf"),
    (b'Content-Disposition: attachment; filename="never closed.pdf', "never closed.pdf"),
    (b"Content-Disposition: attachment; filename*=UTF-8''Angebot%20%E2%98%83.pdf", "Angebot ☃.pdf"),
    (b"Content-Disposition: attachment; filename*=utf-8'de'%C3%BC.pdf", "ü.pdf"),
    (b"Content-Disposition: attachment; filename*=''%C3%BC.pdf", "ü.pdf"),
    (b"Content-Disposition: attachment; filename*=iso-8859-1''Bob%92s.pdf", "Bob\u2019s.pdf"),
    (b"Content-Disposition: attachment; filename*=gb2312''%D6%EC%E9F.pdf", "朱镕.pdf"),
    (b"Content-Disposition: attachment; filename*=x-unknown''%E4.pdf", "ä.pdf"),
    (b"Content-Disposition: attachment; filename=\"a.pdf\"; filename*=utf-8''%C3%A4.pdf", "ä.pdf"),
    (
        b"Content-Disposition: attachment; filename*0*=UTF-8''Angebot%20%E2%98;\r\n filename*1*=%83.pdf",
        "Angebot ☃.pdf",
    ),
    (b"Content-Disposition: attachment; filename*1*=%83.pdf; filename*0*=UTF-8''%E2%98", "☃.pdf"),
    (b'Content-Disposition: attachment; filename*0="Offer; "; filename*1="final.pdf"', "Offer; final.pdf"),
    (b"Content-Disposition: attachment; filename*0*=utf-8''%C3%A4; filename*1=\" b%.pdf\"", "ä b%.pdf"),
    (b'Content-Disposition: attachment; filename="=?utf-8?B?w5xiZXJzaWNodC5wZGY=?="', "Übersicht.pdf"),
    (b"Content-Disposition: attachment; filename==?utf-8?B?T2ZmZXIucGRm?=", "Offer.pdf"),
    (b'Content-Disposition: attachment; filename="=?utf-8?Q?a=3Bb?= =?utf-8?Q?c?=.pdf"', "a;bc.pdf"),
    (b'Content-Disposition: attachment; filename="=?gb2312?Q?=E9F?=.pdf"', "镕.pdf"),
    (b'Content-Disposition: attachment; filename="K\xc3\xb6ln.pdf"', "Köln.pdf"),
    (b'Content-Disposition: attachment; filename="K\xf6ln.pdf"', "Köln.pdf"),
    (b"Content-Disposition: attachment\r\nX-Other: x", "type.pdf"),
    (b"X-Other: no disposition", "type.pdf"),
    (b"Content-Disposition: inline", "type.pdf"),
]


@BOTH_PARSERS
@pytest.mark.parametrize(("field", "name"), NAMES)
def test_the_file_name_is_decoded_whichever_parser_reads_it(more: list[bytes], field: bytes, name: str) -> None:
    named = part(b'application/pdf; name="type.pdf"', b"x", field)
    content = read_content(multipart(part(b"text/plain", b"Hello"), named, *more))
    assert [each.name for each in content.attachments] == [name]


@BOTH_PARSERS
@pytest.mark.parametrize("field", [field for field, _ in NAMES if b"filename" in field])
def test_the_name_of_the_media_type_is_read_in_the_same_way(more: list[bytes], field: bytes) -> None:
    parameters = field.partition(b";")[2].replace(b"filename", b"name").replace(b"FileName", b"NAME")
    expected = next(name for each, name in NAMES if each == field)
    content = read_content(
        multipart(part(b"text/plain", b"Hello"), part(b"application/pdf;" + parameters, b"x"), *more)
    )
    assert [each.name for each in content.attachments] == [expected]


@BOTH_PARSERS
@pytest.mark.parametrize(
    "fields",
    [
        [b"text/plain", b'Content-Disposition: inline; filename="notes.txt"'],
        [b'text/plain; name="notes.txt"', b"Content-Disposition: inline"],
        [b'text/plain; charset=utf-8; name="notes.txt"'],
        [b'TEXT/HTML; name="notes.txt"'],
        [b"text/plain", b"Content-Disposition: attachment; filename=notes.txt"],
        [b"text/html", b"Content-Disposition: inline; filename*=utf-8''notes.txt"],
        [b"text/calendar; name=notes.txt"],
    ],
)
def test_a_part_with_a_file_name_is_an_attachment_inline_or_not(more: list[bytes], fields: list[bytes]) -> None:
    notes = part(fields[0], b"SGVsbG8=", b"Content-Transfer-Encoding: base64", *fields[1:])
    content = read_content(multipart(part(b"text/plain", b"hi"), notes, *more))
    assert [(each.name, each.size) for each in content.attachments] == [("notes.txt", 5)]
    assert content.snippet == "hi"


@BOTH_PARSERS
@pytest.mark.parametrize("name", [b"", b'; name="notes.txt"'])
def test_text_that_is_an_attachment_is_never_the_first_words(more: list[bytes], name: bytes) -> None:
    attached_text = part(b"text/plain" + name, b"attached", b"Content-Disposition: attachment")
    assert not read_content(multipart(attached_text, *more)).snippet


@BOTH_PARSERS
def test_a_shown_file_gives_the_first_words_where_there_is_no_other_text(more: list[bytes]) -> None:
    content = read_content(multipart(part(b"text/plain; name=notes.txt", b"Hello"), *more))
    assert (content.snippet, [each.name for each in content.attachments]) == ("Hello", ["notes.txt"])


@pytest.mark.parametrize(
    "boundary",
    [
        *("b", "a  b", "a;b", "a,b", "a=b", "a:b?", "a'b", "=_a(b)", "a b c", "----=_Part", "b" * 70),
        *("a; charset=x", "a/b", "a\tb", "a<b>"),
    ],
)
@pytest.mark.parametrize("level", ["outermost", "within another"])
def test_parts_are_found_whatever_their_boundary(boundary: str, level: str) -> None:
    kind = f'Content-Type: multipart/mixed; charset=x; boundary="{boundary}"; x=y\r\n\r\n'.encode()
    parts = b"".join(
        b"--" + boundary.encode() + b"\r\n" + each + b"\r\n" for each in (part(b"text/plain", b"Hello"), attached())
    )
    raw = kind + parts + b"--" + boundary.encode() + b"--\r\n"
    content = read_content(multipart(raw) if level == "within another" else TOP + raw)
    assert (content.snippet, content.attachments) == ("Hello", (Attachment("offer.pdf", "application/pdf", len(PDF)),))


@BOTH_PARSERS
@pytest.mark.parametrize(
    ("charset", "octets", "text"),
    [
        (b"gb2312", b"\xd6\xec\xe9F", "朱镕"),
        (b'"KS_C_5601-1987"', b"\x8cc", "똠"),
        (b"iso-8859-8-i", b"\xf9\xec\xe5\xed", "שלום"),
        (b"windows-874", b"\xa1\x80", "ก€"),
        (b"iso-8859-1", b"Bob\x92s", "Bob\u2019s"),
        (b"us-ascii", b"Bob\x92s", "Bob\u2019s"),
        (b"us-ascii", b"\xc3\xa4", "ä"),
        (b"x-unknown", b"\xe4", "ä"),
        (b"unicode_escape", b"\\u0041", r"\u0041"),
        (b"utf-8 ", b"\xc3\xa4", "ä"),
    ],
)
def test_text_is_read_by_the_same_table_whichever_parser_reads_it(
    more: list[bytes], charset: bytes, octets: bytes, text: str
) -> None:
    content = read_content(multipart(part(b"text/plain; format=flowed; charset=" + charset, octets), *more))
    assert content.snippet == text


@BOTH_PARSERS
def test_a_mail_within_a_mail_is_an_attachment_for_either_parser(more: list[bytes]) -> None:
    # R21
    named = part(b"text/plain", b"Minutes", b'Content-Disposition: inline; filename="minutes.txt"')
    inner = part(b"message/rfc822", b"Subject: inner\r\n\r\nSecret")
    content = read_content(multipart(part(b"text/plain", b"See below"), named, inner, *more))
    assert content.snippet == "See below"
    assert [(each.name, each.media_type) for each in content.attachments] == [
        ("minutes.txt", "text/plain"),
        ("", "message/rfc822"),
    ]
    assert content.attachment_bytes > 20


@BOTH_PARSERS
@pytest.mark.parametrize("kind", [b"text", b"", b"text/plain/x", b"html text", b";charset=utf-8"])
def test_a_media_type_that_is_none_is_plain_text(more: list[bytes], kind: bytes) -> None:
    """RFC 2045 §5.2."""
    content = read_content(multipart(part(kind, b"Hello"), attached(), *more))
    assert (content.snippet, [each.name for each in content.attachments]) == ("Hello", ["offer.pdf"])


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
    # R20
    raw = b"\0\xff" + multipart(attached())
    assert read_content(raw).raw is raw


def test_line_ends_and_empty_last_lines_make_no_other_body() -> None:
    # R19
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
