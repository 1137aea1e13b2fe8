"""One mail's whole journey: Bcc in, record's list out (R1, R4, R12, R15 to R20)."""

import json
from collections.abc import Callable
from pathlib import Path

from tests.harness.command import COMMAND, run_installed
from tests.harness.installation import Dropbox
from tests.harness.letters import letter
from tests.servers.dovecot import Dovecot
from tests.servers.terminal import run_on_terminal


def test_a_bcc_stands_on_the_new_contact(empty_url: str, dropbox_on: Callable[[str], Dropbox]) -> None:
    dropbox = dropbox_on(empty_url)
    dropbox.run_command = run_installed
    address = dropbox.ok("user", "add", "jane@acme.example", "--json").json["address"]
    mail = letter(address, subject="Our offer")
    dropbox.deliver(mail)

    assert dropbox.poll() == {"associated": 1}

    [email] = dropbox.ok("email", "list", "--contact", "carl@client.example", "--json").json
    assert email["subject"] == "Our offer"
    assert email["owner"] == "jane@acme.example"
    assert email["list"] == "Sent Emails from CRM"
    [record] = email["records"]
    assert (record["module"], record["email"], record["created"]) == ("contact", "carl@client.example", True)
    [contact] = dropbox.ok("contact", "list", "--json").json
    assert contact["last_name"] == "carl@client.example"
    assert contact["source"] == "BCC Dropbox"
    assert contact["owner"] == "jane@acme.example"
    assert dropbox.folder("Associated") == [mail]
    assert dropbox.folder() == []


def test_the_original_is_exported_octet_for_octet(dropbox: Dropbox, tmp_path: Path) -> None:
    address = dropbox.add_user("jane@acme.example")
    mail = letter(address, body="8-bit: \u00e4\u00f6\u00fc\n\n.\n")
    dropbox.deliver(mail)
    dropbox.poll()
    [email] = dropbox.ok("email", "list", "--json").json
    target = tmp_path / "copy.eml"
    dropbox.ok("email", "export", str(email["id"]), "-o", str(target))
    assert target.read_bytes() == mail


def test_a_second_poll_does_nothing_again(dropbox: Dropbox) -> None:
    dropbox.deliver(letter(dropbox.add_user("jane@acme.example")))
    assert dropbox.poll() == {"associated": 1}
    assert dropbox.poll() == {}


def test_poll_counts_every_outcome(dropbox: Dropbox) -> None:
    address = dropbox.add_user("jane@acme.example")
    dropbox.deliver(letter(address))
    dropbox.deliver(letter("drop+guessed@drop.example.com"))
    ran = dropbox.ok("poll", "--json")
    assert ran.json == {"associated": 1, "duplicate": 0, "rejected": 1, "quarantined": 0, "deferred": 0}
    events = {event["event"]: event for event in ran.events}
    assert events["message.associated"]["owner"] == "jane@acme.example"
    assert events["message.rejected"]["reason"] == "unknown_token"
    token = address.partition("+")[2].partition("@")[0]
    assert token not in ran.err, "a whole token in the log"


def test_the_log_is_for_people_on_a_terminal_and_json_elsewhere(dropbox: Dropbox) -> None:
    address = dropbox.add_user("jane@acme.example")
    dropbox.deliver(letter(address, subject="on a terminal"))
    code, octets = run_on_terminal([COMMAND, "poll"], dropbox.environment, columns=200)
    shown = octets.decode()
    assert code == 0, shown
    [line] = [line for line in shown.splitlines() if "message.associated" in line]
    assert "\x1b[" in line
    assert not [line for line in shown.splitlines() if line.lstrip().startswith("{")]
    dropbox.deliver(letter(address, subject="piped"))
    polled = dropbox.ok("poll")
    events = ["sender_auth.off", "message.associated", "poll.finished"]
    assert [json.loads(line)["event"] for line in polled.err.splitlines()] == events
    assert "\x1b" not in polled.err + polled.out


def test_a_wrong_password_is_one_clear_line(dropbox: Dropbox, forgiving_dovecot: Dovecot) -> None:
    polled = dropbox.run("poll", imap_port=str(forgiving_dovecot.imap), imap_password="a-wrong-one")
    assert (polled.code, polled.out) == (1, "")
    [line] = polled.err.splitlines()
    server = f"IMAP server 127.0.0.1:{forgiving_dovecot.imap}"
    assert line.startswith(f"error: {server}: login refused for {dropbox.mailbox}: ")
    assert "a-wrong-one" not in line


def test_an_unknown_host_is_one_clear_line(dropbox: Dropbox) -> None:
    settings = {"imap_host": "imap.invalid", "imap_port": "993", "imap_tls": "ssl"}
    polled = dropbox.run("poll", **settings)
    assert (polled.code, polled.out) == (1, "")
    [line] = polled.err.splitlines()
    assert line.startswith("error: IMAP server imap.invalid:993: the host is unknown: ")


def test_explain_tells_why(dropbox: Dropbox) -> None:
    address = dropbox.add_user("jane@acme.example")
    dropbox.deliver(letter(address, sender="stranger@elsewhere.example", Message_ID="<why@acme.example>"))
    assert dropbox.poll() == {"rejected": 1}
    story = dropbox.ok("explain", "<why@acme.example>", "--json").json
    assert (story["outcome"], story["reason"]) == ("rejected", "sender_not_registered")
    assert story["owner"] == "jane@acme.example"
    assert story["trace"]["route"]["header"] == "Delivered-To"
    assert "sender add" in dropbox.ok("explain", "<why@acme.example>").out
    assert json.dumps(story).find(address) == -1
