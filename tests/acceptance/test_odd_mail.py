"""Messages that no parser likes: each ends as the rules say, none is lost, none holds another up, nothing is raised."""

from collections import Counter
from collections.abc import Callable

from tests.harness.installation import Dropbox
from tests.harness.letters import RECEIVED, letter
from worker.domain.outcomes import Folder

JANE = "jane@acme.example"
MIXED = 'multipart/mixed; boundary="b"'
BASE64 = {"Content_Transfer_Encoding": "base64"}
NOT_OURS = "rejected (no_token)"
NOBODY = "rejected (sender_missing)"
AMBIGUOUS = "rejected (sender_ambiguous)"


def thousand_parts() -> str:
    inner = "".join(f'--b{n}\nContent-Type: multipart/mixed; boundary="b{n + 1}"\n\n' for n in range(1000))
    return f"{inner}--b1000\nContent-Type: text/plain\n\nhello\n"


def odd_letters(dropbox: str) -> dict[str, tuple[bytes, str]]:
    """Return for each oddity the message and its expected outcome."""
    to_jane = f"Delivered-To: {dropbox}\r\nReceived: {RECEIVED}\r\nFrom: {JANE}\r\n".encode()
    return {
        "nothing at all": (b"", NOT_OURS),
        "an empty line": (b"\r\n", NOT_OURS),
        "no head": (b"\r\nHello\r\n", NOT_OURS),
        "no line that is a field": (b"Hello,\r\nthis is no mail.\r\n", NOT_OURS),
        "binary octets alone": (bytes(range(256)) * 40, NOT_OURS),
        "no From": (letter(dropbox, From=""), NOBODY),
        "an empty From": (letter(dropbox, From=" "), NOBODY),
        "no To": (letter(dropbox, to=""), "rejected (no_recipients)"),
        "no Date, no Message-ID, no Subject": (letter(dropbox, subject="", Date="", Message_ID=""), "associated"),
        "a head without an end": (to_jane + b"To: carl@client.example\r\nSubject: cut", "associated"),
        "a folded line first": (b" folded\r\n" + letter(dropbox), "associated"),
        "an mbox separator first": (b"From jane Mon Nov 23 09:00:00 2026\r\n" + letter(dropbox), "associated"),
        "LF alone ends its lines": (letter(dropbox).replace(b"\r\n", b"\n"), "associated"),
        "CR alone ends its lines": (letter(dropbox).replace(b"\r\n", b"\r"), NOT_OURS),
        "NUL in the body": (letter(dropbox, body="a\0b\n\0\0\n"), "associated"),
        "NUL in the subject": (letter(dropbox, subject="a\0b"), "associated"),
        "an encoded NUL in the subject": (letter(dropbox, subject="=?utf-8?q?a=00b?="), "associated"),
        "NUL in From, which Dovecot gives as 0x80": (letter(dropbox, From=f"Ja\0ne <{JANE}>"), "associated"),
        "a charset that nobody knows": (letter(dropbox, Content_Type="text/plain; charset=klingon-8"), "associated"),
        "an encoded word of such a charset": (letter(dropbox, subject="=?klingon-8?q?nuqneH?="), "associated"),
        "a charset with NUL and quotes": (letter(dropbox, Content_Type='text/plain; charset="\0\'"'), "associated"),
        "UTF-7": (letter(dropbox, body="+ADw-b+AD4-+", Content_Type="text/plain; charset=utf-7"), "associated"),
        "lone surrogates": (
            letter(
                dropbox, subject="=?utf-8?b?7aCA7bCA?=", body="=ED=A0=80", Content_Transfer_Encoding="quoted-printable"
            ),
            "associated",
        ),
        "base64 that is none": (letter(dropbox, body="!!!! no base64 ====\n=a", **BASE64), "associated"),
        "base64 that is none, of a charset that nobody knows": (
            letter(dropbox, body="!!!! ====\n=a", Content_Type="text/plain; charset=klingon-8", **BASE64),
            "associated",
        ),
        "base64 cut short": (letter(dropbox, body="SGVsbG8gQ2Fyb", **BASE64), "associated"),
        "an encoding that nobody knows": (letter(dropbox, Content_Transfer_Encoding="x-uuencode"), "associated"),
        "8-bit subject": (letter(dropbox, subject="Angebot f\xfcr").replace(b"\xc3\xbc", b"\xfc"), "associated"),
        "8-bit name in From": (
            letter(dropbox, From=f"J\xfcrgen <{JANE}>").replace(b"\xc3\xbc", b"\xfc"),
            "associated",
        ),
        "8-bit Message-ID": (letter(dropbox, Message_ID="<\xfc@x>").replace(b"\xc3\xbc", b"\xfc"), "associated"),
        "8-bit content type": (letter(dropbox, Content_Type="t\xe9xt/pl\xe4in; ch\xe4rset"), "associated"),
        "multipart without a boundary": (letter(dropbox, Content_Type="multipart/mixed"), "associated"),
        "multipart that never begins": (letter(dropbox, Content_Type=MIXED), "associated"),
        "multipart that never ends": (letter(dropbox, body="--b\n\nhello", Content_Type=MIXED), "associated"),
        "a thousand nested parts": (
            letter(dropbox, body=thousand_parts(), Content_Type='multipart/mixed; boundary="b0"'),
            "associated",
        ),
        "a mail within a mail that is none": (
            letter(dropbox, body="\0\xff", Content_Type="message/rfc822"),
            "associated",
        ),
        "a header line of a megabyte": (letter(dropbox, X_Long="x" * 1_000_000), "associated"),
        "a subject of a megabyte": (letter(dropbox, subject="x" * 1_000_000), "associated"),
        "a body line of a megabyte": (letter(dropbox, body="x" * 1_000_000), "associated"),
        "a date that is none": (letter(dropbox, Date="yesterday, 99:99"), "associated"),
        "a date beyond all calendars": (letter(dropbox, Date="Mon, 23 Nov 99999 09:00:00 +9999"), "associated"),
        "two From fields": (letter(dropbox).replace(b"\r\nTo:", f"\r\nFrom: {JANE}\r\nTo:".encode()), AMBIGUOUS),
    }


def test_messages_that_no_parser_likes_all_end_in_one_poll(dropbox_on: Callable[[str], Dropbox], url: str) -> None:
    dropbox = dropbox_on(url)
    letters = odd_letters(dropbox.add_user(JANE))
    for raw, _ in letters.values():
        dropbox.deliver(raw)
    polled = dropbox.ok("poll", "--json")
    stories = dropbox.admin("explain", "--since", "1d", "--limit", "0", "--json").json
    ends = {story["uid"]: story["outcome"] + (f" ({story['reason']})" if story["reason"] else "") for story in stories}
    assert {name: ends.get(uid) for uid, name in enumerate(letters, start=1)} == {
        name: end for name, (_, end) in letters.items()
    }
    assert [event["event"] for event in polled.events][-1] == "poll.finished"
    assert len(polled.err.splitlines()) == len(polled.events) == len(letters) + 2
    assert "Traceback" not in polled.err
    assert dropbox.folder() == []
    kept = [raw for folder in Folder for raw in dropbox.folder(folder)]
    assert Counter(kept) == Counter(raw for raw, _ in letters.values())
