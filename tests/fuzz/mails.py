"""Mail as strangers would write it: whole letters with hostile fields and bodies, then broken octet by octet."""

from dataclasses import dataclass

from hypothesis import strategies as st

TOKENS = {
    "jane": "k7m2q9x4w8e3r6t1y5p0abcdef",
    "john": "h2h2h2h2h2h2h2h2h2h2h2h2h2",
    "ceased": "r0r0r0r0r0r0r0r0r0r0r0r0r0",
    "disabled": "d0d0d0d0d0d0d0d0d0d0d0d0d0",
    "guessed": "g0g0g0g0g0g0g0g0g0g0g0g0g0",
}
JOHNS_DOMAIN = "xn--mnchen-3ya.example"
SENDERS = {"jane": "jane@sales.example", "john": "john@münchen.example"}
SERVER = "mx.drop.example"

_HOSTILE_TEXT = st.sampled_from(
    [
        "\x1b[31mred\x1b[0m",
        "\x1b]0;title\x07",
        "\x9b31m",
        "a\0b",
        "\r",
        "\r\n ",
        "\n\t",
        "\u202egnp.exe",
        "\u2066\u200b\ufeff",
        "\udcff\udc80",
        "\ufffe\uffff",
        "\U0010ffff\U000e0041",
        "e" + "\u0301" * 50,
        "\ufb01\uff0e\u3002\uff61\uff20",
        "=?utf-8?q?=00=1B[2J?=",
        "=?utf-8?b?7aCA?=",
        "=?utf-7?q?+2AA-?=",
        "=?idna?q?xn--?=",
        "=?unicode_escape?q?\\ud800\\x00?=",
        "=?utf-16?b?ANg=?=",
        "=?nonsense?q?a?=",
        "=?utf-8?x?a?=",
        "=?utf-8?q?" + "=F0=9F" * 200 + "?=",
        "%00%s{}",
        "\\u0000",
        "'; DROP TABLE email; --",
        "x" * 1200,
        "é" * 1200,
        "\U0001f4a9" * 1100,
    ]
)
_TEXT = st.text(max_size=12) | _HOSTILE_TEXT
_ADDRESS = st.sampled_from(
    [
        "bob@client.example",
        "BOB@Client.Example",
        "Bob <bob@client.example>",
        '"B, ob" <bob@client.example>',
        "carl@münchen.example",
        "carl@xn--mnchen-3ya.example",
        "known@client.example",
        "john@sales.example",
        "team: a@x.example, b@x.example;",
        "undisclosed-recipients:;",
        "<@relay.example:route@x.example>",
        "\u202ebob@client.example",
        "bob@s\u0430les.example",
        "b\0ob@x.example",
        '"quo ted"@x.example',
        "a@" + "x" * 63 + ".example",
        "x" * 64 + "@x.example",
        "ü" * 32 + "@" + ".".join(["ü" * 20] * 4),
        "a@[192.0.2.1]",
        "a@b@c",
        "(((",
        '"',
        f"drop+{TOKENS['guessed']}@drop.example",
        f"drop+{TOKENS['john']}@drop.example",
    ]
)
_ADDRESSES = st.lists(_ADDRESS | _TEXT, max_size=6).map(", ".join)
_DATES = st.sampled_from(
    [
        "Mon, 23 Nov 2026 09:00:00 +0000",
        "Mon, 23 Nov 2026 09:00:00 +9959",
        "Fri, 31 Dec 9999 23:59:59 -1200",
        "Mon, 01 Jan 0001 00:00:00 +1400",
        "31 Feb 2026 25:61:61 +0000",
        "1 Jan 99999999999999999999 0:0:0 +0",
        "23 Nov 26",
        "Mon, 23 Nov 2026 09:00:00 -2359\0",
        "\u0661 Jan \u0662\u0660\u0662\u0666 00:00:00",
    ]
)
_NAMES = st.sampled_from(
    [
        "Subject",
        "Message-ID",
        "References",
        "In-Reply-To",
        "Date",
        "From",
        "From ",
        "To",
        "Cc",
        "Sender",
        "Reply-To",
        "Return-Path",
        "Auto-Submitted",
        "Content-Type",
        "Content-Transfer-Encoding",
        "Content-Disposition",
        "Authentication-Results",
        "Received",
        "Delivered-To",
        "X-Original-To",
        "Envelope-To",
        "X-BCC-Dropbox-Loop",
        "X-Ünknown",
        "Sub\0ject",
        "",
    ]
)
_VALUES = (
    _TEXT
    | _ADDRESSES
    | _DATES
    | st.sampled_from(
        [
            "<1@x.example>",
            "<" + "i" * 1100 + "@x>",
            "<" + "\U0001f4a9" * 1000 + "@x>",
            "auto-replied",
            "(no) no",
            'multipart/mixed; boundary="b"',
            "multipart/mixed",
            "multipart/report; report-type=delivery-status; boundary=b",
            "text/html; charset=utf-7",
            "text/plain; charset=\u202e",
            "message/rfc822",
            "base64",
            "quoted-printable",
            "x-uuencode",
            'attachment; filename="../../etc/passwd"',
            "attachment; filename*=utf-8''%00%1B%2e%2e%2f",
            f"{SERVER}; dmarc=pass header.from=sales.example",
            f"{SERVER}; dmarc=fail",
            f"{SERVER}; dkim=pass header.d=" + "x." * 200,
            "from a by b with LMTP for <c@d>; e",
            "<>",
        ]
    )
)
_FIELDS = st.lists(st.tuples(_NAMES, _VALUES), max_size=6)

