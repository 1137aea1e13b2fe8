"""From SMTP to the stored decision: each recipe with the worker behind it, run as a process."""

from tests.harness.installation import Installation
from tests.recipes.chain import Chain
from tests.recipes.conftest import BEN
from tests.recipes.letters import FORGED, JO, naming, vouched_for
from tests.recipes.test_probe import REQUIRED


def test_a_mail_is_filed_for_both_owners_it_was_delivered_to_and_for_no_forged_verdict(
    chain: Chain, worker: Installation
) -> None:
    chain.send([worker.address_of(JO), worker.address_of(BEN)], naming(FORGED))
    chain.arrived(2)
    polled = worker.ok("poll", "--json", sender_auth="off")
    assert polled.json == {"associated": 2, "duplicate": 0, "rejected": 0, "quarantined": 0, "deferred": 0}
    owners = {event["owner"] for event in polled.events if event["event"] == "message.associated"}
    assert owners == {JO, BEN}
    [email] = worker.sent_emails("contact", "kim@client.example")
    assert [record["email"] for record in email["records"]] == ["kim@client.example"]

    chain.send([worker.address_of(JO)], vouched_for())
    chain.arrived(1)
    polled = worker.ok("poll", "--json", **REQUIRED)
    assert polled.json["rejected"] == 1
    [reason] = [event["reason"] for event in polled.events if event["event"] == "message.rejected"]
    assert reason == "sender_unauthenticated"
