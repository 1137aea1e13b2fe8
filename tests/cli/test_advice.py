"""Advice: a text for every outcome, and what to do for every rejection."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from worker.cli.explain import explained
from worker.cli.reasons import advice_on, sentence
from worker.crm.decisions import Explanation, OwnersVerdict
from worker.domain.address_lists import Syntax
from worker.domain.outcomes import Code, Outcome, Reason, Value, detail
from worker.domain.permissions import Module
from worker.domain.verdicts import NamedRecord, RecipientResult, RecipientTrace, Trace

ARRIVED = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def told(*verdicts: OwnersVerdict) -> str:
    return explained(
        Explanation(
            uid=7,
            uidvalidity=1,
            mailbox="drop@mx.example/INBOX",
            message_id="",
            sender="",
            subject="",
            recipients=(),
            size=123,
            arrived_at=ARRIVED,
            decided_at=ARRIVED + timedelta(seconds=1.25),
            verdicts=verdicts,
        )
    )


def ended(
    reason: Reason | None,
    outcome: Outcome = Outcome.REJECTED,
    owner: str | None = None,
    account: str | None = None,
    **trace: Any,
) -> OwnersVerdict:
    return OwnersVerdict(outcome, reason, owner, None, Trace(**trace), account=account)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_comes_with_advice(reason: Reason) -> None:
    advice = advice_on(7, ended(reason, owner="jane@acme.example", sender="x@y.example"))
    assert advice
    assert "{" not in advice
    assert advice_on(7, ended(reason))


def test_a_name_with_a_comma_and_no_quotes_gets_advice_of_its_own() -> None:
    for stored in (Syntax.NAME_ALONE, "a name without an address"):  # the second by a version before the codes
        check = detail(Code.FROM_NOT_PLAIN, faults=(stored,))
        assert "quotes" in (advice_on(7, ended(Reason.SENDER_AMBIGUOUS, sender_check=check)) or "")
    other = detail(Code.FROM_NOT_PLAIN, faults=(Syntax.STRAY.of(">"),))
    assert "quotes" not in (advice_on(7, ended(Reason.SENDER_AMBIGUOUS, sender_check=other)) or "")


VALUES: dict[str, Value] = {
    **dict.fromkeys(("count", "limit", "number", "size"), 7),
    **dict.fromkeys(
        ("address", "method", "domain", "field", "value", "error", "text", "module", "sender", "top"), "this"
    ),
    **dict.fromkeys(("faults", "fields", "searched"), ("this", "that")),
}


@pytest.mark.parametrize("code", Code)
def test_every_code_of_a_trace_has_a_sentence(code: Code) -> None:
    said = sentence(detail(code, **VALUES))
    assert said
    assert not {"{", "?"} & set(said)


@pytest.mark.parametrize("fault", Syntax)
def test_every_fault_of_an_address_list_has_a_sentence(fault: Syntax) -> None:
    said = sentence(detail(Code.FROM_NOT_PLAIN, faults=(fault.of("7"),)))
    assert said.startswith("From is not written plainly: ")
    assert not {"{", "_"} & set(said)


def test_a_fault_that_an_older_version_stored_as_text_is_shown_as_it_stands() -> None:
    old = ("stray >", "not an e-mail address: 'a: b'")
    assert sentence(detail(Code.ENTRY_UNREADABLE, faults=old)) == f"cannot be read whole: {'; '.join(old)}"


def test_a_value_that_is_not_there_is_not_made_up() -> None:
    assert sentence(detail(Code.BEYOND_LIMIT)) == "beyond the first ? recipients"


@pytest.mark.parametrize("outcome", [Outcome.ASSOCIATED, Outcome.DUPLICATE])
def test_where_all_is_well_there_is_nothing_to_do(outcome: Outcome) -> None:
    assert advice_on(7, ended(None, outcome, owner="jane@acme.example")) is None


def test_mail_for_no_dropbox_is_told_from_mail_whose_envelope_is_lost() -> None:
    other = ended(Reason.NO_TOKEN, note=detail(Code.RECIPIENT_IS_NO_DROPBOX))
    assert str(advice_on(7, other)).startswith("Nothing, if it was for no dropbox")
    lost = str(advice_on(7, ended(Reason.NO_TOKEN, note=detail(Code.RECIPIENT_NOT_RECORDED))))
    assert "`bcc-dropbox check --probe` tells" in lost
    assert "TOKEN_HEADERS" in lost


def test_an_address_that_waits_for_its_code_is_not_to_be_added_once_more() -> None:
    """The command that would have been advised is refused for it, or sends one more code."""
    waits = ended(
        Reason.SENDER_NOT_REGISTERED,
        sender_check=detail(Code.UNPROVEN),
        owner="jane@acme.example",
        sender="jane@home.example",
    )
    advice = str(advice_on(7, waits))
    assert "`bcc-dropbox sender verify jane@acme.example CODE`" in advice
    assert "`bcc-dropbox sender add jane@acme.example jane@home.example --trusted`" in advice


def test_strangers_are_not_decided_anew_with_the_one_who_is_none() -> None:
    assert "--rejected" not in str(advice_on(7, ended(Reason.SENDER_NOT_REGISTERED)))
    assert "`bcc-dropbox replay 7`" in str(advice_on(7, ended(Reason.SENDER_NOT_REGISTERED)))
    assert "`--rejected user_disabled`" in str(advice_on(7, ended(Reason.USER_DISABLED)))


@pytest.mark.parametrize(
    "reason",
    [
        *(Reason.REVOKED_TOKEN, Reason.USER_DISABLED, Reason.PERMISSION_DENIED, Reason.MODULE_FORBIDDEN),
        *(Reason.SENDER_NOT_REGISTERED, Reason.NO_RECIPIENTS),
    ],
)
def test_commands_name_the_account_where_there_are_several(reason: Reason) -> None:
    assert "--account 'Acme & Sons'`" in str(advice_on(7, ended(reason, account="Acme & Sons")))
    assert "--account" not in str(advice_on(7, ended(reason)))


def test_a_message_without_owner_and_without_anything_is_told() -> None:
    story = told(OwnersVerdict(Outcome.REJECTED, Reason.NO_TOKEN, None, None, Trace()))
    assert "Message 7 of drop@mx.example/INBOX is in the folder Rejected." in story
    assert "2026-11-02T09:00:01Z, 1.2 s after arrival" in story
    assert "For no owner: rejected (no_token)" in story
    assert "`bcc-dropbox check --probe`" in story


def test_a_quarantined_message_is_told_with_its_error() -> None:
    story = told(
        OwnersVerdict(Outcome.QUARANTINED, None, None, None, Trace(note=detail(Code.ERROR, error="ValueError: odd")))
    )
    assert "ValueError: odd" in story
    assert "folder Quarantine" in story


def test_each_owner_has_a_part_of_the_story() -> None:
    why = detail(Code.OLDEST_RECORD, module="lead")
    trace = Trace(
        "Delivered-To",
        "k7m2…",
        "jane@acme.example",
        sender_check=detail(Code.REGISTERED),
        authentication=detail(Code.PASSES, method="DMARC", domain="acme.example"),
        recipients=(RecipientTrace("carl@client.example", RecipientResult.MATCHED, why, NamedRecord(Module.LEAD, 5)),),
    )
    story = told(
        OwnersVerdict(Outcome.ASSOCIATED, None, "jane@acme.example", 3, trace),
        OwnersVerdict(Outcome.REJECTED, Reason.USER_DISABLED, "ben@acme.example", None, Trace()),
    )
    assert "k7m2… found in Delivered-To" in story
    assert "jane@acme.example: registered" in story
    assert "  checked     DMARC passes for acme.example\n" in story
    assert "carl@client.example: matched lead 5: the oldest lead with this address" in story
    assert "bcc-dropbox email show 3" in story
    assert "user enable ben@acme.example" in story


def unmatched(*addresses: str) -> Trace:
    nobody, own = detail(Code.NOBODY_FOUND, searched=("contact",)), detail(Code.OWN_ADDRESS)
    recipients = [RecipientTrace(each, RecipientResult.UNMATCHED, nobody) for each in addresses]
    skipped = RecipientTrace("jane@acme.example", RecipientResult.SKIPPED, own)
    return Trace(recipients=(*recipients, skipped))


@pytest.mark.parametrize(
    ("waiting", "meaning"),
    [
        ({"carl@client.example", "dora@client.example"}, "stored, and on no record so far"),
        ({"dora@client.example"}, "stored, and listed on its records."),
        (set(), "stored, and listed on its records."),
    ],
    ids=["nobody", "one was added since", "both were"],
)
def test_mail_on_no_record_is_not_said_to_be_on_one(waiting: set[str], meaning: str) -> None:
    trace = unmatched("carl@client.example", "dora@client.example")
    verdict = OwnersVerdict(Outcome.ASSOCIATED, None, "jane@acme.example", 3, trace, frozenset(waiting))
    assert f"For jane@acme.example: associated: {meaning}" in told(verdict)


def test_the_account_is_named_where_there_are_several() -> None:
    trace = unmatched("carl@client.example")
    waiting = frozenset({"carl@client.example"})
    verdict = OwnersVerdict(Outcome.ASSOCIATED, None, "jane@acme.example", 3, trace, waiting, "Acme")
    story = told(verdict)
    assert "For jane@acme.example (account Acme): associated" in story
    assert "`bcc-dropbox email show 3 --account Acme`" in story
    assert "`bcc-dropbox contact add carl@client.example --account Acme`" in story
