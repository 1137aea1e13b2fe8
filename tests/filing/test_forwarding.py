"""R28: which mails a forward files, on whose lists, and what names nobody."""

from dataclasses import replace

import pytest

from tests.domain.made import JANES_TOKEN, JOHNS_TOKEN, NOW, issued, owner
from tests.filing.made import RULES, World, raw_mail, world_of
from worker.domain.messages import Forwards
from worker.domain.outcomes import Code, Outcome, Reason
from worker.domain.permissions import Module, SearchPattern
from worker.domain.records import AccountView, Direction, NewRecord, PersonName, Record, RecordNames
from worker.domain.verdicts import NewEmail, Verdict
from worker.filing import wanted

TO_DROPBOX = f"drop+{JANES_TOKEN}@drop.example"
BOB = Record(5, Module.CONTACT, None, NOW)
OWN, COLLEAGUE = "jane@sales.example", "john@sales.example"
WORLD = world_of(owner(), AccountView(records={"bob@client.example": (BOB,)}, colleagues=frozenset({COLLEAGUE})))


def mail(sender: str = "Bob <bob@client.example>", to: str = OWN, extra: str = "", body: str = "I take it.") -> str:
    return (
        f"From: {sender}\nTo: {to}\nSubject: Re: Offer\nDate: Tue, 3 Nov 2026 10:00:00 +0100\n"
        f"Message-ID: <b1@client.example>\n{extra}\n{body}\n"
    )


def attaching(*mails: str, words: str = "For the file.", subject: str = "Fwd: Offer", boundary: str = "_m") -> bytes:
    parts = [f"Content-Type: text/plain\n\n{words}", *(f"Content-Type: message/rfc822\n\n{each}" for each in mails)]
    body = "".join(f"--{boundary}\n{part}\n" for part in parts)
    extra = f"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary={boundary}\n"
    return raw_mail(to=TO_DROPBOX, subject=subject, extra=extra, body=f"{body}--{boundary}--\n")


def gmail(sender: str = "Bob <bob@client.example>", to: str = OWN, words: str = "") -> str:
    return (
        f"{words}---------- Forwarded message ---------\nFrom: {sender}\nDate: Tue, 3 Nov 2026\n"
        f"Subject: Re: Offer\nTo: {to}\n\nI take it.\n"
    )


def inline(body: str, to: str = TO_DROPBOX, subject: str = "Fwd: Re: Offer") -> bytes:
    return raw_mail(to=to, subject=subject, body=body)


def verdicts(raw: bytes, world: World = WORLD) -> list[Verdict]:
    (filing,) = world.file(raw)
    return list(filing.verdicts)


def records_of(verdict: Verdict) -> list[object]:
    return [getattr(found.record, "address", found.record) for found in verdict.associations]


def why(verdict: Verdict) -> Code | None:
    return verdict.trace.note.code if verdict.trace.note else None


def test_an_attached_mail_of_a_customer_is_filed_as_the_mail_that_it_is() -> None:
    (verdict,) = verdicts(attaching(mail()))
    assert (verdict.outcome, verdict.direction, verdict.is_claimed) == (Outcome.ASSOCIATED, Direction.RECEIVED, True)
    assert records_of(verdict) == [BOB]
    assert isinstance(verdict.email, NewEmail)
    assert verdict.email.content.raw == mail().encode()
    assert verdict.stated is not None
    assert (verdict.stated.message_id, verdict.stated.subject) == ("<b1@client.example>", "Re: Offer")
    assert (verdict.stated.sender, verdict.stated.recipients) == ("Bob <bob@client.example>", (OWN,))
    assert verdict.trace.forward is not None
    assert verdict.trace.forward.values == {"sender": "bob@client.example", "number": 1, "count": 1}


def test_each_of_several_attached_mails_has_its_own_verdict_and_the_message_one_end() -> None:
    (filing,) = WORLD.file(attaching(mail(), mail("Eve <eve@other.example>"), mail("nobody")))
    assert [each.outcome for each in filing.verdicts] == [Outcome.ASSOCIATED, Outcome.ASSOCIATED, Outcome.REJECTED]
    assert [each.reason for each in filing.verdicts] == [None, None, Reason.FORWARD_UNREADABLE]
    assert filing.deciding.outcome is Outcome.ASSOCIATED
    assert len({each.email for each in filing.verdicts}) == 3


