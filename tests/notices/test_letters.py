"""What the letters say, and how they are marked."""

from dataclasses import replace
from datetime import UTC, date, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8, default

import pytest

from worker.domain.addresses import Address
from worker.domain.messages import Field, Head
from worker.domain.outcomes import Code, Outcome, Reason, detail
from worker.domain.senders import automatic_sign
from worker.domain.verdicts import Cause, Limit, Notice, NoticeKey
from worker.mime import read_content, read_head
from worker.outgoing import code_letter, notice_letter

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
SENDER = Address.parse("dropbox@acme.example")
LONG_ID = f"<{'A' * 90}@{'b' * 50}.prod.outlook.example>"
NOTICE = Notice(
    key=NoticeKey(1, 7, Reason.ATTACHMENTS_TOO_LARGE, date(2026, 11, 2)),
    login=Address.parse("Joe@acme.example"),
    sender="joe@home.example",
    subject="Our offer",
    recipients=("jane@client.example",),
    message_id=LONG_ID,
    arrived_at=NOW,
    note=detail(Code.ATTACHMENTS_SIZE, size=12_000_000, limit=10_485_760),
)


def sent(notice: Notice) -> EmailMessage:
    """Read it as a mail program does, from the wire."""
    return message_from_bytes(notice_letter(notice, SENDER, NOW).as_bytes(), policy=default)


def test_a_notice_says_which_mail_why_and_what_to_do() -> None:
    letter = sent(NOTICE)
    assert {name: letter[name] for name in ("From", "To", "Subject", "Date", "In-Reply-To", "Message-ID")} == {
        "From": "BCC Dropbox <dropbox@acme.example>",
        "To": "Joe@acme.example",
        "Subject": "Not filed: Our offer",
        "Date": "Mon, 02 Nov 2026 09:00:00 +0000",
        "In-Reply-To": LONG_ID,
        "Message-ID": "<notice.1.7.attachments_too_large.20261102@acme.example>",
    }
    assert letter.get_content().replace("\r\n", "\n") == (
        "This mail of yours was not filed in the CRM:\n\n"
        "Subject:    Our offer\n"
        "From:       joe@home.example\n"
        "To:         jane@client.example\n"
        "Arrived:    02 November 2026, 09:00 UTC\n"
        f"Message-ID: {LONG_ID}\n\n"
        "Why: its attachments are too large (12000000 bytes, the limit is 10485760).\n\n"
        "Send it again with smaller ones, or with a link to them.\n\n"
        "Of other mails that end for the same reason today you are not told.\n"
    )


def test_each_cause_has_words_of_its_own() -> None:
    """Check that each cause has words: without them it gets those of `AUTOMATIC`, which no letter is sent for."""
    causes: list[Cause] = [
        *(Reason.REVOKED_TOKEN, Reason.USER_DISABLED, Reason.PERMISSION_DENIED, Reason.MODULE_FORBIDDEN),
        *(Reason.NO_RECIPIENTS, Reason.ATTACHMENTS_TOO_LARGE, Reason.MESSAGE_TOO_LARGE, Outcome.QUARANTINED),
        *(Limit.NEW_RECORDS, Reason.AUTOMATIC),
    ]
    letters = [sent(replace(NOTICE, key=replace(NOTICE.key, cause=cause))) for cause in causes]
    texts = [letter.get_content().replace(cause, "") for letter, cause in zip(letters, causes, strict=True)]
    assert len(set(texts)) == len(causes)


def test_a_mail_that_made_no_records_is_not_said_to_be_missing() -> None:
    letter = sent(replace(NOTICE, key=replace(NOTICE.key, cause=Limit.NEW_RECORDS), note=None))
    assert letter["Subject"] == "Filed without new records: Our offer"
    assert "was filed in the CRM, but no new lead or contact was made" in letter.get_content()


def test_what_broke_the_program_is_not_for_the_owner() -> None:
    broken = replace(
        NOTICE, key=replace(NOTICE.key, cause=Outcome.QUARANTINED), note=detail(Code.ERROR, error="KeyError: 'x'")
    )
    assert "KeyError" not in sent(broken).get_content()


