"""Leads, contacts and what waits for them through the command line, on both databases (R15 to R17, R24, R25)."""

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import BEN, CARL, JANE, CommandLine
from tests.harness.crm import Mail, file
from worker.store.database import Database
from worker.store.poll_store import PollStore

NEW = "carl@new.example"
LISTED = ["id", "external_id", "email", "last_name", "first_name", "owner", "source"]

Arrive = Callable[..., None]


@pytest.fixture
def cli(url: str, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.setenv("BCC_DROPBOX_ADDRESS", "drop@drop.example")
    monkeypatch.setenv("BCC_DROPBOX_DATABASE_URL", url)
    line = CommandLine()
    line.ok(f"user add {JANE}")
    line.ok(f"user add {BEN}")
    return line


@pytest.fixture
def arrive(cli: CommandLine, url: str) -> Iterator[Arrive]:
    """File a mail through Jane's dropbox."""
    database = Database.open(url)
    uids = count(1)

    def arrive_one(to: Sequence[str] = (CARL,)) -> None:
        token = cli.json(f"dropbox show {JANE}")["address"].partition("+")[2].partition("@")[0]
        file(PollStore(database), Mail(next(uids), token, JANE, to))

    yield arrive_one
    database.close()


def wait(cli: CommandLine) -> None:
    cli.ok(f"dropbox pattern {JANE} contacts-then-leads-only")


def emails_of(cli: CommandLine, name: object, module: str = "contact") -> int:
    return len(cli.json(f"email list --{module} {name}"))


def imported(cli: CommandLine, tmp_path: Path, text: str, *more: str) -> Any:
    people = tmp_path / "people.csv"
    people.write_text(text)
    return cli.json("contact import", str(people), *more)


def test_an_import_is_an_upsert_and_counts(cli: CommandLine, arrive: Arrive, tmp_path: Path) -> None:
    wait(cli)
    arrive()
    text = f"external_id;email;last_name;owner\nK1;{CARL};Carl;{JANE}\nK2;{CARL};;\nK1;x@client.example;;\n"
    first = imported(cli, tmp_path, text)
    assert list(first)[:5] == ["created", "updated", "unchanged", "skipped", "attached"]
    assert list(first.values())[:5] == [2, 0, 0, 1, 1]
    assert first["bad"] == [{"line": 4, "why": "the external ID K1 is that of line 2 already"}]
    assert list(imported(cli, tmp_path, text).values())[:5] == [0, 0, 2, 1, 0]
    assert list(imported(cli, tmp_path, text.replace("Carl;", "C.;"), "--dry-run").values())[:5] == [0, 1, 1, 1, 0]
    assert cli.json("contact show external:K1")["last_name"] == "Carl"
    by_email = imported(cli, tmp_path, f"email,first_name\n{CARL},C\n{NEW},C\n", "--key", "email")
    assert (by_email["created"], by_email["skipped"]) == (1, 1)


def test_records_are_shown_and_edited_by_whom_and_when(cli: CommandLine, arrive: Arrive) -> None:
    made = cli.json(f"contact add {CARL} --external-id K1 --as {JANE}")
    assert list(made) == LISTED
    edited = cli.json(f"contact edit {made['id']} --email {NEW} --last-name Carl --external-id K2 --as {BEN}")
    assert (edited["email"], edited["last_name"], edited["external_id"]) == (NEW, "Carl", "K2")
    assert (edited["created_by"], edited["changed_by"], edited["addresses"]) == (JANE, BEN, [NEW, CARL])
    assert cli.json("contact show external:K2") == cli.json(f"contact show {CARL}") == edited
    assert edited["changed_at"].endswith("Z")
    arrive()
    assert emails_of(cli, edited["id"]) == emails_of(cli, "external:K2") == 1
    [listed] = cli.json(f"contact list --email {CARL}")
    assert list(listed) == LISTED
    cleared = cli.json(f"contact edit {NEW} --external-id= --owner {BEN} --remove-address {CARL}")
    assert (cleared["external_id"], cleared["owner"], cleared["addresses"]) == (None, BEN, [NEW])


def test_records_are_merged_converted_and_deleted(cli: CommandLine, arrive: Arrive) -> None:
    arrive()
    kept = cli.json(f"contact add {NEW}")["id"]
    lead = cli.json(f"lead add {CARL} --external-id K1")["id"]
    [duplicate] = cli.json(f"contact list --email {CARL}")
    merged = cli.json(f"contact merge {duplicate['id']} --into {kept} --as {JANE}")
    assert (merged["id"], merged["addresses"]) == (kept, [NEW, CARL])
    converted = cli.json(f"lead convert {lead}")
    assert (converted["module"], converted["external_id"]) == ("contact", "K1")
    assert cli.json("lead list") == []
    [pair] = cli.json("contact duplicates")
    assert pair["command"] == f"bcc-dropbox contact merge {converted['id']} --into {kept}"
    cli.ok(pair["command"].removeprefix("bcc-dropbox "))
    assert cli.json("contact duplicates") == []
    assert emails_of(cli, CARL) == 1
    lost = cli.run(f"contact delete {kept}")
    assert (lost.code, lost.err.strip()) == (0, "emails that were on no other record, and stay: 1")
    assert (cli.json("contact list"), len(cli.json("email list"))) == ([], 1)


def test_what_cannot_be_is_one_clear_line(cli: CommandLine) -> None:
    contact = cli.json(f"contact add {CARL} --external-id K1")["id"]
    lead = cli.json(f"lead add {CARL}")["id"]
    for line, says in (
        (
            f"lead merge {lead} --into {contact}",
            f"cannot be merged into a contact: `lead convert {lead} --into {contact}`",
        ),
        (f"contact merge {contact} --into {contact}", "into itself"),
        (f"contact add {NEW} --external-id K1", f"the external ID K1 is that of contact {contact} already"),
        (f"contact show {lead}", f"{lead} is a lead, not a contact: `lead show {lead}` shows it"),
        ("contact edit external:K9 --last-name X", "no contact external:K9 in account Default: `contact list`"),
        ("contact delete nobody@client.example", "no contact nobody@client.example"),
        (f"unmatched assign {CARL} --new-lead", f"no email waits for {CARL} in account Default: `unmatched list`"),
        (f"contact edit {contact} --remove-address {NEW}", f"contact {contact} has no address {NEW}: `contact show"),
        (f"contact edit {contact} --remove-address {CARL}", f"{CARL} is the email of contact {contact}: --email"),
        (
            f"contact edit {contact} --external-id {'k' * 256}",
            "an external ID has at most 255 characters, all of which",
        ),
        (f"contact add {NEW} --external-id 'a\tb'", "an external ID has at most 255 characters, all of which can be"),
        (f"contact edit {contact} --owner nobody@acme.example", "no user nobody@acme.example"),
        (f"contact edit {contact} --last-name X --as nobody@acme.example", "no user nobody@acme.example"),
    ):
        assert says in cli.refused(line)
    assert "name what is to be changed" in cli.misused(f"contact edit {contact}")
    assert "a contact needs an email or --external-id" in cli.misused("contact add ''")
    assert "one of --contact ID" in cli.misused(f"unmatched assign {CARL} --new-lead --lead 1")
    cli.ok(f"profile revoke Standard leads --as {JANE}")
    assert f"{BEN} may not change leads" in cli.refused(f"lead edit {lead} --last-name X --as {BEN}")


def test_what_waits_is_listed_and_assigned(cli: CommandLine, arrive: Arrive) -> None:
    wait(cli)
    arrive([CARL, NEW])
    arrive()
    [carl, new] = sorted(cli.json("unmatched list"), key=lambda row: row["address"])
    assert list(carl) == ["address", "emails", "first_at", "last_at"]
    assert [(row["address"], row["emails"]) for row in (carl, new)] == [(CARL, 2), (NEW, 1)]
    assert carl["first_at"] == carl["last_at"] == "2026-11-02T09:00:00Z"
    assert len(cli.json("email list --unmatched")) == 2
    made = cli.json(f"unmatched assign {CARL} --new-contact")
    assert made["attached"] == 2
    shown = cli.json(f"contact show {made['id']}")
    assert (shown["owner"], shown["source"]) == (JANE, "BCC Dropbox"), "as mail would have made it (R17)"
    assigned = cli.ok(f"unmatched assign {NEW} --contact {made['id']}")
    assert "attached  0" in assigned.out
    assert f"contact {made['id']} had these emails already, by another address" in assigned.err
    assert (cli.json("unmatched list"), cli.json("email list --unmatched")) == ([], [])
    assert cli.json(f"contact show {NEW}")["addresses"] == [CARL, NEW]
    arrive([NEW])
    assert emails_of(cli, CARL) == 3


def test_mail_of_an_owner_without_the_permission_waits_on(cli: CommandLine, arrive: Arrive) -> None:
    wait(cli)
    arrive()
    cli.ok(f"profile revoke Administrator leads --as {JANE}")
    assigned = cli.ok(f"unmatched assign {CARL} --new-lead")
    assert f"some emails still wait for {CARL}: the profile of their owner has no permission for leads" in assigned.err
    assert [row["address"] for row in cli.json("unmatched list")] == [CARL]


def test_an_account_chooses_what_names_its_records(cli: CommandLine, arrive: Arrive) -> None:
    arrive(["Carl Client <carl@client.example>"])
    changed = cli.json("account set default --record-names display-name")
    assert (changed["name"], changed["record_names"]) == ("Default", "display-name")
    arrive(['"Doe, Jane" <doe@client.example>', "x@client.example <y@client.example>", "z@client.example"])
    cli.ok("account set Default --record-names address")
    arrive(["Eve Later <eve@client.example>"])
    named = {row["email"]: (row["first_name"], row["last_name"]) for row in cli.json("contact list")}
    assert named == {
        CARL: ("", CARL),
        "doe@client.example": ("Jane", "Doe"),
        "y@client.example": ("", "y@client.example"),
        "z@client.example": ("", "z@client.example"),
        "eve@client.example": ("", "eve@client.example"),
    }
    said = cli.misused("account set Default --record-names nonsense")
    assert "Error: Invalid value for '--record-names': 'nonsense' is not one of" in said
    assert "no account 'Acme'" in cli.refused("account set Acme --record-names address")