@pytest.mark.parametrize("sender", [OWN, COLLEAGUE])
def test_an_attached_mail_of_our_own_stands_under_sent_emails_of_its_to_and_cc(sender: str) -> None:
    raw = attaching(mail(sender, "bob@client.example", "Cc: new@client.example\n"))
    (verdict,) = verdicts(raw)
    assert (verdict.outcome, verdict.direction, verdict.is_claimed) == (Outcome.ASSOCIATED, Direction.SENT, True)
    assert [str(each) if each is not BOB else "bob" for each in records_of(verdict)] == ["bob", "new@client.example"]


@pytest.mark.parametrize("sender", [OWN, COLLEAGUE])
def test_a_mail_of_our_own_to_nobody_is_unreadable(sender: str) -> None:
    for raw in (attaching(mail(sender, COLLEAGUE)), inline(gmail(sender, COLLEAGUE)), inline(gmail(sender, "Bob"))):
        (verdict,) = verdicts(raw)
        assert (verdict.reason, why(verdict)) == (Reason.FORWARD_UNREADABLE, Code.FORWARD_OF_OUR_OWN)


@pytest.mark.parametrize(
    ("words", "files"),
    [
        ("Jane Doe\nMail: jane@sales.example\n\n", True),
        ("Ask our office@sales.example or help@eu.sales.example, or bob@client.example.\n\n", True),
        (f"For john@sales.example and {TO_DROPBOX}\n\n", True),
        ("Kutoka: Eve <eve@other.example>\nKwa: Jane\n\nDear Jane,\n\n", False),
        ("Eve Roe <eve@other.example>\nWed, Oct 28, 12:46 PM\nto me\n\nDear Jane,\n\n", False),
        ("From: Eve <eve@other.example>\n\nDear Jane,\n\n", False),
        ("Kutoka: eve@other.example\n\nDear Jane,\n\n", False),
    ],
)
def test_below_the_address_of_somebody_else_the_block_may_be_of_an_older_mail(words: str, files: bool) -> None:
    """The lines above may be the block of a client that nobody knows, and the known block that of an older mail."""
    (verdict,) = verdicts(inline(gmail(words=words)))
    assert records_of(verdict) == ([BOB] if files else [])
    if not files:
        assert (verdict.reason, why(verdict)) == (Reason.FORWARD_UNREADABLE, Code.FORWARD_NAMES_ANOTHER)


def test_a_line_of_the_text_is_no_recipient_of_a_forwarded_mail() -> None:
    (verdict,) = verdicts(
        inline(gmail(OWN, "Bob <bob@client.example>\ncall Eve <eve@other.example>\nCc: Al <a@x.example>"))
    )
    assert (verdict.reason, why(verdict)) == (Reason.FORWARD_UNREADABLE, Code.FORWARD_OF_OUR_OWN)


def test_a_forward_that_a_colleague_attached_gives_way_to_the_mail_within_it() -> None:
    colleagues = attaching(mail(), boundary="_n").decode().replace("jane@sales.example", COLLEAGUE)
    (verdict,) = verdicts(attaching(colleagues))
    assert (verdict.outcome, records_of(verdict)) == (Outcome.ASSOCIATED, [BOB])
    assert isinstance(verdict.email, NewEmail)
    assert verdict.email.content.message_id == "<b1@client.example>"


def test_what_a_customers_mail_has_attached_makes_nobody_a_record() -> None:
    extra = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=_n\n"
    strangers = f"--_n\nContent-Type: message/rfc822\n\n{mail('Eve <eve@stranger.example>')}\n--_n--\n"
    (verdict,) = verdicts(attaching(mail(extra=extra, body=strangers)))
    assert records_of(verdict) == [BOB]
    known = strangers.replace("eve@stranger.example", "bob@client.example")
    assert [records_of(each) for each in verdicts(attaching(mail(extra=extra, body=known)))] == [[BOB], [BOB]]


