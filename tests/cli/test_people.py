"""Accounts, profiles, users, dropboxes and senders as typed (R1 to R3, R7 to R11)."""

import re
from pathlib import Path

import pytest
import vobject

from tests.cli.conftest import BEN, JANE, CommandLine
from worker.store.database import Database

ADDRESS = re.compile(r"drop\+[0-9a-hjkmnp-tv-z]{26}@drop\.example")


def test_the_first_user_needs_nothing_before(cli: CommandLine) -> None:
    ran = cli.ok(f"user add {JANE}")
    assert ADDRESS.search(ran.out)
    assert "Administrator" in ran.err
    assert "Standard" in cli.ok(f"user add {BEN}").err


def test_user_add_and_dropbox_show_print_the_promised_fields(cli: CommandLine) -> None:
    made = cli.json(f"user add {JANE}")
    assert list(made) == ["user", "address", "pattern", "senders", "permission"]
    assert ADDRESS.fullmatch(made.pop("address"))
    assert made == {
        "user": JANE,
        "pattern": "contacts-then-leads-or-new-contact",
        "senders": [JANE],
        "permission": True,
    }
    assert cli.json(f"dropbox show {JANE.upper()}").items() >= made.items()


def test_a_profile_without_dropbox_shows_no_address(cli: CommandLine) -> None:
    cli.ok(f"user add {JANE}")
    cli.ok(f"profile add Reader --as {JANE}")
    made = cli.run(f"user add {BEN} --profile reader --json")
    assert made.json["address"] is None
    assert made.json["permission"] is False
    assert "lacks bcc_dropbox" in made.err
    assert "lacks bcc_dropbox" in cli.refused(f"dropbox show {BEN}")
    assert "lacks bcc_dropbox" in cli.refused(f"dropbox regenerate {BEN}")
    assert "lacks bcc_dropbox" in cli.refused(f"dropbox vcard {BEN}")
    assert "lacks bcc_dropbox" in cli.refused(f"dropbox pattern {BEN} leads-or-new-lead")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("user add jane", "must be an e-mail address"),
        (f"user add {JANE}", f"`dropbox show {JANE}` shows it"),
        (f"user add {BEN} --profile Boss", "there are Administrator, Standard"),
        (f"user add {BEN} --account Amce", "no account 'Amce': there is Default"),
        ("user enable nobody@acme.example", f"there are {JANE}"),
        ("user disable nobody@acme.example", f"there are {JANE}"),
        (f"user enable {JANE} --profile Boss", "there are Administrator, Standard"),
        ("dropbox show nobody@acme.example", f"there are {JANE}"),
        (f"dropbox pattern {JANE} everywhere", "there are contacts-or-new-contact"),
        (f"sender add {JANE} nonsense", "must be an e-mail address"),
        (f"sender add {JANE} jane..doe@acme.example", "proves nobody"),
        ("user add jane.@acme.example", "proves nobody"),
        (f"sender add {JANE} {JANE}", "already"),
        (f"sender remove {JANE} {JANE}", "another one first"),
        (f"sender remove {JANE} other@acme.example", f"there are {JANE}"),
        ("sender list nobody@acme.example", f"there are {JANE}"),
        ("profile add Sales --as nobody@acme.example", f"there are {JANE}"),
        (f"profile add standard --as {JANE}", "choose another name"),
        (f"profile grant Standard fly --as {JANE}", "there are bcc_dropbox, leads, contacts, manage_profiles"),
        (f"profile revoke Boss leads --as {JANE}", "there are Administrator, Standard"),
        (f"profile revoke Administrator manage_profiles --as {JANE}", "grant it to another one first"),
        ("account add default", "choose another name"),
        ("never-log add nonsense", "neither an address"),
        ("never-log remove bank.example", "`never-log list` shows what is"),
        ("contact add nonsense", "must be an e-mail address"),
        ("lead add a@b.example --secondary-email nonsense", "must be an e-mail address"),
        ("lead add a@b.example --owner nobody@acme.example", f"there are {JANE}"),
        ("email show 7", "`email list` shows what there is"),
        ("email export 7", "`email list` shows what there is"),
        ("email list --contact nonsense", "by its ID, by its address or by external:KEY"),
        ("email list --contact 7", "no contact 7 in account Default: `contact list` shows what there is"),
        ("email list --lead external:K7", "no lead external:K7 in account Default: `lead list` shows what there is"),
        ("explain 7", "explain --to ADDRESS"),
        ("explain '<none@acme.example>'", "no decision on '<none@acme.example>'"),
    ],
)
def test_what_is_refused_says_in_one_line_what_would_have_worked(cli: CommandLine, line: str, says: str) -> None:
    cli.ok(f"user add {JANE}")
    before = cli.json("user list"), cli.json("profile list"), cli.json(f"sender list {JANE}"), cli.json("contact list")
    assert says in cli.refused(line)
    assert before == (
        cli.json("user list"),
        cli.json("profile list"),
        cli.json(f"sender list {JANE}"),
        cli.json("contact list"),
    )


