"""R28: the mails within a mail are taken out byte for byte, or not at all."""

import base64
import sys
from types import FrameType

import pytest

from tests.mime.test_content import multipart, part
from worker.domain.messages import MOST_ORIGINALS, Carried
from worker.mime import read_content
from worker.mime.content import read_carried

JANES = (
    b"From: Jane <jane@client.example>\r\nTo: ann@sales.example\r\nSubject: =?utf-8?q?Gr=C3=BC?=  two  spaces\r\n"
    b"X-Odd:\ttab \r\nDate: Mon, 23 Nov 2026 09:00:00 +0000\r\nMessage-ID: <1@client.example>\r\n"
    b"Content-Type: multipart/mixed; boundary=q\r\n\r\npreamble\r\n--q\r\nContent-Type: text/plain\r\n\r\n"
    b"hello \xe4, trailing   \r\n\r\n--q--\r\nepilogue\r\n"
)
WORDS = part(b"text/plain", b"See these.")


def attached(mail: bytes, *fields: bytes, kind: bytes = b"message/rfc822") -> bytes:
    return part(kind, mail, *fields)


def in_base64(mail: bytes) -> bytes:
    lines = base64.encodebytes(mail).replace(b"\n", b"\r\n")
    return attached(lines, b"Content-Transfer-Encoding: base64")


def carried(raw: bytes) -> Carried:
    return read_carried(read_content(raw))


def mails(raw: bytes) -> list[bytes]:
    return [original.content.raw for original in carried(raw).originals]


@pytest.mark.parametrize(
    "raw",
    [
        multipart(WORDS, attached(JANES)),
        multipart(WORDS, attached(JANES, b'Content-Disposition: attachment; filename="mail.eml"')),
        multipart(WORDS, attached(JANES, b"Content-Transfer-Encoding: 8bit")),
        multipart(WORDS, in_base64(JANES)),
        multipart(WORDS, attached(JANES, kind=b"Message/RFC822; name=a.eml")),
        multipart(WORDS, attached(JANES, kind=b"message/global")),
        multipart(b"\r\n" + JANES, kind=b"digest"),
        multipart(WORDS, part(b"multipart/digest; boundary=d", b"--d\r\n\r\n" + JANES + b"\r\n--d--\r\n")),
        multipart(WORDS, part(b"multipart/mixed; boundary=m", b"--m\r\n" + attached(JANES) + b"\r\n--m--\r\n")),
        b"From: ann@sales.example\r\nContent-Type: message/rfc822\r\n\r\n" + JANES,
    ],
)
def test_an_attached_mail_comes_out_byte_for_byte(raw: bytes) -> None:
    assert mails(raw) == [JANES]
    assert carried(raw).left_out == 0


def test_a_mail_with_bare_line_feeds_keeps_them() -> None:
    raw = multipart(WORDS, attached(JANES)).replace(b"\r\n", b"\n")
    assert mails(raw) == [JANES.replace(b"\r\n", b"\n")]


def test_several_mails_are_in_order_and_each_is_read_by_itself() -> None:
    bobs = JANES.replace(b"jane@", b"bob@").replace(b"two", b"three")
    found = carried(multipart(WORDS, attached(JANES), in_base64(bobs)))
    assert [original.content.subject for original in found.originals] == ["Grü two spaces", "Grü three spaces"]
    assert found.texts == ("See these.",)


def test_a_mail_within_an_attached_mail_is_found_once_and_no_deeper() -> None:
    middle = multipart(WORDS, attached(JANES)).replace(b"=_x", b"=_y")
    outer = multipart(WORDS, attached(middle)).replace(b"=_x", b"=_z")
    (found,) = carried(multipart(WORDS, attached(outer))).originals
    assert (found.content.raw, [mail.raw for mail in found.inner]) == (outer, [middle])


@pytest.mark.parametrize(
    "broken",
    [
        attached(b"!!!", b"Content-Transfer-Encoding: base64"),
        attached(JANES, b"Content-Transfer-Encoding: quoted-printable"),
        attached(b""),
    ],
)
def test_a_mail_whose_bytes_are_uncertain_is_left_out(broken: bytes) -> None:
    found = carried(multipart(WORDS, broken))
    assert (found.originals, found.left_out, found.has_originals) == ((), 1, True)


def test_so_many_mails_are_taken_out_and_the_others_are_counted() -> None:
    found = carried(multipart(WORDS, *[attached(JANES)] * (MOST_ORIGINALS + 3)))
    assert (len(found.originals), found.left_out) == (MOST_ORIGINALS, 3)


def test_a_thousand_nested_mails_are_read_two_deep() -> None:
    raw = JANES
    for _ in range(1000):
        raw = b"From: ann@sales.example\r\nContent-Type: message/rfc822\r\n\r\n" + raw
    (outer,) = carried(raw).originals
    assert len(outer.inner) == 1


def test_html_stands_beside_the_plain_text_with_its_quotation() -> None:
    html = part(b"text/html", b"<p>See</p><blockquote><b>From:</b> Jane</blockquote>")
    found = carried(multipart(WORDS, html, kind=b"alternative"))
    assert found.texts == ("See these.", "See\n\n> From: Jane\n")


@pytest.mark.parametrize("html", ["<p>Hi</p>", "<", "<!--", "<blockquote>", "&#", "<a href=mailto:a@b.example>x</a>"])
def test_hostile_html_of_4_mb_costs_no_more_than_html_of_600_kb(html: str) -> None:
    small, large = (_steps(_html(html * (size // len(html)))) for size in (600_000, 4_000_000))
    assert large < small * 1.1 + 1000


def test_many_html_parts_are_read_as_far_as_one() -> None:
    two, hundred = (carried(_html(*["<p>Hi</p>" * 60_000] * parts)).texts for parts in (1, 100))
    assert hundred == two


def _html(*texts: str) -> bytes:
    return multipart(*(part(b"text/html", text.encode()) for text in texts))


def _steps(raw: bytes) -> int:
    """The number of calls that it takes to read what a mail carries, beside the reading of the mail."""
    content = read_content(raw)
    steps = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal steps
        steps += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        read_carried(content)
    finally:
        sys.setprofile(None)
    return steps
