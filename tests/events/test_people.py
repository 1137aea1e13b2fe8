"""What people see of webhooks and events, and what they can do (R26)."""

import json
from typing import Any

from tests.events.receiver import SECRET, Receiver, answers
from tests.events.test_worker import OWNER, states
from tests.events.test_worker import connect as connect_webhook
from tests.harness.installation import Dropbox
from tests.harness.letters import letter


def test_a_webhook_is_added_once_and_its_secret_is_shown_once(dropbox: Dropbox, receiver: Receiver) -> None:
    dropbox.add_user(OWNER)
    added = dropbox.admin("webhook", "add", receiver.url, "--json").json
    assert set(added) == {"id", "url", "secret"}
    assert added["secret"].startswith("whsec_")
    for command in (["list"], ["list", "--json"], ["disable"], ["enable", str(added["id"])], ["remove", "--json"]):
        assert added["secret"] not in dropbox.admin("webhook", *command).out
    refused = dropbox.run("webhook", "test")
    assert (refused.code, refused.err) == (1, "error: account Default has no webhook: `webhook add URL` makes one\n")


def test_a_second_webhook_and_bad_urls_are_refused(dropbox: Dropbox, receiver: Receiver) -> None:
    connect_webhook(dropbox, receiver)
    assert "has a webhook already" in dropbox.run("webhook", "add", "https://other.example/").err
    assert "over https only" in dropbox.run("webhook", "add", "http://other.example/").err
    assert dropbox.run("webhook", "add").code == 2
    assert "no webhook 7" in dropbox.run("webhook", "test", "7").err
    assert "no event" in dropbox.run("event", "resend", "evt_0_99").err
    assert dropbox.run("event", "resend").code == 2


def test_a_rotation_gives_a_new_secret_and_signs_with_both(dropbox: Dropbox, receiver: Receiver) -> None:
    address = connect_webhook(dropbox, receiver)
    (old,) = receiver.secrets
    rotated = dropbox.admin("webhook", "add", "--rotate", "--json").json
    assert (rotated["url"], rotated["secret"] != old) == (receiver.url, True)
    receiver.secrets = (old, rotated["secret"])
    dropbox.deliver(letter(address))
    dropbox.ok("poll")
    assert (len(receiver.got), receiver.refused) == (2, [])
    assert dropbox.admin("webhook", "test", "--json").json["ok"]
    assert (len(receiver.got), receiver.refused) == (3, []), "a test is signed as a delivery is"


def test_a_test_event_shows_the_answer(dropbox: Dropbox, receiver: Receiver) -> None:
    connect_webhook(dropbox, receiver)
    receiver.behaviour = answers(200, b"welcome")
    shown = dropbox.admin("webhook", "test", "--json").json
    assert (shown["ok"], shown["status"], shown["body"]) == (True, 200, "welcome")
    assert receiver.got[0].type == "webhook.test"
    receiver.behaviour = answers(500, b"\x1b[31mno")
    failed = dropbox.run("webhook", "test")
    assert (failed.code, "\x1b" in failed.out) == (1, False)
    assert states(dropbox) == []


def test_status_check_and_metrics_know_a_webhook_that_is_paused(dropbox: Dropbox, receiver: Receiver) -> None:
    address = connect_webhook(dropbox, receiver)
    receiver.behaviour = answers(410)
    dropbox.deliver(letter(address))
    polled = dropbox.ok("poll")
    [paused] = [event for event in polled.events if event["event"] == "webhook.paused"]
    assert (paused["level"], paused["account"]) == ("warning", "Default")
    [webhook] = dropbox.admin("status", "--json").json["webhooks"]
    assert (webhook["state"], webhook["backlog"]) == ("paused", 2)
    assert webhook["oldest_age_seconds"] >= 0
    assert "paused: the receiver answered 410" in dropbox.admin("status").out
    [finding] = [one for one in json.loads(dropbox.run("check", "--json").out) if "webhook" in one["what"]]
    assert (finding["result"], "paused" in finding["seen"]) == ("warn", True)
    figures = metrics(dropbox)
    assert (figures["bcc_dropbox_events_waiting"], figures['bcc_dropbox_webhooks{state="paused"}']) == (2, 1)
    receiver.behaviour = answers(204)
    dropbox.admin("webhook", "enable")
    dropbox.ok("poll")
    assert [state for _, state, _ in states(dropbox)] == ["delivered"] * 2
    assert metrics(dropbox)["bcc_dropbox_events_waiting"] == 0


def metrics(dropbox: Dropbox) -> dict[str, float]:
    """The figures as a running service would show them."""
    from prometheus_client import generate_latest

    from worker.service.metrics import Figures

    lines = generate_latest(Figures(dropbox.loaded, lambda: False).registry).decode().splitlines()
    found: dict[str, Any] = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in found.items()}


def test_what_people_do_is_reported_in_order(dropbox: Dropbox, receiver: Receiver) -> None:
    connect_webhook(dropbox, receiver)
    for command in (
        "contact add carl@client.example --external-id K-17",
        "contact add dora@client.example",
        "contact edit external:K-17 --last-name Client",
        "contact merge dora@client.example --into external:K-17",
        "contact delete external:K-17",
        f"dropbox regenerate {OWNER}",
    ):
        dropbox.admin(*command.split())
    dropbox.ok("poll")
    types = [got.type for got in receiver.got]
    assert types.count("record.created") == 2
    assert types.count("dropbox.regenerated") == 1
    first = next(got.data["record_id"] for got in receiver.got if got.data.get("external_id") == "K-17")
    of_record = [got.type for got in receiver.got if got.data.get("record_id") == first]
    assert of_record == [
        *("record.created", "record.updated"),
        *("record.updated", "record.merged"),  # it gained an address
        "record.deleted",
    ]
    assert "+" not in json.dumps([got.body for got in receiver.got]), "no dropbox address"
    assert SECRET not in receiver.got[0].headers.values()
