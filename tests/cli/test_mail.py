"""Records, emails and explanations as typed (R15 to R20)."""

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from freezegun import freeze_time

from tests.cli.conftest import BEN, CARL, JANE, CommandLine
from tests.harness.crm import NOW, commit
from worker.domain.messages import Arrival, Field, Head
from worker.domain.ports import Queue
from worker.filing import quarantined
from worker.store.database import Database
from worker.store.poll_store import PollStore

Arrive = Callable[..., int]


@pytest.fixture
def jane(cli: CommandLine) -> str:
    cli.ok(f"user add {JANE}")
    return JANE


@pytest.mark.parametrize("noun", ["contact", "lead"])
def test_a_record_is_listed_with_the_promised_fields(cli: CommandLine, jane: str, noun: str) -> None:
    line = f"{noun} add {CARL} --last-name Client --owner {jane} --secondary-email carl@home.example"
    made = cli.json(line)
    assert list(made) == ["id", "external_id", "email", "last_name", "first_name", "owner", "source"]
    assert (made["email"], made["last_name"], made["owner"], made["source"]) == (CARL, "Client", jane, "")
    assert cli.json(f"{noun} list") == [made]
    assert cli.json(f"{noun} list --email CARL@HOME.example") == [made]
    assert cli.json(f"{noun} list --owner {jane}") == [made]
    assert "Client" in cli.ok(f"{noun} list").out


@pytest.mark.parametrize("address", ["carl..c@client.example", "carl.@client.example"])
def test_an_address_with_odd_dots_can_be_added_and_gets_mail(
    cli: CommandLine, jane: str, arrive: Arrive, address: str
) -> None:
    cli.ok(f"contact add {address}")
    arrive(jane, to=[address])
    [email] = cli.json(f"email list --contact {address}")
    assert [(record["email"], record["created"]) for record in email["records"]] == [(address, False)]


def test_a_list_that_was_cut_says_so(cli: CommandLine) -> None:
    for number in range(3):
        cli.ok(f"contact add c{number}@client.example")
    cut = cli.ok("contact list --limit 2 --json")
    assert len(cut.json) == 2
    assert "--limit 0" in cut.err
    whole = cli.ok("contact list --limit 0 --json")
    assert (len(whole.json), whole.err) == (3, "")


def test_piped_text_is_not_shortened(cli: CommandLine) -> None:
    name = "x" * 150
    cli.ok(f"contact add {CARL} --last-name {name}")
    cli.ok("contact add dora@client.example --last-name Client")
    out = cli.ok("contact list").out
    assert name in out
    assert max(len(line) for line in out.splitlines() if name not in line) < 150, "one long text widens every line"


def test_an_email_is_listed_with_the_promised_fields(cli: CommandLine, jane: str, arrive: Arrive) -> None:
    arrive(jane, subject="Our offer", message_id="<offer@acme.example>")
    [email] = cli.json(f"email list --contact {CARL}")
    assert list(email) == [
        "id",
        "message_id",
        "subject",
        "sender",
        "sent_at",
        "sent_at_is_arrival",
        "verified",
        "owner",
        "list",
        "direction",
        "claimed",
        "records",
    ]
    assert (email["sent_at"], email["sent_at_is_arrival"]) == ("2026-11-02T09:00:00Z", False)
    assert (email["message_id"], email["owner"]) == ("<offer@acme.example>", jane)
    assert email["list"] == "Sent Emails from CRM"
    [record] = email["records"]
    assert list(record) == ["module", "id", "email", "created", "list", "direction", "claimed"]
    assert (record["module"], record["email"], record["created"]) == ("contact", CARL, True)
    none = cli.ok(f"email list --lead {CARL} --json")
    assert (none.json, none.err.strip()) == ([], f"no lead {CARL} has an email")
    ran = cli.ok(f"email list --contact {CARL}")
    assert "Our offer" in ran.out
    assert "Sent Emails from CRM" in ran.err


def test_without_a_date_the_time_of_arrival_stands_in_and_is_marked(
    cli: CommandLine, jane: str, arrive: Arrive
) -> None:
    arrive(jane, more={"sent_at": None})
    for email in (*cli.json(f"email list --contact {CARL}"), cli.json("email show 1")):
        assert (email["sent_at"], email["sent_at_is_arrival"]) == ("2026-11-02T09:00:00Z", True)
    for line in (f"email list --contact {CARL}", "email show 1"):
        assert "2026-11-02T09:00:00Z (arrival)" in cli.ok(line).out


