"""What time changes: a grace period that runs out (R2), mail that is late (R22)."""

import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from freezegun import freeze_time
from structlog.testing import capture_logs

from tests.harness.installation import Dropbox
from tests.harness.letters import letter
from worker.bootstrap import compose
from worker.service.turns import Turns

JANE = "jane@acme.example"
PollLater = Callable[[int], list[tuple[str, str | None]]]


@pytest.fixture
def poll_later(dropbox: Dropbox) -> PollLater:
    """One poll in this process, whose clock is so many days ahead of the mail server's; gives its message events."""

    def poll(days: int) -> list[tuple[str, str | None]]:
        settings = dropbox.loaded()
        with (
            capture_logs() as events,
            freeze_time(datetime.now(UTC) + timedelta(days=days), tick=True),
            closing(compose(settings)) as parts,
        ):
            turns = Turns(parts)
            turns.prepare()
            turns.take()
        ended = [event for event in events if event["event"] in {"message.associated", "message.rejected"}]
        return [(event["event"], event.get("reason")) for event in ended]

    return poll


def test_a_revoked_address_works_until_its_grace_period_ends(dropbox: Dropbox, poll_later: PollLater) -> None:
    old = dropbox.add_user(JANE)
    dropbox.admin("dropbox", "regenerate", JANE, "--grace", "7d")
    dropbox.deliver(letter(old, subject="six days later"))
    assert poll_later(6) == [("message.associated", None)]
    dropbox.deliver(letter(old, subject="eight days later"))
    assert poll_later(8) == [("message.rejected", "revoked_token")]


def test_mail_that_was_filed_late_says_so_and_how_late(dropbox: Dropbox) -> None:
    address = dropbox.add_user(JANE)
    late = letter(address, subject="late", Message_ID="<late@acme.example>")
    dropbox.deliver(late, arrived=time.time() - 400)
    dropbox.deliver(letter(address, subject="in time"))
    polled = dropbox.ok("poll", "--json")
    filed = {event["message_id"]: event for event in polled.events if event["event"] == "message.associated"}
    [told] = [event for event in polled.events if event["event"] == "message.late"]
    assert len(filed) == 2
    assert told.pop("timestamp")
    assert told == {
        "event": "message.late",
        "level": "warning",
        "uid": filed["<late@acme.example>"]["uid"],
        "message_id": "<late@acme.example>",
        "seconds": filed["<late@acme.example>"]["seconds"],
    }
    assert 400 <= told["seconds"] < 400 + 60
