"""From a mail in the mailbox to the event at the CRM, through the command line."""

from collections.abc import Callable

from tests.events.receiver import Receiver, answers
from tests.harness.installation import Dropbox
from tests.harness.letters import letter
from tests.harness.running import await_true

OWNER = "jane@acme.example"
CARL = "carl@client.example"


def connect(dropbox: Dropbox, receiver: Receiver) -> str:
    """Give the account its webhook, and the receiver its secret; returns Jane's address."""
    address = dropbox.add_user(OWNER)
    added = dropbox.admin("webhook", "add", receiver.url, "--json").json
    assert (added["id"], added["url"]) == (1, receiver.url)
    receiver.secrets = (added["secret"],)
    return address


def states(dropbox: Dropbox, *more: str) -> list[tuple[str, str, int]]:
    listed = dropbox.admin("event", "list", *more, "--json").json
    return [(event["type"], event["state"], event["attempts"]) for event in reversed(listed)]


def test_a_poll_delivers_what_it_made_happen(
    url: str, dropbox_on: Callable[[str], Dropbox], receiver: Receiver
) -> None:
    dropbox = dropbox_on(url)
    address = connect(dropbox, receiver)
    dropbox.deliver(letter(address, subject="Our offer"))
    ran = dropbox.ok("poll", "--json")
    assert [got.type for got in receiver.got] == ["record.created", "email.associated"]
    associated = receiver.got[1].data
    assert (associated["subject"], associated["owner"], associated["created"]) == ("Our offer", OWNER, True)
    assert states(dropbox) == [("record.created", "delivered", 1), ("email.associated", "delivered", 1)]
    assert [event["id"] for event in reversed(dropbox.admin("event", "list", "--json").json)] == receiver.ids
    assert [event["delivered"] for event in ran.events if event["event"] == "webhook.delivered"] == [2]
    dropbox.ok("poll")
    assert len(receiver.got) == 2, "delivered once"


def test_a_receiver_that_fails_gets_the_event_again_under_the_same_id(dropbox: Dropbox, receiver: Receiver) -> None:
    address = connect(dropbox, receiver)
    receiver.behaviour = answers(500)
    dropbox.deliver(letter(address))
    dropbox.ok("poll")
    assert states(dropbox, "--failed") == [("record.created", "failed", 1)]
    assert states(dropbox)[1] == ("email.associated", "pending", 0), "it waits for the event before"
    receiver.behaviour = answers(204)
    dropbox.admin("webhook", "enable")
    dropbox.ok("poll")
    assert [got.type for got in receiver.got] == ["record.created", "record.created", "email.associated"]
    assert len(set(receiver.ids)) == 2
    assert states(dropbox) == [("record.created", "delivered", 2), ("email.associated", "delivered", 1)]


def test_the_service_delivers_at_once_and_stops_at_once(dropbox: Dropbox, receiver: Receiver) -> None:
    address = connect(dropbox, receiver)
    dropbox.deliver(letter(address))
    with dropbox.start() as service:
        await_true(lambda: len(receiver.got) == 2)
        assert [got.type for got in receiver.got] == ["record.created", "email.associated"]
        code, seconds = service.end()
        assert (code, seconds < 10) == (0, True)


def test_events_from_before_the_webhook_are_listed_and_can_be_resent(dropbox: Dropbox, receiver: Receiver) -> None:
    address = dropbox.add_user(OWNER)
    dropbox.deliver(letter(address))
    dropbox.ok("poll")
    assert states(dropbox) == [("record.created", "no_endpoint", 0), ("email.associated", "no_endpoint", 0)]
    receiver.secrets = (dropbox.admin("webhook", "add", receiver.url, "--json").json["secret"],)
    dropbox.ok("poll")
    assert receiver.got == []
    assert dropbox.admin("event", "resend", "--since", "1h", "--json").json == {"resent": 2}
    dropbox.ok("poll")
    assert [got.type for got in receiver.got] == ["record.created", "email.associated"]
    dropbox.admin("event", "resend", receiver.ids[0])
    dropbox.ok("poll")
    assert receiver.ids[2] == receiver.ids[0]
