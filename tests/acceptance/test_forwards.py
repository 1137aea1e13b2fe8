"""R28 at work in the installed command: customers' mail that owners forward to their dropboxes."""

from base64 import encodebytes
from pathlib import Path
from typing import Any

import pytest

from tests.harness.installation import Dropbox
from tests.harness.letters import letter

JANE, BEN = "jane@acme.example", "ben@acme.example"
CARL = "carl@client.example"
CARLS = (
    b"Received: from client.example by mx.acme.example; Tue, 3 Nov 2026 09:00:00 +0000\r\n"
    b"From: Carl <carl@client.example>\r\nTo: jane@acme.example\r\nSubject: Re: Our  offer\r\n"
    b"Date: Tue, 3 Nov 2026 10:00:00 +0100\r\nMessage-ID: <answer@client.example>\r\n"
    b"In-Reply-To: <offer@acme.example>\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\n"
    b"Einverstanden \xfc  \r\n\r\nCarl\r\n"
)
INLINE = """Please file this.

---------- Forwarded message ---------
From: Carl <carl@client.example>
Date: Tue, 3 Nov 2026 at 10:00
Subject: Re: Our offer
To: <jane@acme.example>

Agreed.
"""


def attaching(address: str, *mails: bytes, base64: bool = False, **fields: str) -> bytes:
    """A forward of mails as attachments to the dropbox alone."""
    encoding = b"Content-Transfer-Encoding: base64\r\n" if base64 else b""
    top = b"--m\r\nContent-Type: message/rfc822\r\n" + encoding + b"\r\n"
    parts = [top + (encodebytes(mail) if base64 else mail) + b"\r\n" for mail in mails]
    words = b"--m\r\nContent-Type: text/plain\r\n\r\nsee below\r\n"
    fields = {"to": address, "subject": "Fwd: Our offer", "body": "@@", **fields}
    raw = letter(address, Content_Type='multipart/mixed; boundary="m"', **fields)
    return raw.replace(b"@@", words + b"".join(parts) + b"--m--\r\n")


def emails(dropbox: Dropbox, address: str = CARL) -> list[dict[str, Any]]:
    return dropbox.sent_emails("contact", address)


@pytest.mark.parametrize("base64", [False, True])
def test_an_attached_mail_is_received_from_the_customer_byte_for_byte(
    dropbox: Dropbox, tmp_path: Path, base64: bool
) -> None:
    address = dropbox.add_user(JANE)
    dropbox.deliver(attaching(address, CARLS, base64=base64))
    assert dropbox.poll() == {"associated": 1}
    [email] = emails(dropbox)
    assert (email["list"], email["direction"], email["claimed"]) == ("Received Emails", "received", True)
    assert (email["subject"], email["sent_at"]) == ("Re: Our offer", "2026-11-03T09:00:00Z")
    assert (email["sender"], email["owner"]) == ("Carl <carl@client.example>", JANE)
    [record] = email["records"]
    assert (record["email"], record["list"], record["claimed"]) == (CARL, "Received Emails", True)
    shown = dropbox.admin("email", "show", str(email["id"]), "--json").json
    assert (shown["thread_id"], shown["recipients"]) == ("<offer@acme.example>", [JANE])
    dropbox.admin("email", "export", str(email["id"]), "-o", str(tmp_path / "carls.eml"))
    assert (tmp_path / "carls.eml").read_bytes() == CARLS


def test_several_attached_mails_are_several_emails_of_one_decision(dropbox: Dropbox) -> None:
    address = dropbox.add_user(JANE)
    own = CARLS.replace(b"Carl <carl@client.example>", b"jane@acme.example").replace(
        b"To: jane@acme.example", b"To: dora@other.example\r\nCc: carl@client.example"
    )
    dropbox.deliver(attaching(address, CARLS, own, b"Subject: nobody's\r\n\r\n"))
    assert dropbox.poll() == {"associated": 1}
    assert {email["direction"] for email in emails(dropbox)} == {"sent", "received"}
    [sent] = emails(dropbox, "dora@other.example")
    assert (sent["list"], sent["claimed"]) == ("Sent Emails from CRM", True)
    told = dropbox.admin("explain", "1", "--json").json
    assert told["outcome"] == "associated"
    assert [verdict["reason"] for verdict in told["verdicts"]] == [None, None, "forward_unreadable"]
    assert [verdict["claimed"] for verdict in told["verdicts"]] == [True, True, False]
    assert told["trace"]["forward_code"] == {"code": "forwarded_mail", "sender": CARL, "number": 1, "count": 3}
    assert "attached mail 2 of 3, from jane@acme.example" in dropbox.admin("explain", "1").out
    listed = dropbox.admin("email", "list", "--contact", CARL)
    assert "received (claimed)" in listed.out
    assert "Received Emails" in listed.err


