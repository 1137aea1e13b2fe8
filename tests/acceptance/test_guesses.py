"""A guessed token: what it costs the worker, and what the guesser learns (R2, R4)."""

from tests.harness.installation import Dropbox
from tests.harness.letters import letter
from tests.servers.cut import Cut

GUESSED = "drop+g0g0g0g0g0g0g0g0g0g0g0g0g0@drop.example.com"
MOST_OCTETS = 16_000
"""From the mail server, of the login and a head each; the bodies hold a thousand times that."""


def test_a_guessed_token_costs_a_head_and_tells_its_sender_nothing(dropbox: Dropbox, cut: Cut) -> None:
    """Neither a body is fetched nor a letter sent: a known sender's mail to it ends as a stranger's does."""
    dropbox.add_user("jane@acme.example")
    dropbox.settings |= {
        "imap_port": str(cut.port),
        "smtp_url": "smtp://127.0.0.1:1",
        "notice_from": "drop@acme.example",
    }
    for sender in ("jane@acme.example", "stranger@elsewhere.example"):
        dropbox.deliver(letter(GUESSED, sender=sender, body=("x" * 76 + "\n") * 60_000))
    polled = dropbox.ok("poll", "--json")
    assert polled.json["rejected"] == 2
    ended = [event for event in polled.events if event["event"] == "message.rejected"]
    assert [event["reason"] for event in ended] == ["unknown_token"] * 2
    assert not [event for event in polled.events if str(event["event"]).startswith("notice.") or "owner" in event]
    assert cut.passed() < MOST_OCTETS
    assert dropbox.admin("email", "list", "--json").json == []
