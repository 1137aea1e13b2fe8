"""The header block as it is read: like a mail server reads it, whatever the octets."""

import pytest

from worker.mime import read_head


def fields(raw: bytes) -> list[tuple[str, str]]:
    return [(field.name, field.value) for field in read_head(raw).fields]


def test_every_field_is_kept_in_order_with_its_name_in_lower_case() -> None:
    raw = b"Received: a\r\nSUBJECT: Hi\r\nreceived: b\r\n\r\nbody: no\r\n"
    assert fields(raw) == [("received", "a"), ("subject", "Hi"), ("received", "b")]


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_folded_values_are_one_line(end: bytes) -> None:
    raw = end.join([b"To: a@x.example,", b"\tb@x.example,", b"  c@x.example", b"", b""])
    assert fields(raw) == [("to", "a@x.example,\tb@x.example,  c@x.example")]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(b"", [], id="nothing"),
        pytest.param(b"\r\nFrom: a", [], id="an empty head"),
        pytest.param(b"no colon", [], id="a line that is no field"),
        pytest.param(b"A: 1\r\ngarbage\r\nB: 2", [("a", "1")], id="a line that is no field ends the block"),
        pytest.param(b" folded\r\nA: 1", [("a", "1")], id="begins with a folded line"),
        pytest.param(b"From x Mon Nov 23\nA: 1", [("a", "1")], id="an mbox line in front"),
        pytest.param(b"A: 1\rB: 2", [("a", "1\x1aB: 2")], id="CR alone is no line end"),
        pytest.param(b"A: 1\r\r\nB: 2", [("a", "1\x1a"), ("b", "2")], id="CR CR LF is one line end"),
        pytest.param(b"A : 1\nB\t :2", [("a", "1"), ("b", "2")], id="space before the colon"),
        pytest.param(b"A: x :y", [("a", "x :y")], id="space before a colon in a value"),
        pytest.param(b"A: 1\0 2", [("a", "1\0 2")], id="NUL is kept for the rules to see"),
        pytest.param(b"A: \x0b\x0c\x1c\x85\nB: 2", [("a", "\x0b\x0c\x1c\ufffd"), ("b", "2")], id="other line breaks"),
        pytest.param(
            "A: \u2028\u2029\u0085x\nB: 2".encode(), [("a", "\u2028\u2029\u0085x"), ("b", "2")], id="Unicode's"
        ),
        pytest.param("A: ü".encode(), [("a", "ü")], id="UTF-8 (RFC 6532)"),
        pytest.param("A: ü".encode("latin-1"), [("a", "\ufffd")], id="octets of no charset"),
        pytest.param(b"A: \xed\xa0\x80", [("a", "\ufffd\ufffd\ufffd")], id="a surrogate in disguise"),
        pytest.param(b"A: =?utf-8?q?x?=", [("a", "=?utf-8?q?x?=")], id="encoded words are left alone"),
        pytest.param(b"A:\nB:", [("a", ""), ("b", "")], id="empty values"),
    ],
)
def test_malformed_heads_are_read_one_way(raw: bytes, expected: list[tuple[str, str]]) -> None:
    assert fields(raw) == expected


def test_octets_of_no_charset_are_guessed_apart_from_the_value() -> None:
    """Never guess in a field that decides."""
    head = read_head(b"A: K\xf6ln\r\n \x80\r\nB: K\xc3\xb6ln\r\nC: K\xef\xbf\xbdln\r\n\r\n")
    assert head.first("a") == "K\ufffdln \ufffd"
    assert [head.text(name) for name in "abcd"] == ["Köln €", "Köln", "K\ufffdln", ""]


def test_a_part_of_a_head_says_so() -> None:
    assert read_head(b"A: 1\r\n").is_complete
    assert not read_head(b"A: 1\r\n", is_complete=False).is_complete


def test_ten_megabytes_in_one_field_are_bounded() -> None:
    head = read_head(b"From: a@x.example\r\nSubject: " + b"x" * 10_000_000 + b"\r\nTo: b@x.example\r\n\r\n")
    assert head.first("from") == "a@x.example"
    assert len(head.first("subject")) < 300_000
    assert not head.is_complete


def test_a_field_that_was_cut_carries_a_fault() -> None:
    head = read_head(b"From: a@x.example" + b" " * 300_000 + b", b@x.example\r\n\r\n")
    assert head.is_complete
    assert head.first("from").endswith("\x1a")


def test_two_million_fields_are_bounded() -> None:
    head = read_head(b"A:b\n" * 2_500_000)
    assert len(head.fields) == 2000
    assert not head.is_complete


def test_a_hundred_thousand_recipients_do_not_hide_the_fields_below() -> None:
    to = b",\r\n ".join(b"user%06d@client.example" % number for number in range(100_000))
    head = read_head(b"To: " + to + b"\r\nFrom: a@x.example\r\n\r\n")
    assert head.is_complete
    assert head.first("from") == "a@x.example"
