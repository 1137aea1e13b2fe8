"""The judgement of a head stands for the whole message only where every field that decides is the same in both."""

from dataclasses import replace

import pytest

from tests.domain.made import JANES_TOKEN, NOW, issued, owner
from tests.filing.made import AUTHENTICATED, RULES, arrival, raw_mail
from worker.domain.messages import LOOP_MARK, Head
from worker.filing import Rules, holds_for, judge_content, judge_head, judged_before, routed
from worker.mime import read_content, read_head

ISSUED = issued((JANES_TOKEN, owner()))
STAMP = (
    "Authentication-Results: mx.drop.example; dmarc=pass header.from=sales.example; dkim=pass header.d=sales.example\n"
)
FETCHED = (
    "return-path",
    "delivered-to",
    "received",
    "authentication-results",
    "from",
    "to",
    "cc",
    "auto-submitted",
    "subject",
)


def fetched(raw: bytes) -> Head:
    """Return the part of the head that a server delivers: the requested fields."""
    return Head(tuple(field for field in read_content(raw).head.fields if field.name in FETCHED))


@pytest.mark.parametrize("rules", [RULES, AUTHENTICATED], ids=["any sender", "authenticated senders"])
def test_the_same_fields_lead_to_the_same_judgement(rules: Rules) -> None:
    raw = raw_mail(top=STAMP)
    head, content = fetched(raw), read_content(raw)
    judgement = judge_head(head, routed(head, rules), rules, ISSUED, NOW)
    assert judgement.accepted
    assert holds_for(head, content.head, rules)
    anew = judge_content(arrival(raw), content, routed(content.head, rules), rules, ISSUED, NOW)
    assert judged_before(arrival(raw), content, judgement, rules) == anew


@pytest.mark.parametrize(
    ("whole", "given"),
    [
        (raw_mail(extra="From: Eve <eve@evil.example>\n"), raw_mail()),
        (raw_mail(), raw_mail(sender="Jane <jane@sales.example>, Eve <eve@evil.example>")),
        (raw_mail(sender="Eve <eve@evil.example>"), raw_mail()),
        (raw_mail(top=STAMP.replace("pass", "fail")), raw_mail(top=STAMP)),
        (raw_mail(), raw_mail(top=STAMP)),
        (raw_mail(top="Delivered-To: drop+other@drop.example\n"), raw_mail()),
        (raw_mail(extra="Received: from x by mx.drop.example for <drop+t@drop.example>; now\n"), raw_mail()),
        (raw_mail(extra="Auto-Submitted: auto-replied\n"), raw_mail()),
        (raw_mail(extra=f"{LOOP_MARK}: 1\n"), raw_mail()),
        (raw_mail(extra="Content-Type: multipart/report; report-type=delivery-status\n"), raw_mail()),
        (raw_mail(to="eve@client.example"), raw_mail()),
        (raw_mail(top=STAMP, extra="Subject: another\n"), raw_mail(top=STAMP)),
        (raw_mail(extra="DKIM-Signature: d=evil.example; i=x=3B=20dkim=3Dpass@evil.example\n"), raw_mail()),
    ],
    ids=[
        "a From more",
        "a mailbox less",
        "another From",
        "another result",
        "no result",
        "a delivery field more",
        "a hop more",
        "automatic",
        "our own mark",
        "a delivery report",
        "another To, where a token may stand",
        "a field that stands twice",
        "a signature that could forge results",
    ],
)
def test_a_field_that_decides_and_differs_has_the_message_judged_anew(whole: bytes, given: bytes) -> None:
    assert not holds_for(fetched(given), read_content(whole).head, AUTHENTICATED)


def test_a_hop_decides_also_where_no_token_is_looked_for_in_it() -> None:
    """The trusted fields end with it (R5)."""
    rules = replace(RULES, token_headers=("Delivered-To",))
    whole = raw_mail(extra="Received: from x by mx.drop.example with ESMTP; now\n")
    assert not holds_for(fetched(raw_mail()), read_content(whole).head, rules)


def test_the_order_of_the_fields_decides_too() -> None:
    one, other = "Delivered-To: a@drop.example\n", "Received: from b by mx.drop.example; now\n"
    assert not holds_for(fetched(raw_mail(top=one + other)), read_content(raw_mail(top=other + one)).head, RULES)


def test_a_subject_is_only_shown_and_decides_nothing() -> None:
    assert holds_for(fetched(raw_mail(subject="Offer")), read_content(raw_mail(subject="Another")).head, AUTHENTICATED)


def test_what_is_not_whole_stands_for_nothing() -> None:
    head = read_head(raw_mail())
    assert holds_for(head, head, RULES)
    assert not holds_for(replace(head, is_complete=False), head, RULES)
    assert not holds_for(head, replace(head, is_complete=False), RULES)