def test_without_a_subject_the_recipients_tell_which_mail_it_was() -> None:
    many = tuple(f"client{number}@client.example" for number in range(7))
    letter = sent(replace(NOTICE, subject="", recipients=many))
    shown = ", ".join(many[:5]) + " and 2 more"
    assert letter["Subject"] == f"Not filed: your mail to {shown}"
    assert "Subject:" not in letter.get_content()


def test_no_machine_answers_a_notice_and_none_is_ever_filed() -> None:
    notice, code = notice_letter(NOTICE, SENDER, NOW), code_letter(NOTICE.login, "joe", "k7m2", SENDER, NOW)
    assert notice["Auto-Submitted"] == "auto-replied"  # it answers a mail, a code answers none (RFC 3834 §5)
    assert code["Auto-Submitted"] == "auto-generated"
    for letter in (notice, code):
        assert letter["X-Auto-Response-Suppress"] == "All"
        head = read_head(letter.as_bytes())
        assert automatic_sign(head) == Field("x-bcc-dropbox-loop", "yes")
        unmarked = Head(tuple(field for field in head.fields if field.name != "x-bcc-dropbox-loop"))
        assert automatic_sign(unmarked) == Field("auto-submitted", letter["Auto-Submitted"])


def test_nothing_of_a_mail_breaks_out_of_its_line() -> None:
    hostile = "x\r\nBcc: eve@evil.example\r\n\r\n\x1b[31m\u202ebad"
    letter = sent(replace(NOTICE, subject=hostile, sender=hostile, recipients=(hostile,), message_id=hostile))
    assert letter["Bcc"] is None
    assert letter["In-Reply-To"] is None
    assert letter["Subject"] == "Not filed: x Bcc: eve@evil.example [31m bad"
    assert not {"\x1b", "\u202e"} & set(letter.get_content())


BREAKING = [
    "=?utf-8?q?x=0D=0ABcc:_eve@evil.example?=",
    "=?utf-8?q?x=0D=0A=0D=0AHello?=",
    "=?utf-8?b?eA0KQmNjOiBldmVAZXZpbC5leGFtcGxl?=",
    "=?utf-8?q?=3D=3Futf-8=3Fq=3Fx=3D0ABcc:_eve@evil.example=3F=3D?=",
    "=?us-ascii?q?x=0ABcc:?= =?utf-8?q?_eve@evil.example?=",
    "Offer =?utf-8?q?x=0DBcc:_eve@evil.example?= " + "long " * 40,
    "x\rBcc: eve@evil.example",
    "x\x85Bcc: eve@evil.example\u2028Bcc: eve@evil.example",
]


@pytest.mark.parametrize("text", BREAKING)
@pytest.mark.parametrize("place", ["subject", "message_id", "sender", "recipients"])
def test_no_text_of_a_mail_becomes_a_field_however_it_is_encoded(text: str, place: str) -> None:
    """Neither as it goes out nor decoded once more by a mail program (CVE-2024-6923)."""
    stated = {"subject": text, "message_id": f"<{text.replace(' ', '')}@evil.example>", "sender": text}
    value = (text,) if place == "recipients" else stated[place]
    notice = replace(replace(NOTICE, subject=""), **{place: value})  # type: ignore[arg-type]
    letter = notice_letter(notice, SENDER, NOW)
    for policy in (SMTP, SMTPUTF8):
        written = [field.name for field in read_head(letter.as_bytes(policy=policy)).fields]
        assert written == [name.lower() for name in letter]
    received = message_from_bytes(letter.as_bytes(), policy=default)
    assert "bcc" not in {name.lower() for name in received}
    assert "\n" not in str(received["Subject"])
    assert received["In-Reply-To"] in {None, LONG_ID}


@pytest.mark.parametrize("login", ["jörg@bücher.example", '"joe doe"@acme.example'])
def test_unusual_addresses_are_written_as_mail_servers_read_them(login: str) -> None:
    letter = notice_letter(replace(NOTICE, login=Address.parse(login)), SENDER, NOW)
    assert letter["To"] == login.replace("bücher", "xn--bcher-kva")


def test_other_alphabets_arrive_as_they_were() -> None:
    letter = notice_letter(replace(NOTICE, subject="Übergrößen — 提案"), SENDER, NOW)
    assert read_content(letter.as_bytes()).subject == "Not filed: Übergrößen — 提案"
