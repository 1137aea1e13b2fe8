"""Every end of a message is told in words, and every rejection with what to do."""

from datetime import UTC, datetime, timedelta

import pytest

from worker.cli.advice import advice_on
from worker.cli.story import story_of
from worker.domain.outcomes import Outcome, Reason
from worker.store.administration.explanations import Explanation, OwnersVerdict

ARRIVED = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


def told(*verdicts: OwnersVerdict) -> str:
    return story_of(
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


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_comes_with_advice(reason: Reason) -> None:
    advice = advice_on(Outcome.REJECTED, reason, "jane@acme.example", "x@y.example")
    assert advice
    assert "{" not in advice
    assert advice_on(Outcome.REJECTED, reason, None, None)


@pytest.mark.parametrize("outcome", [Outcome.ASSOCIATED, Outcome.DUPLICATE])
def test_where_all_is_well_there_is_nothing_to_do(outcome: Outcome) -> None:
    assert advice_on(outcome, None, "jane@acme.example", None) is None


def test_a_message_without_owner_and_without_anything_is_told() -> None:
    story = told(OwnersVerdict(Outcome.REJECTED, Reason.NO_TOKEN, None, None, {}))
    assert "Message 7 of drop@mx.example/INBOX is in the folder Rejected." in story
    assert "2026-11-02T09:00:01Z, 1.2 s after arrival" in story
    assert "For no owner: rejected (no_token)" in story
    assert "`bcc-dropbox check`" in story


def test_a_quarantined_message_is_told_with_its_error() -> None:
    story = told(OwnersVerdict(Outcome.QUARANTINED, None, None, None, {"note": "ValueError: odd"}))
    assert "ValueError: odd" in story
    assert "folder Quarantine" in story


def test_each_owner_has_a_part_of_the_story() -> None:
    trace = {
        "route": {"header": "Delivered-To", "token": "k7m2…"},
        "sender": {"address": "jane@acme.example", "check": "registered", "authentication": "DMARC passes"},
        "recipients": [
            {"address": "carl@client.example", "result": "matched", "why": "the oldest", "module": "lead", "record": 5}
        ],
    }
    story = told(
        OwnersVerdict(Outcome.ASSOCIATED, None, "jane@acme.example", 3, trace),
        OwnersVerdict(Outcome.REJECTED, Reason.USER_DISABLED, "ben@acme.example", None, {}),
    )
    assert "k7m2… found in Delivered-To" in story
    assert "jane@acme.example: registered" in story
    assert "DMARC passes" in story
    assert "carl@client.example: matched lead 5: the oldest" in story
    assert "bcc-dropbox email show 3" in story
    assert "user enable ben@acme.example" in story