def test_contact_and_lead_exclude_each_other(cli: CommandLine) -> None:
    assert "exclude each other" in cli.misused(f"email list --contact {CARL} --lead {CARL}")


def test_one_email_is_shown_with_its_attachments(cli: CommandLine, jane: str, arrive: Arrive) -> None:
    arrive(jane)
    [listed] = cli.json("email list")
    shown = cli.json(f"email show {listed['id']}")
    assert shown.items() >= listed.items()
    assert (shown["recipients"], shown["attachments"], shown["snippet"]) == ([CARL], [], "text")
    assert CARL in cli.ok(f"email show {listed['id']}").out


def test_the_original_is_exported_octet_for_octet(cli: CommandLine, jane: str, arrive: Arrive, tmp_path: Path) -> None:
    arrive(jane, body=b"\x00\xff\r\n")
    [email] = cli.json("email list")
    assert cli.ok(f"email export {email['id']}").raw == b"\x00\xff\r\n"
    (tmp_path / "copy.eml").write_bytes(b"longer than the message" * 3000)
    cli.ok(f"email export {email['id']} -o", str(tmp_path / "copy.eml"))
    assert (tmp_path / "copy.eml").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "copy.eml").read_bytes() == b"\x00\xff\r\n"


def test_nothing_of_a_mail_acts_on_a_terminal(cli: CommandLine, jane: str, arrive: Arrive) -> None:
    evil = "\x1b[2J\x9b31m\u202e[bold]\x07\r\nforged: line"
    uid = arrive(jane, subject=evil, message_id="<evil\x1b]0;x\x07@acme.example>")
    [email] = cli.json("email list")
    lines = ("email list", f"email show {email['id']}", f"explain {uid}", "email list --json", f"explain {uid} --json")
    for line in lines:
        assert not set("\x1b\x9b\u202e\x07\r") & set(cli.ok(line).out), line
        assert "\nforged" not in cli.ok(line).out


def test_explain_tells_one_message_as_one_object(cli: CommandLine, jane: str, arrive: Arrive) -> None:
    uid = arrive(jane, message_id="<why@acme.example>")
    story = cli.json("explain '<why@acme.example>'")
    assert list(story)[:5] == ["outcome", "reason", "owner", "email_id", "trace"]
    assert (story["outcome"], story["reason"], story["owner"]) == ("associated", None, jane)
    assert (story["uid"], story["mailbox"]) == (uid, "drop@mx.example/INBOX")
    assert set(story["trace"]) == {"route", "sender", "recipients", "note"}
    assert story["arrived_at"] == story["decided_at"] == "2026-11-02T09:00:00Z"
    [verdict] = story["verdicts"]
    names = ("outcome", "reason", "owner", "email_id", "trace", "unmatched", "claimed")
    assert verdict == {name: story[name] for name in names}
    assert story["others"] == []
    assert cli.json(f"explain {uid}") == story
    assert cli.json("explain why@acme.example") == story


def test_a_message_id_seen_twice_shows_the_others(cli: CommandLine, jane: str, arrive: Arrive) -> None:
    first = arrive(jane, message_id="<same@acme.example>")
    second = arrive(jane, message_id="<same@acme.example>")
    story = cli.json("explain '<same@acme.example>'")
    assert (story["uid"], story["outcome"]) == (second, "duplicate")
    assert [(other["uid"], other["outcome"]) for other in story["others"]] == [(first, "associated")]
    assert "Seen before" in cli.ok("explain '<same@acme.example>'").out


def test_another_message_that_has_the_same_uid_is_not_taken_for_the_same(
    cli: CommandLine, jane: str, arrive: Arrive, database_file: Path
) -> None:
    uid = arrive(jane, message_id="<why@acme.example>")
    head = Head((Field("message-id", "<other@acme.example>"),))
    with closing(Database.open(f"sqlite:///{database_file}")) as database:
        elsewhere = Queue("other@mx.example/INBOX", 1, 0)
        filing = quarantined(Arrival(uid, NOW, 1, b""), head, "ValueError: odd")
        commit(PollStore(database), elsewhere, [filing], NOW + timedelta(minutes=1))
    told = cli.ok(f"explain {uid}").out
    assert "Another message of this UID:\nMessage 1 of drop@mx.example/INBOX" in told
    assert "Seen before" not in told


