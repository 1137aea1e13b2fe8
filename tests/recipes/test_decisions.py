"""From SMTP to the stored decision: each recipe with the worker behind it, run as a process."""

from pathlib import Path

import pytest

from tests.recipes.chain import Chain
from tests.recipes.installation import BERT, Installation, Users, add_users, install
from tests.recipes.letters import FORGED, JO, OUR_ID, naming, vouched_for
from tests.servers.dovecot import Dovecot


@pytest.fixture(scope="session")
def users(dovecot: Dovecot, tmp_path_factory: pytest.TempPathFactory) -> Users:
    return add_users(dovecot, tmp_path_factory.mktemp("users"))


@pytest.fixture
def installation(chain: Chain, users: Users, tmp_path: Path) -> Installation:
    return install(chain, users, tmp_path)


def test_a_mail_is_filed_for_both_owners_it_was_delivered_to_and_for_no_forged_verdict(
    chain: Chain, installation: Installation
) -> None:
    chain.send(installation.addresses, naming(FORGED))
    chain.arrived(2)
    polled = installation.poll(SENDER_AUTH="off")
    assert polled.json == {"associated": 2, "duplicate": 0, "rejected": 0, "quarantined": 0, "deferred": 0}
    owners = {event["owner"] for event in polled.events if event["event"] == "message.associated"}
    assert owners == {JO, BERT}
    [email] = installation.dropbox.sent_emails("contact", "kim@client.example")
    assert [record["email"] for record in email["records"]] == ["kim@client.example"]

    chain.send(installation.addresses[:1], vouched_for())
    chain.arrived(1)
    polled = installation.poll(AUTHSERV_ID=OUR_ID, SENDER_AUTH="required")
    assert polled.json["rejected"] == 1
    [reason] = [event["reason"] for event in polled.events if event["event"] == "message.rejected"]
    assert reason == "sender_unauthenticated"