_PARTS = st.sampled_from(
    [
        b"--b\r\n",
        b"--b--\r\n",
        b"--b\r\nContent-Type: text/plain; charset=utf-16\r\n\r\n\x00\xd8\r\n",
        b"--b\r\nContent-Type: text/html\r\n\r\n<script>\x1b[2J</script><p>&#0;&#x1b;&#55296;&#1114112;</p>\r\n",
        b"--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA====AA!\r\n",
        b'--b\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n',
        b'--b\r\nContent-Disposition: attachment; filename="\x1b[31m\0../../x"\r\n\r\nz\r\n',
        b"--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename*0=a; filename*2=b\r\n\r\nz\r\n",
        b"--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: a@b\r\n\r\n",
        b"--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=00=1B[2J=\r\n=ED=A0=80\r\n",
        b"--b\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 x\r\n\x00\r\n",
        b" a folded line first\r\n",
        b"\r\n",
        b"Hello Bob\r\n",
        b"<![CDATA[ <!-- <a b='\r\n",
    ]
)
_BODIES = st.lists(_PARTS | st.binary(max_size=12), max_size=6).map(b"".join)


@dataclass(frozen=True)
class _Break:
    """One damage to the octets; ``place`` as a share of the whole."""

    place: float
    length: int
    octets: bytes

    def on(self, raw: bytes) -> bytes:
        start = int(self.place * len(raw))
        return raw[:start] + self.octets + raw[start + self.length :]


_BREAKS = st.lists(
    st.builds(
        _Break,
        st.floats(0, 1),
        st.sampled_from([0, 0, 1, 2, 20, 400]),
        st.sampled_from([b"", b"\0", b"\r", b"\n", b"\r\n", b"\n\n", b":", b"\xff", b"\x1b", b"\r\nFrom: x@y\r\n"])
        | st.binary(max_size=3),
    ),
    max_size=2,
)


def _letter(
    number: int,
    owner: str,
    sender: str,
    to: str,
    subject: str,
    fields: list[tuple[str, str]],
    body: bytes,
    breaks: list[_Break],
) -> bytes:
    lines = [
        "Return-Path: <jane@sales.example>",
        f"Delivered-To: drop+{TOKENS[owner]}@drop.example",
        f"Authentication-Results: {SERVER}; dmarc=pass header.from=sales.example; dkim=pass header.d={JOHNS_DOMAIN}",
        f"Received: from mail.sales.example by {SERVER} (Postfix) with ESMTPS id 1; Mon, 23 Nov 2026 09:00:00 +0000",
        *([f"From: {sender}"] if sender else []),
        *([f"To: {to}"] if to else []),
        *([f"Subject: {subject}"] if subject else []),
        "Date: Mon, 23 Nov 2026 09:00:00 +0000",
        f"Message-ID: <{number}@sales.example>",
        *(f"{name}: {value}" for name, value in fields),
    ]
    raw = ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape") + body
    for damage in breaks:
        raw = damage.on(raw)
    return raw


def _mostly(good: str, *others: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Most letters are good enough to come far."""
    return st.integers(0, 9).flatmap(lambda chance: st.one_of(*others) if chance == 9 else st.just(good))


_LETTERS = st.builds(
    _letter,
    st.integers(0, 2**64),
    _mostly("jane", st.sampled_from(list(TOKENS))),
    _mostly(
        "Jane <jane@sales.example>",
        _ADDRESS,
        _TEXT,
        st.sampled_from([SENDERS["john"], "jane@sales.example\r\nFrom: evil@evil.example"]),
    ),
    _mostly("bob@client.example", _ADDRESSES, _ADDRESS),
    _TEXT,
    _FIELDS,
    _BODIES,
    st.integers(0, 2).flatmap(lambda chance: _BREAKS if chance == 2 else st.just([])),
)
MAILS = st.integers(0, 19).flatmap(lambda chance: st.binary(max_size=200) if chance == 19 else _LETTERS)
