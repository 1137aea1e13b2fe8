"""Hostile mail of a registered owner, aimed at terminals, logs, databases and readers."""

from tests.harness.letters import letter

ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m"
BIDI = "\u202egpj.exe\u2066\u200b\ufeff"
TEXTS = {
    "ANSI escapes": ESCAPES,
    "bidi controls": BIDI,
    "encoded escapes": "=?utf-8?q?=1B[2J=00=0D=0A=C2=9B31m?=",
    "encoded surrogates": "=?utf-8?b?7aCA7bCA?= =?utf-16?b?2AA=?=",
    "NUL": "a\0b",
    "bare CR": "a\rFrom: evil@evil.example",
    "markup": "[red]<b>bold</b>[/red]",
    "format": "%s{}$HOME`reboot`",
    "a line of 1,000 astral characters": "\U0001f4a9" * 1000,
}
"""By what is in them; in every place where a text of the sender is kept."""


def letters_of_text(dropbox: str) -> dict[str, bytes]:
    """Return one letter for each text; the text is in its names, fields, file name and body."""
    return {name: _letter_of(dropbox, name, text) for name, text in TEXTS.items()}


def _letter_of(dropbox: str, name: str, text: str) -> bytes:
    mark = name.replace(" ", "-").replace(",", "")
    return letter(
        dropbox,
        to=f'"{text}" <{mark.lower()}@client.example>, "{text}"@x.example, <{text}@x.example>',
        subject=f"{mark} {text}",
        body=f"--b\nContent-Type: text/plain; charset=utf-8\n\nbody {text}\n"
        f'--b\nContent-Type: text/html\nContent-Disposition: attachment; filename="../../{text}.html"\n\n'
        f"<script>{text}</script>\n--b--\n",
        Message_ID=f"<{mark}{text}@acme.example>",
        References=f"<{text}@acme.example>",
        Content_Type='multipart/mixed; boundary="b"',
    )


def _nested(levels: int) -> str:
    return "".join(f'--b{level}\nContent-Type: multipart/mixed; boundary="b{level + 1}"\n\n' for level in range(levels))


BROKEN = "--b0\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\n!!!!\n"
"""Not even the fast parser takes it."""


def letters_of_size(dropbox: str) -> dict[str, bytes]:
    """Letters that take time and memory by their number of things: within the size that R21 allows."""
    part = "--b0\nContent-Type: image/png\n\nz\n"
    mixed = {"Content_Type": 'multipart/mixed; boundary="b0"'}
    filler = "--b0\nContent-Type: text/plain\n\n" + "x" * 70 + "\n" + ("y" * 70 + "\n") * 160_000
    return {
        "an ordinary letter": letter(dropbox),
        "10 MB in one header field": letter(dropbox, X_Long="x" * 10_000_000),
        "10 MB in the subject, folded": letter(dropbox, subject="\r\n ".join(["s" * 900] * 11_000)),
        "10 MB in From": letter(dropbox, From='"' + "x" * 10_000_000 + '" <jane@acme.example>'),
        "100,000 recipients": letter(dropbox, to=",\r\n ".join(f"u{n}@x.example" for n in range(100_000))),
        "100,000 recipients in Cc fields": letter(dropbox).replace(
            b"\r\nTo:", b"".join(b"\r\nCc: c%d@x.example" % n for n in range(100_000)) + b"\r\nTo:"
        ),
        "50,000 parts": letter(dropbox, body=part * 50_000 + "--b0--\n", **mixed),
        "50,000 parts, 12 MB": letter(dropbox, body=part * 50_000 + filler + "--b0--\n", **mixed),
        "9,000 parts": letter(dropbox, body=part * 9_000 + "--b0--\n", **mixed),
        "10,000 levels": letter(dropbox, body=_nested(10_000), **mixed),
        "10,000 levels, 12 MB": letter(dropbox, body=_nested(10_000) + filler, **mixed),
        "900 levels, 12 MB": letter(dropbox, body=_nested(900) + filler, **mixed),
        "10,000 mails within mails": letter(
            dropbox, body="Content-Type: message/rfc822\n\n" * 10_000, Content_Type="message/rfc822"
        ),
        "a million lines of head": letter(dropbox).replace(b"\r\nTo:", b"\r\nA:b" * 1_000_000 + b"\r\nTo:"),
        "24 MB of lone CRs, broken": letter(dropbox, body=BROKEN + "--b0\n\n" + "a\r" * 12_000_000, **mixed),
        "24 MB of parameters": letter(
            dropbox, body="--b0\nContent-Type: a/b" + "; a=b" * 4_800_000 + "\n\nz\n", **mixed
        ),
        "10 MB of CRs in the head": letter(dropbox, X_Long="\r" * 10_000_000),
        "24 MB of brackets in HTML": letter(dropbox, body="<" * 24_000_000, Content_Type="text/html"),
    }