def test_a_mail_that_was_bccd_and_forwarded_by_two_users_is_stored_once(dropbox: Dropbox) -> None:
    janes = dropbox.add_user(JANE)
    bens = dropbox.add_user(BEN)
    dropbox.deliver(attaching(janes, CARLS))
    dropbox.deliver(attaching(bens, CARLS, base64=True, sender=BEN, From=BEN))
    assert dropbox.poll() == {"associated": 2}
    [email] = emails(dropbox)
    assert email["owner"] == f"{JANE}, {BEN}"
    dropbox.deliver(attaching(janes, CARLS, Message_ID="<again@acme.example>"))
    assert dropbox.poll() == {"duplicate": 1}


def test_a_forward_in_the_text_is_stored_itself_and_received_from_the_customer(dropbox: Dropbox) -> None:
    address = dropbox.add_user(JANE)
    raw = letter(address, to=address, subject="Fwd: Re: Our offer", body=INLINE)
    dropbox.deliver(raw)
    assert dropbox.poll() == {"associated": 1}
    [email] = emails(dropbox)
    assert (email["subject"], email["list"], email["claimed"]) == ("Fwd: Re: Our offer", "Received Emails", True)
    told = dropbox.admin("explain", "1", "--json").json
    assert (told["claimed"], told["trace"]["forward_code"]["sender"]) == (True, CARL)


def test_what_is_not_certain_makes_nobody_and_says_what_to_do(dropbox: Dropbox) -> None:
    address = dropbox.add_user(JANE)
    quoted = "No.\n\nOn Tue, 3 Nov 2026 at 10:00 Carl <carl@client.example> wrote:\n\n> Agreed?\n"
    dropbox.deliver(letter(address, to=address, subject="Re: Our offer", body=quoted))
    dropbox.deliver(letter(address, to=address, subject="Fwd: x", body=INLINE.replace("<carl@client.example>", "")))
    assert dropbox.poll() == {"rejected": 2}
    assert dropbox.admin("contact", "list", "--json").json == []
    for uid in "12":
        told = dropbox.admin("explain", uid)
        assert "rejected (forward_unreadable)" in told.out
        assert "as an attachment" in " ".join(told.out.split())


def test_a_forward_to_a_customer_is_a_sent_mail(dropbox: Dropbox) -> None:
    address = dropbox.add_user(JANE)
    dropbox.deliver(letter(address, to="dora@other.example", subject="Fwd: Re: Our offer", body=INLINE))
    assert dropbox.poll() == {"associated": 1}
    [email] = emails(dropbox, "dora@other.example")
    assert (email["direction"], email["claimed"]) == ("sent", False)
    assert emails(dropbox) == []


def test_a_customer_who_waits_for_a_record_gets_the_mail_as_received(dropbox: Dropbox) -> None:
    address = dropbox.add_user(JANE)
    dropbox.ok("dropbox", "pattern", JANE, "contacts-then-leads-only")
    dropbox.deliver(letter(address, to=address, subject="Fwd: Re: Our offer", body=INLINE))
    assert dropbox.poll() == {"associated": 1}
    [waiting] = dropbox.admin("email", "list", "--json").json
    assert (waiting["records"], waiting["direction"], waiting["claimed"]) == ([], "received", True)
    dropbox.ok("contact", "add", CARL)
    [email] = emails(dropbox)
    assert (email["records"][0]["direction"], email["records"][0]["claimed"]) == ("received", True)


@pytest.mark.parametrize(
    ("setting", "counts"), [("off", {"rejected": 2}), ("attached", {"associated": 1, "rejected": 1})]
)
def test_forwards_can_be_switched_off(dropbox: Dropbox, setting: str, counts: dict[str, int]) -> None:
    address = dropbox.add_user(JANE)
    dropbox.settings["forwards"] = setting
    dropbox.deliver(attaching(address, CARLS))
    dropbox.deliver(letter(address, to=address, subject="Fwd: Re: Our offer", body=INLINE))
    assert dropbox.poll() == counts
