"""Every reason for which a message is rejected, and that the rule before it does not hide it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.domain.made import DROPBOX, FORGED_TOKEN, JANES_TOKEN, JOHNS_TOKEN, NOW, issued, owner
from tests.filing.made import AUTHENTICATED, RULES, World, arrival, raw_mail, world_of
from worker.domain.outcomes import Code, Folder, Outcome, Reason, detail
from worker.domain.permissions import STANDARD, Permission, SearchPattern
from worker.filing import judge_head, judge_size, quarantined, rejected_by_head, routed
from worker.mime import read_head

PASSES = (
    "Authentication-Results: mx.drop.example; dmarc=pass header.from=sales.example; dkim=pass header.d=sales.example\n"
)
FAILS = "Authentication-Results: mx.drop.example; dmarc=fail header.from=sales.example\n"
STANDARD_WITHOUT_BOTH = STANDARD.permissions - {Permission.LEADS, Permission.CONTACTS}


def test_an_ordinary_mail_is_associated() -> None:
    (filing,) = World().file(raw_mail())
    assert filing.deciding.outcome is Outcome.ASSOCIATED
    assert filing.folder is Folder.ASSOCIATED
    assert (filing.message_id, filing.sender, filing.subject, filing.recipients) == (
        "<1@sales.example>",
        "jane@sales.example",
        "Offer",
        ("bob@client.example",),
    )


@pytest.mark.parametrize(
    ("world", "raw", "reason"),
    [
        pytest.param(World(), raw_mail().replace(b"drop+", b"drop-"), Reason.NO_TOKEN, id="R5 no token"),
        pytest.param(World(), raw_mail(FORGED_TOKEN), Reason.UNKNOWN_TOKEN, id="R1 a guessed token"),
        pytest.param(
            World(issued((JANES_TOKEN, owner()), until=NOW)), raw_mail(), Reason.REVOKED_TOKEN, id="R2 a replaced one"
        ),
        pytest.param(world_of(owner(enabled=False)), raw_mail(), Reason.USER_DISABLED, id="R9 user disabled"),
        pytest.param(
            world_of(owner(permissions=STANDARD.permissions - {Permission.BCC_DROPBOX})),
            raw_mail(),
            Reason.PERMISSION_DENIED,
            id="R9 no bcc_dropbox",
        ),
        pytest.param(
            world_of(owner(permissions=STANDARD_WITHOUT_BOTH)), raw_mail(), Reason.MODULE_FORBIDDEN, id="R10 no module"
        ),
        pytest.param(
            world_of(
                owner(permissions=STANDARD.permissions - {Permission.LEADS}, pattern=SearchPattern.LEADS_OR_NEW_LEAD)
            ),
            raw_mail(),
            Reason.MODULE_FORBIDDEN,
            id="R10 not the module of the pattern",
        ),
        pytest.param(World(), raw_mail(sender=""), Reason.SENDER_MISSING, id="R12 empty From"),
        pytest.param(
            World(), raw_mail(sender="jane@sales.example, x@y.example"), Reason.SENDER_AMBIGUOUS, id="R12 two From"
        ),
        pytest.param(World(), raw_mail(sender="x@y.example"), Reason.SENDER_NOT_REGISTERED, id="R12 a stranger"),
        pytest.param(
            World(),
            raw_mail(sender="x@y.example", extra="Reply-To: jane@sales.example\nSender: jane@sales.example\n"),
            Reason.SENDER_NOT_REGISTERED,
            id="R12 never Reply-To or Sender",
        ),
        pytest.param(
            world_of(owner(senders=(), unproven=("jane@sales.example",))),
            raw_mail(),
            Reason.SENDER_NOT_REGISTERED,
            id="R12 not proven yet",
        ),
        pytest.param(
            World(rules=AUTHENTICATED), raw_mail(), Reason.SENDER_UNAUTHENTICATED, id="R13 the server says nothing"
        ),
        pytest.param(
            World(rules=AUTHENTICATED), raw_mail(top=FAILS), Reason.SENDER_UNAUTHENTICATED, id="R13 DMARC fails"
        ),
        pytest.param(
            World(rules=AUTHENTICATED),
            raw_mail(top=FAILS, extra=PASSES),
            Reason.SENDER_UNAUTHENTICATED,
            id="R13 a forged field below",
        ),
        pytest.param(
            World(rules=AUTHENTICATED),
            raw_mail(top="Subject: another\n" + PASSES),
            Reason.FIELDS_REPEATED,
            id="R13 a field on top of a signed mail",
        ),
        pytest.param(World(), raw_mail(extra="Auto-Submitted: auto-replied\n"), Reason.AUTOMATIC, id="R23 automatic"),
        pytest.param(World(), raw_mail(to="undisclosed-recipients:;"), Reason.NO_RECIPIENTS, id="R14 nobody"),
        pytest.param(World(), raw_mail(to="drop@drop.example"), Reason.NO_RECIPIENTS, id="R14 the dropbox only"),
        pytest.param(
            World(),
            raw_mail(to="drop@drop.example", subject="Fwd: Offer"),
            Reason.FORWARD_UNREADABLE,
            id="R28 a forward of nobody's",
        ),
        pytest.param(World(), raw_mail(to="JANE@sales.example"), Reason.NO_RECIPIENTS, id="R14 the owner only"),
        pytest.param(
            World(rules=replace(RULES, max_attachment_bytes=100)),
            raw_mail(
                extra="Content-Type: application/pdf; name=a.pdf\n",
                body="x" * 101,
            ),
            Reason.ATTACHMENTS_TOO_LARGE,
            id="R21 attachments",
        ),
        pytest.param(
            World(rules=replace(RULES, max_attachment_bytes=100)),
            raw_mail(body="x" * 300),
            Reason.MESSAGE_TOO_LARGE,
            id="R21 message",
        ),
    ],
)
def test_a_rule_says_no_and_its_reason_is_told(world: World, raw: bytes, reason: Reason) -> None:
    (filing,) = world.file(raw)
    assert (filing.deciding.outcome, filing.deciding.reason) == (Outcome.REJECTED, reason)
    assert filing.folder is Folder.REJECTED
    assert filing.deciding.email is None


def test_every_reason_is_in_the_table_above() -> None:
    (mark,) = test_a_rule_says_no_and_its_reason_is_told.pytestmark  # type: ignore[attr-defined]
    assert {case.values[2] for case in mark.args[1]} == set(Reason)


def test_a_replaced_token_is_good_until_its_grace_ends() -> None:
    # R2
    tokens = issued((JANES_TOKEN, owner()), until=NOW + timedelta(days=7))
    assert World(tokens).verdict(raw_mail()).outcome is Outcome.ASSOCIATED
    late = World(tokens, now=NOW + timedelta(days=7))
    assert late.verdict(raw_mail()).reason is Reason.REVOKED_TOKEN


def test_an_authenticated_sender_is_let_in_and_the_trace_says_why() -> None:
    # R13
    verdict = World(rules=AUTHENTICATED).verdict(raw_mail(top=PASSES))
    assert verdict.outcome is Outcome.ASSOCIATED
    assert verdict.trace.authentication == detail(Code.PASSES, method="DMARC", domain="sales.example")


def test_an_authenticated_first_mail_proves_an_address() -> None:
    # R13
    unproven = owner(senders=(), unproven=("jane@sales.example",))
    assert world_of(unproven, rules=AUTHENTICATED).verdict(raw_mail(top=PASSES)).proven_sender == "jane@sales.example"
    assert world_of(unproven, rules=AUTHENTICATED).verdict(raw_mail(top=FAILS)).proven_sender is None


def test_an_international_domain_is_the_same_written_either_way() -> None:
    """Compare in IDNA form (R12)."""
    world = world_of(owner(senders=("jane@xn--mnchen-3ya.example",)))
    assert world.verdict(raw_mail(sender="Jane <JANE@MÜNCHEN.example>")).outcome is Outcome.ASSOCIATED


def test_the_head_alone_rejects_without_the_body() -> None:
    raw = raw_mail(FORGED_TOKEN)
    arrived = arrival(raw)
    head = read_head(arrived.head)
    assert routed(head, RULES).tokens == (FORGED_TOKEN,)
    filing = rejected_by_head(arrived, head, judge_head(head, routed(head, RULES), RULES, {}, NOW))
    assert filing.deciding.reason is Reason.UNKNOWN_TOKEN
    assert filing.deciding.trace.token == "f0f0…"


def test_what_the_server_says_of_the_size_rejects_without_the_body() -> None:
    # R21
    head = read_head(raw_mail())
    judged = judge_head(head, routed(head, RULES), RULES, World().issued, NOW)
    limit = RULES.max_attachment_bytes
    assert limit == 10 * 1024 * 1024
    assert judge_size(judged, limit, limit, RULES).accepted
    (verdict,) = judge_size(judged, limit, limit + 1, RULES).rejected
    assert verdict.reason is Reason.ATTACHMENTS_TOO_LARGE
    (verdict,) = judge_size(judged, RULES.max_message_bytes + 1, 0, RULES).rejected
    assert verdict.reason is Reason.MESSAGE_TOO_LARGE


def test_attachments_at_their_limit_in_base64_fit_into_a_message() -> None:
    # R21
    assert RULES.max_message_bytes > RULES.max_attachment_bytes * 4 / 3 * 78 / 76


def test_only_the_top_of_an_overlong_head_rejects_nobody_for_from() -> None:
    """The part that was not read may hold the From (R12)."""
    top = read_head(raw_mail().partition(b"From:")[0], is_complete=False)
    assert judge_head(top, routed(top, RULES), RULES, World().issued, NOW).accepted
    (verdict,) = judge_head(top, routed(top, RULES), RULES, World().issued, NOW, is_whole=True).rejected
    assert verdict.reason is Reason.SENDER_AMBIGUOUS


def test_a_thousand_guesses_leave_one_verdict_that_tells_nothing() -> None:
    # R6
    guesses = [f"{number:026}" for number in range(1000)]
    (filing,) = World().file(raw_mail(*guesses))
    assert [verdict.reason for verdict in filing.verdicts] == [Reason.UNKNOWN_TOKEN]


def test_a_good_token_beside_a_revoked_one_of_the_same_owner_is_enough() -> None:
    """Count each owner once (R6)."""
    old, new = issued((JOHNS_TOKEN, owner()), until=NOW), issued((JANES_TOKEN, owner()))
    (filing,) = World(old | new).file(raw_mail(JOHNS_TOKEN, JANES_TOKEN))
    assert [verdict.outcome for verdict in filing.verdicts] == [Outcome.ASSOCIATED]


def test_a_message_on_which_the_code_failed_goes_to_a_person() -> None:
    raw = raw_mail()
    filing = quarantined(arrival(raw), read_head(raw), "ZeroDivisionError: division by zero")
    assert (filing.deciding.outcome, filing.folder) == (Outcome.QUARANTINED, Folder.QUARANTINE)
    assert filing.deciding.trace.note == detail(Code.ERROR, error="ZeroDivisionError: division by zero")


def test_no_trace_holds_a_whole_token() -> None:
    open_address = DROPBOX.with_token(JANES_TOKEN)
    (filing,) = World().file(raw_mail(to=f"bob@client.example, {open_address}, drop+{JOHNS_TOKEN}@drop..example"))
    assert JANES_TOKEN not in repr(filing.verdicts[0].trace) + repr(filing.recipients)
    assert JOHNS_TOKEN not in repr(filing.verdicts[0].trace)


@pytest.mark.parametrize(
    "raw", [raw_mail().replace(b"drop+", b"drop-"), raw_mail(FORGED_TOKEN)], ids=["no token", "a guessed token"]
)
def test_of_a_strangers_mail_neither_subject_nor_recipients_are_stored(raw: bytes) -> None:
    (filing,) = World().file(raw)
    assert (filing.subject, filing.recipients) == ("", ())
    assert (filing.message_id, filing.sender) == ("<1@sales.example>", "Jane <jane@sales.example>")


def test_of_an_owners_rejected_mail_subject_and_recipients_are_stored() -> None:
    (filing,) = world_of(owner(enabled=False)).file(raw_mail())
    assert (filing.subject, filing.recipients) == ("Offer", ("bob@client.example",))
