"""Mail that was written to hurt: it ends in a Content, in bounded time and memory."""

import base64
import tracemalloc
from datetime import UTC, datetime
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.domain.made import JANES_TOKEN, issued, owner
from tests.filing.made import AUTHENTICATED, RULES, arrival
from worker.domain.address_lists import read_recipients
from worker.domain.routing import read_received
from worker.domain.senders import read_from
from worker.filing import file_batch, judge_content, judge_head, rejected_by_head, routed
from worker.mime import read_content, read_head
from worker.mime.head import read_results

MIXED = b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n'
BROKEN = MIXED + b"--x\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!!\r\n"
"""So that it falls to the standard library."""
FOLDED_FIRST = b" the fast parser refuses this\r\n"
MOST_SECONDS = 5.0
"""Of one processor. Each takes well under one; a time that grows by the square takes hours."""
WORKING_MEMORY = 100 * 1024 * 1024


def nested(levels: int) -> bytes:
    return b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (level, level) for level in range(levels)
    )


HOSTILE = {
    "50,000 parts": MIXED + b"--x\r\nContent-Type: image/png\r\n\r\nz\r\n" * 50_000 + b"--x--\r\n",
    "5,000 parts": MIXED + b"--x\r\nContent-Type: image/png\r\n\r\nz\r\n" * 5_000 + b"--x--\r\n",
    "200 levels": nested(200) + b"Content-Type: text/plain\r\n\r\nHi\r\n",
    "900 levels": nested(900),
    "10,000 levels": nested(10_000),
    "10,000 levels of one boundary": MIXED + b"--x\r\n" + MIXED * 10_000,
    "10,000 mails in mails": b"Content-Type: message/rfc822\r\n\r\n" * 10_000 + b"Hi",
    "10 MB in a field": b"Subject: " + b"x" * 10_000_000 + b"\r\n\r\nHi",
    "2.5 million fields": b"A:b\n" * 2_500_000 + b"\nHi",
    "100,000 recipients": b"To: " + b",\r\n ".join(b"u%d@x.example" % n for n in range(100_000)) + b"\r\n\r\nHi",
    "a million encoded words": b"Subject: " + b"=?utf-8?q?a?= " * 700_000 + b"\r\n\r\nHi",
    "encoded words in a name": MIXED
    + b'--x\r\nContent-Type: a/b; name="'
    + b"=?utf-8?q?a?= " * 500_000
    + b'"\r\n\r\nz',
    "30,000 parameters": MIXED + b"--x\r\nContent-Type: a/b" + b"; a=b" * 30_000 + b"\r\n\r\nz",
    "20 million empty lines": b"A: b\r\n\r\n" + b"\n" * 20_000_000,
    "the same, broken": FOLDED_FIRST
    + MIXED
    + b"--x\r\nContent-Transfer-Encoding: base64\r\n\r\n!"
    + b"\n" * 20_000_000,
    "a broken body of lone CRs": BROKEN + b"--x\r\n\r\n" + b"a\r" * 900_000,
    "the same within 300 levels": MIXED
    + b"".join(b"--b%d\nContent-Type: multipart/mixed; boundary=b%d\n\n" % (n, n + 1) for n in range(300))
    + b"--x\nContent-Transfer-Encoding: base64\n\n!!!!\n--x\n\n"
    + b"\r" * 2_000_000,
    "an open quote of semicolons, broken": BROKEN
    + b'--x\r\nContent-Disposition: attachment; a="'
    + b";" * 900_000
    + b"\r\n\r\nz",
    "half a million parameters, broken": BROKEN
    + b"--x\r\nContent-Disposition: attachment"
    + b";a" * 500_000
    + b"\r\n\r\nz",
    "two million CRs in a field": b"X: " + b"\r" * 2_000_000 + b"\r\n\r\nHi",
    "references": b"References: " + b"<" * 300_000 + b"\r\n\r\n",
    "brackets in HTML": b"Content-Type: text/html\r\n\r\n" + b"<" * 2_000_000,
    "comments in HTML": b"Content-Type: text/html\r\n\r\n" + b"<!--" * 500_000,
    "tags without end in HTML": b"Content-Type: text/html\r\n\r\n" + b"<a b='" * 300_000,
    "NUL": b"\0" * 1_000_000,
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_mail_takes_bounded_time_and_memory(raw: bytes) -> None:
    tracemalloc.start()
    began = process_time()
    try:
        content = read_content(raw)
        candidate = judge_content(arrival(raw), content, routed(content.head, RULES), RULES, {}, datetime.now(UTC))
        file_batch([candidate], RULES, {})
        seconds = process_time() - began
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seconds < MOST_SECONDS
    assert peak < WORKING_MEMORY
    assert len(content.attachments) <= 201
    assert max(map(len, [content.subject, content.message_id, content.thread_id, content.snippet])) <= 998


def test_many_attachments_still_add_up() -> None:
    # R21
    each = base64.encodebytes(b"z" * 3000)
    part = b"--x\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n" + each
    content = read_content(MIXED + part * 500 + b"--x--\r\n")
    assert content.attachments[-1].name == "300 more"
    assert content.attachment_bytes == 500 * 3000


@pytest.mark.parametrize(
    "piece", ["a", "(", ")", '"', '"\\"', "<", "a@", "[", " ", ":", ";", ",", "()", "(\\", "é.", " <", '"a"']
)
def test_a_quarter_of_a_megabyte_of_anything_is_read_in_linear_time(piece: str) -> None:
    text = piece * (256 * 1024 // len(piece))
    began = process_time()
    for read in (read_from, read_recipients):
        read(text)
        read(f"a@{text}")
    read_received(f"from {text} by x for {text}; date")
    assert process_time() - began < MOST_SECONDS


_fields = st.sampled_from(
    [
        "From",
        "To",
        "Cc",
        "Delivered-To",
        "Received",
        "Subject",
        "Date",
        "Message-ID",
        "References",
        "Content-Type",
        "Authentication-Results",
        "Auto-Submitted",
        "Return-Path",
        "Content-Transfer-Encoding",
        "X",
    ]
)
_pieces = st.sampled_from(
    f"""drop+{JANES_TOKEN}@drop.example jane@sales.example mx.drop.example by for with LMTP < > ( ) " \\ , ; : @ [ ]
    =?utf-8?q?=00?= =?utf-7?b?+2AA-?= dkim=pass header.d= dmarc=fail multipart/mixed;boundary=x base64 text/html
    text/plain;charset=idna message/rfc822 -2359 9999 \udcff \u202e \uff0e""".split()
) | st.sampled_from(["\r", "\n ", "\0", "Mon, 23 Nov 2026 09:00:00 +0000"])
_values = st.lists(_pieces | st.text(max_size=5), max_size=8).map(" ".join)
_bodies = st.sampled_from(
    [b"--x\r\n", b"--x--\r\n", b"\r\n", b"\n", b"<![", b"<!--", b"&#9", b"=\n", b"!!", b"\xff", b"\0"]
)
_mails = st.builds(
    lambda fields, body: (
        "".join(f"{name}: {value}\r\n" for name, value in fields).encode("utf-8", "surrogateescape")
        + b"\r\n"
        + b"".join(body)
    ),
    st.lists(st.tuples(_fields, _values), max_size=8),
    st.lists(_bodies | st.binary(max_size=8), max_size=10),
)


@settings(max_examples=300, deadline=None)
@given(raw=_mails | st.binary(max_size=300))
def test_whatever_arrives_ends_with_a_decision(raw: bytes) -> None:
    now = datetime.now(UTC)
    tokens = issued((JANES_TOKEN, owner()))
    arrived = arrival(raw)
    head = read_head(raw)
    read_results(head.first("authentication-results"))
    filing = rejected_by_head(arrived, head, judge_head(head, routed(head, RULES), RULES, {}, now))
    assert filing.deciding.reason
    for rules in (RULES, AUTHENTICATED):
        content = read_content(raw)
        found = routed(content.head, rules)
        (filing,) = file_batch([judge_content(arrived, content, found, rules, tokens, now)], rules, {})
        assert filing.deciding.outcome
        said = f"{filing.subject}{filing.message_id}{filing.sender}{filing.recipients}"
        assert not any(char in said for char in "\0\x1b\r\n\u202e")
        said.encode()


@settings(max_examples=300, deadline=None)
@given(text=st.text() | st.lists(st.sampled_from(list('a@b.c<>()",:;[]\\ \t\0é')), max_size=40).map("".join))
def test_no_text_makes_the_reader_of_addresses_raise(text: str) -> None:
    for read in (read_from, read_recipients):
        for address in read(text).addresses:
            assert address.key.count("@") >= 1
    read_received(text)