@pytest.mark.parametrize(
    "sender", ["=?utf-8?q?Bob?=bob@client.example", "Bob", "bob@client.example, eve@x.example", ""]
)
def test_an_attached_mail_of_nobody_for_certain_is_unreadable(sender: str) -> None:
    (verdict,) = verdicts(attaching(mail(sender)))
    assert (verdict.reason, verdict.associations) == (Reason.FORWARD_UNREADABLE, ())


def test_an_automatic_mail_is_no_correspondence_when_it_is_forwarded_either() -> None:
    (verdict,) = verdicts(attaching(mail(extra="Auto-Submitted: auto-replied\n")))
    assert verdict.reason is Reason.AUTOMATIC


def test_more_mails_than_the_limit_are_named_and_the_first_are_filed() -> None:
    found = verdicts(attaching(*[mail(f"c{number}@client.example") for number in range(53)]))
    assert [each.outcome for each in found] == [Outcome.ASSOCIATED] * 50 + [Outcome.REJECTED]
    note = found[-1].trace.note
    assert note is not None
    assert (note.code, note.values) == (Code.FORWARD_LEFT_OUT, {"count": 3})


def test_a_forward_in_the_text_stands_under_received_emails_of_the_customer() -> None:
    (filing,) = WORLD.file(inline(gmail(words="Please file.\n\n")))
    (verdict,) = filing.verdicts
    assert (verdict.outcome, verdict.direction, verdict.is_claimed) == (Outcome.ASSOCIATED, Direction.RECEIVED, True)
    assert records_of(verdict) == [BOB]
    assert isinstance(verdict.email, NewEmail)
    assert (verdict.email.content.subject, verdict.stated) == ("Fwd: Re: Offer", None)


def test_a_forwarded_text_of_our_own_stands_under_sent_emails_of_the_customers_in_to() -> None:
    (verdict,) = verdicts(inline(gmail(OWN, "Bob <bob@client.example>")))
    assert (verdict.outcome, verdict.direction, records_of(verdict)) == (Outcome.ASSOCIATED, Direction.SENT, [BOB])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (gmail("Bob"), Code.FORWARD_SENDER_UNREADABLE),
        (gmail("a@client.example, b@client.example"), Code.FORWARD_SENDER_UNREADABLE),
        ("On Tue, 3 Nov 2026 at 10:00 Bob <bob@client.example> wrote:\n\n> I take it.\n", Code.FORWARD_QUOTED_REPLY),
        ("Just words.\n", Code.FORWARD_NO_BLOCK),
    ],
)
def test_what_is_not_certain_is_unreadable_and_makes_nobody(body: str, code: Code) -> None:
    (verdict,) = verdicts(inline(body))
    assert (verdict.outcome, verdict.reason, why(verdict)) == (Outcome.REJECTED, Reason.FORWARD_UNREADABLE, code)
    assert verdict.associations == ()


def test_a_note_to_the_dropbox_has_no_recipients_as_before() -> None:
    (verdict,) = verdicts(inline("I called Bob.\n", subject="Bob"))
    assert verdict.reason is Reason.NO_RECIPIENTS


@pytest.mark.parametrize("to", ["bob@client.example", f"Bob <bob@client.example>, {TO_DROPBOX}"])
def test_a_forward_to_a_customer_is_a_sent_mail(to: str) -> None:
    (verdict,) = verdicts(inline(gmail("eve@other.example"), to=to))
    assert (verdict.direction, verdict.is_claimed, records_of(verdict)) == (Direction.SENT, False, [BOB])


def test_a_forward_to_a_colleague_is_none_to_the_dropbox_alone() -> None:
    (verdict,) = verdicts(inline(gmail(), to=COLLEAGUE))
    assert verdict.reason is Reason.NO_RECIPIENTS


def test_text_that_forwards_another_mail_than_those_attached_is_unreadable() -> None:
    (verdict,) = verdicts(attaching(mail("eve@stranger.example"), words=gmail()))
    assert (verdict.reason, why(verdict)) == (Reason.FORWARD_UNREADABLE, Code.FORWARD_MAIL_AND_TEXT)
    (verdict,) = verdicts(attaching(mail(), words=gmail()))
    assert records_of(verdict) == [BOB]