def test_a_rejection_comes_with_what_to_do(cli: CommandLine, jane: str, arrive: Arrive) -> None:
    uid = arrive(jane, sender="stranger@elsewhere.example")
    told = cli.ok(f"explain {uid}").out
    assert f"For {jane}: rejected (sender_not_registered)" in told
    assert f"bcc-dropbox sender add {jane} stranger@elsewhere.example" in told


def test_a_story_is_told_in_two_columns(cli: CommandLine, jane: str, arrive: Arrive) -> None:
    uid = arrive(jane, sender="stranger@elsewhere.example", message_id="<why@acme.example>")
    told = [line for line in cli.ok(f"explain {uid}").out.splitlines() if line.startswith("  ")]
    assert {line[:13].strip(): line[13:] for line in told}["Message-ID"] == " <why@acme.example>"
    assert [line for line in told if line[13] != " " or line[14] == " "] == []


def test_advice_quotes_what_a_shell_would_run(cli: CommandLine, jane: str, arrive: Arrive) -> None:
    uid = arrive(jane, sender="`reboot`$x@elsewhere.example")
    assert f"sender add {jane} '`reboot`$x@elsewhere.example'" in cli.ok(f"explain {uid}").out


def test_an_unmatched_recipient_waits_and_is_attached_later(cli: CommandLine, jane: str, arrive: Arrive) -> None:
    cli.ok(f"dropbox pattern {jane} contacts-then-leads-only")
    uid = arrive(jane)
    assert f"bcc-dropbox contact add {CARL}" in cli.ok(f"explain {uid}").out
    [email] = cli.json("email list")
    assert "waits for a record" in cli.ok(f"email show {email['id']}").out
    assert cli.json(f"explain {uid}")["unmatched"] == [CARL]
    assert "now stand on it: 1" in cli.ok(f"lead add {CARL}").err
    assert len(cli.json(f"email list --lead {CARL}")) == 1
    assert cli.json(f"email show {email['id']}")["unmatched"] == []
    assert cli.json(f"explain {uid}")["unmatched"] == []
    told = cli.ok(f"explain {uid}").out
    assert "contact add" not in told
    assert "was added since" in told


@freeze_time("2026-11-02T10:00:00Z")
def test_explain_looks_for_messages_by_their_people(cli: CommandLine, jane: str, arrive: Arrive) -> None:
    cli.ok(f"user add {BEN}")
    first, second = arrive(jane), arrive(BEN, to=["dora@other.example"])

    def uids(filters: str) -> list[int]:
        return [story["uid"] for story in cli.json(f"explain --since 2h {filters}")]

    assert uids("") == [second, first]
    assert uids(f"--to {CARL}") == [first]
    assert uids(f"--from {BEN} --to other.example") == [second]
    assert cli.json("explain --since 2h --to nobody@x.example") == []
    assert cli.json("explain --since 59m") == []
    assert "no such message" in cli.ok("explain --since 2h --to nobody@x.example").err
    assert cli.ok("explain --since 2h").out.count("is in the folder Associated") == 2


def test_an_account_is_told_only_its_own(cli: CommandLine, jane: str, arrive: Arrive) -> None:
    uid = arrive(jane)
    assert f"For {jane}: associated" in cli.ok(f"explain {uid}").out
    assert "no dropbox of this account" not in cli.refused("explain 99")
    cli.ok("account add Other")
    for line in (f"explain {uid}", f"explain {uid} --account Default"):
        assert f"For {jane} (account Default): associated" in cli.ok(line).out
    error = cli.refused(f"explain {uid} --account Other")
    assert "it never arrived here, or went to no dropbox of this account, or still waits" in error


@pytest.mark.parametrize("line", ["explain", "explain 1 --since 2d", "explain 1 --to a@b.example", "explain --since 2"])
def test_explain_needs_a_message_or_something_to_look_for(cli: CommandLine, line: str) -> None:
    assert "Error: " in cli.misused(line)


def test_a_person_is_erased_where_no_mailbox_is_configured(cli: CommandLine, jane: str, arrive: Arrive) -> None:
    arrive(jane)
    ran = cli.ok(f"erase {CARL} --yes --json")
    assert (ran.json["tables"]["email"], ran.json["folders"], ran.json["never_log"]) == (1, {}, [CARL])
    assert "no mailbox is configured: its folders are not searched" in ran.err
    assert cli.json("email list") == []