def test_a_sixth_sender_is_refused(cli: CommandLine) -> None:
    cli.ok(f"user add {JANE}")
    for number in range(4):
        cli.ok(f"sender add {JANE} jane{number}@home.example")
    assert "five" in cli.refused(f"sender add {JANE} jane5@home.example")
    assert [row["address"] for row in cli.json(f"sender list {JANE}")][-1] == "jane3@home.example"
    cli.ok(f"sender remove {JANE} {JANE}")
    assert JANE not in cli.ok(f"sender list {JANE}").out


def test_several_accounts_need_one_named(cli: CommandLine) -> None:
    cli.ok("account add One")
    cli.ok("account add Two")
    assert "several accounts: One, Two: name one with --account" in cli.refused(f"user add {JANE}")
    cli.ok(f"user add {JANE} --account two")
    listed = [(account["name"], account["users"]) for account in cli.json("account list")]
    assert listed == [("One", 0), ("Two", 1)]
    assert cli.json("user list --account One") == []


def test_profiles_are_listed_with_their_permissions(cli: CommandLine) -> None:
    cli.ok(f"user add {JANE}")
    cli.ok(f"profile add Sales --as {JANE}")
    granted = cli.json(f"profile grant sales bcc-dropbox --as {JANE}")
    assert granted == {"profile": "Sales", "permissions": ["bcc_dropbox", "leads", "contacts"]}
    cli.ok(f"profile revoke Sales leads --as {JANE}")
    [sales] = [row for row in cli.json("profile list") if row["profile"] == "Sales"]
    assert sales == {"profile": "Sales", "permissions": ["bcc_dropbox", "contacts"], "users": 0}
    assert "Sales" in cli.ok("profile list").out


def test_only_a_profile_manager_changes_profiles(cli: CommandLine) -> None:
    cli.ok(f"user add {JANE}")
    cli.ok(f"user add {BEN}")
    assert "manage_profiles" in cli.refused(f"profile add Sales --as {BEN}")
    assert "--as" in cli.misused("profile add Sales")


def test_users_are_enabled_disabled_and_moved_to_another_profile(cli: CommandLine) -> None:
    cli.ok(f"user add {JANE}")
    assert cli.json(f"user disable {JANE}")["enabled"] is False
    changed = cli.json(f"user enable {JANE} --profile standard")
    assert (changed["enabled"], changed["profile"]) == (True, "Standard")
    assert "Standard" in cli.ok("user list").out


def test_a_regenerated_address_is_another_one(cli: CommandLine) -> None:
    old = cli.json(f"user add {JANE}")["address"]
    new = cli.json(f"dropbox regenerate {JANE} --grace 7d")["address"]
    assert ADDRESS.fullmatch(new)
    assert new != old
    assert cli.json(f"dropbox show {JANE}")["address"] == new


@pytest.mark.parametrize("grace", ["7", "7x", "-1d", "d", "99999999w"])
def test_a_grace_period_that_is_none_is_wrong_usage(cli: CommandLine, grace: str) -> None:
    cli.ok(f"user add {JANE}")
    assert "like 90s, 30m, 12h, 7d or 2w" in cli.misused(f"dropbox regenerate {JANE} --grace={grace}")


def test_the_vcard_can_be_read_back(cli: CommandLine, tmp_path: Path) -> None:
    address = cli.json(f"user add {JANE}")["address"]
    raw = cli.ok(f"dropbox vcard {JANE}").raw
    card = vobject.readOne(raw.decode())
    assert (card.version.value, card.email.value) == ("3.0", address)
    assert JANE in card.fn.value
    assert card.n.value.family == "BCC Dropbox"
    assert b"\r\n" in raw
    file = tmp_path / "dropbox.vcf"
    file.touch(mode=0o644)
    assert cli.ok(f"dropbox vcard {JANE} -o", str(file)).out == ""
    assert file.stat().st_mode & 0o777 == 0o600  # the address is a key
    assert file.read_bytes() == raw


def test_a_file_that_cannot_be_written_is_named(cli: CommandLine, tmp_path: Path) -> None:
    cli.ok(f"user add {JANE}")
    assert "cannot be written" in cli.refused(f"dropbox vcard {JANE} -o", str(tmp_path / "no" / "where.vcf"))


def test_the_never_log_list_is_kept(cli: CommandLine) -> None:
    cli.ok("never-log add Bank.example")
    assert cli.json("never-log list") == [{"entry": "bank.example"}]
    assert "bank.example" in cli.ok("never-log list").out
    assert cli.json("never-log remove bank.example") == {"entry": "bank.example"}
    assert cli.json("never-log list") == []


@pytest.mark.parametrize("noun", ["user", "contact", "lead", "email", "profile", "never-log", "account"])
def test_on_an_empty_database_every_list_is_empty(cli: CommandLine, database_file: Path, noun: str) -> None:
    Database.open(f"sqlite:///{database_file}").close()
    assert cli.json(f"{noun} list") == []
    assert cli.ok(f"{noun} list").err == ""
