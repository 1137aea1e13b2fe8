"""Whom a rejection may be told: only the owner, and only of mail that is certainly theirs."""

from dataclasses import replace

import pytest

from tests.harness.crm import NOW, RULES
from worker.domain.authentication import AuthenticationResults, MethodResult
from worker.domain.messages import LOOP_MARK, Arrival, Field, Head
from worker.domain.outcomes import Code, Outcome, Reason, detail
from worker.domain.permissions import DEFAULT_PATTERN, Permission
from worker.domain.tokens import IssuedToken, Owner
from worker.domain.verdicts import Cause, Verdict, cause_of
from worker.filing import Judgement, Rules, judge_head, judge_size, quarantined, routed

TOKEN = "0" * 26
JOE = Owner(
    1,
    1,
    "joe@acme.example",
    enabled=True,
    permissions=frozenset(Permission),
    pattern=DEFAULT_PATTERN,
    senders=frozenset({"joe@acme.example"}),
    unproven_senders=frozenset({"joe@home.example"}),
)
FROM_JOE = Field("from", "joe@acme.example")
FROM_HOME = Field("from", "joe@home.example")
FROM_STRANGER = Field("from", "eve@acme.example")


def vouching(*domains: str) -> Rules:
    """Return rules by which the server found a valid signature of each domain (R13)."""
    passed = tuple(MethodResult("dkim", "pass", {"header.d": domain}) for domain in domains)
    found = AuthenticationResults("mx.example", passed)
    return replace(RULES, authserv_id="mx.example", read_results=lambda _value: found)


VOUCHED = vouching("acme.example", "home.example")


def judged(owner: Owner, *fields: Field, rules: Rules = VOUCHED, revoked: bool = False) -> Judgement:
    stamp = Field("authentication-results", "read by the rules")
    head = Head((Field("delivered-to", f"drop+{TOKEN}@drop.example"), stamp, *fields))
    return judge_head(
        head, routed(head, rules), rules, {TOKEN: IssuedToken(TOKEN, owner, NOW if revoked else None)}, NOW
    )


def told(judgement: Judgement) -> Cause | None:
    (verdict,) = judgement.rejected
    return cause_of(verdict)


DENIED = [
    pytest.param(replace(JOE, enabled=False), Reason.USER_DISABLED, id="disabled"),
    pytest.param(replace(JOE, permissions=frozenset({Permission.LEADS})), Reason.PERMISSION_DENIED, id="no dropbox"),
    pytest.param(
        replace(JOE, permissions=frozenset({Permission.BCC_DROPBOX})), Reason.MODULE_FORBIDDEN, id="no module"
    ),
]


@pytest.mark.parametrize(("owner", "reason"), DENIED)
def test_an_owner_who_may_not_is_told_so_when_the_mail_is_certainly_theirs(owner: Owner, reason: Reason) -> None:
    assert told(judged(owner, FROM_JOE)) is reason


@pytest.mark.parametrize(("owner", "reason"), DENIED)
@pytest.mark.parametrize(
    ("fields", "rules"),
    [
        pytest.param((FROM_STRANGER,), VOUCHED, id="not registered"),
        pytest.param((FROM_JOE,), vouching("other.example"), id="not authenticated"),
        pytest.param((FROM_JOE,), RULES, id="authentication is off"),
        pytest.param((FROM_JOE, FROM_JOE), VOUCHED, id="two From fields"),
        pytest.param((), VOUCHED, id="no From field"),
        pytest.param((FROM_JOE, Field("auto-submitted", "auto-replied")), VOUCHED, id="automatic"),
        pytest.param((FROM_JOE, Field(LOOP_MARK.lower(), "yes")), VOUCHED, id="our own notice"),
    ],
)
def test_nobody_is_told_of_mail_that_only_may_be_theirs(
    owner: Owner, reason: Reason, fields: tuple[Field, ...], rules: Rules
) -> None:
    judgement = judged(owner, *fields, rules=rules)
    assert judgement.rejected[0].reason is reason
    assert told(judgement) is None


def test_mail_to_a_replaced_address_is_told() -> None:
    assert told(judged(JOE, FROM_JOE, revoked=True)) is Reason.REVOKED_TOKEN


def test_an_overlong_head_proves_nobody() -> None:
    head = Head((Field("delivered-to", f"drop+{TOKEN}@drop.example"), FROM_JOE), is_complete=False)
    disabled = IssuedToken(TOKEN, replace(JOE, enabled=False))
    assert told(judge_head(head, routed(head, VOUCHED), VOUCHED, {TOKEN: disabled}, NOW)) is None


@pytest.mark.parametrize("sender", [FROM_JOE, FROM_HOME])
def test_attachments_and_messages_that_are_too_large_are_told(sender: Field) -> None:
    judgement = judged(JOE, sender)
    assert told(judge_size(judgement, 0, 10**8, VOUCHED)) is Reason.ATTACHMENTS_TOO_LARGE
    assert told(judge_size(judgement, 10**8, 0, VOUCHED)) is Reason.MESSAGE_TOO_LARGE


def test_where_authentication_is_off_no_rejection_is_told() -> None:
    assert told(judge_size(judged(JOE, FROM_JOE, rules=RULES), 0, 10**8, RULES)) is None


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ((FROM_STRANGER,), Reason.SENDER_NOT_REGISTERED),
        ((), Reason.SENDER_MISSING),
        ((FROM_JOE, FROM_JOE), Reason.SENDER_AMBIGUOUS),
        ((FROM_JOE, Field("auto-submitted", "auto-replied")), Reason.AUTOMATIC),
    ],
)
def test_what_the_sender_check_says_no_to_is_told_to_nobody(fields: tuple[Field, ...], reason: Reason) -> None:
    judgement = judged(JOE, *fields)
    assert (judgement.rejected[0].reason, told(judgement)) == (reason, None)


def test_a_forged_from_is_told_to_nobody() -> None:
    judgement = judged(JOE, FROM_JOE, rules=vouching("elsewhere.example"))
    assert (judgement.rejected[0].reason, told(judgement)) == (Reason.SENDER_UNAUTHENTICATED, None)


def test_a_quarantined_mail_is_told_to_whom_it_is_certainly_of() -> None:
    arrival = Arrival(1, NOW, 100, b"")

    def ends(*, rules: Rules = VOUCHED) -> list[tuple[Verdict, Cause | None]]:
        claims = judged(JOE, FROM_JOE, rules=rules).accepted
        return [(verdict, cause_of(verdict)) for verdict in quarantined(arrival, Head(()), "KeyError", claims).verdicts]

    ((verdict, cause),) = ends()
    assert (cause, verdict.owner, verdict.trace.note) == (
        Outcome.QUARANTINED,
        JOE,
        detail(Code.ERROR, error="KeyError"),
    )
    ((verdict, cause),) = ends(rules=RULES)
    assert (cause, verdict.owner) == (None, JOE)
    (unknown,) = quarantined(arrival, Head(()), "KeyError").verdicts
    assert (cause_of(unknown), unknown.outcome) == (None, Outcome.QUARANTINED)