def test_a_customer_on_the_never_log_list_is_not_logged() -> None:
    world = world_of(owner(), AccountView(never_log=frozenset({"client.example"})))
    for raw in (attaching(mail()), inline(gmail())):
        (verdict,) = verdicts(raw, world)
        assert (verdict.outcome, verdict.reason) == (Outcome.REJECTED, Reason.NO_RECIPIENTS)


def test_a_customer_whom_nobody_knows_waits_for_a_record_where_the_pattern_makes_none() -> None:
    world = world_of(owner(pattern=SearchPattern.CONTACTS_THEN_LEADS_ONLY))
    (verdict,) = verdicts(inline(gmail()), world)
    assert ([str(each) for each in verdict.unmatched], verdict.direction) == (
        ["bob@client.example"],
        Direction.RECEIVED,
    )


@pytest.mark.parametrize(
    ("setting", "of_attached", "of_text"),
    [
        (Forwards.ALL, None, None),
        (Forwards.ATTACHED, None, Reason.FORWARD_UNREADABLE),
        (Forwards.OFF, Reason.NO_RECIPIENTS, Reason.NO_RECIPIENTS),
    ],
)
def test_the_setting_says_which_forwards_are_filed(
    setting: Forwards, of_attached: Reason | None, of_text: Reason | None
) -> None:
    world = world_of(owner(), rules=replace(RULES, forwards=setting))
    assert [verdicts(raw, world)[0].reason for raw in (attaching(mail()), inline(gmail()))] == [of_attached, of_text]


def test_only_the_owners_own_mail_is_a_forward() -> None:
    raw = inline(gmail()).replace(b"From: Jane <jane@sales.example>", b"From: eve@stranger.example")
    (verdict,) = verdicts(raw)
    assert verdict.reason is Reason.SENDER_NOT_REGISTERED


def test_the_same_mail_forwarded_by_two_owners_is_stored_once() -> None:
    jane, john = owner(1), owner(2, senders=(COLLEAGUE,))
    world = World(issued((JANES_TOKEN, jane), (JOHNS_TOKEN, john)), WORLD.views)
    johns = attaching(mail()).replace(JANES_TOKEN.encode(), JOHNS_TOKEN.encode()).replace(b"jane@", b"john@")
    first, second, third = (each.verdicts[0] for each in world.file(attaching(mail()), johns, attaching(mail())))
    assert (first.outcome, second.outcome, third.outcome) == ("associated", "associated", "duplicate")
    assert first.email == second.email == third.email
    assert second.associations == ()


def test_an_attached_mail_that_was_bccd_before_adds_the_owner_only() -> None:
    sent = raw_mail(to="bob@client.example", message_id="<s1@sales.example>")
    stored = sent[sent.index(b"From: ") :].decode().removesuffix("\n")
    first, second = WORLD.file(sent, attaching(stored))
    assert first.verdicts[0].email == second.verdicts[0].email
    assert second.verdicts[0].outcome is Outcome.DUPLICATE


def test_the_store_is_asked_for_everybody_whom_a_forward_may_name() -> None:
    raws = (attaching(mail(to="x@client.example")), inline(gmail(to="y@client.example")))
    candidates = [WORLD.candidate(raw, uid) for uid, raw in enumerate(raws)]
    asked = wanted(candidates)[1]
    assert asked.addresses >= {"bob@client.example", "x@client.example", "y@client.example"}
    assert len(asked.fingerprints) == 3


def test_no_trace_of_a_forward_holds_a_token() -> None:
    for raw in (attaching(mail(TO_DROPBOX)), inline(gmail(TO_DROPBOX))):
        for verdict in verdicts(raw):
            assert JANES_TOKEN not in repr(verdict.trace)


@pytest.mark.parametrize("sender", ["Eve Green <eve@client.example>", '"Green, Eve" <eve@client.example>'])
def test_a_new_record_has_the_name_that_the_forwarded_mail_gives(sender: str) -> None:
    world = world_of(replace(owner(), record_names=RecordNames.DISPLAY_NAME))
    for raw in (attaching(mail(sender)), inline(gmail(sender))):
        (verdict,) = verdicts(raw, world)
        (made,) = [found.record for found in verdict.associations]
        assert isinstance(made, NewRecord)
        assert made.name == PersonName("Green", "Eve")
