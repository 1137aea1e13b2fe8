"""An address outside the login's own domain is mailed a code, which is typed back: the commands and a real server."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from freezegun import freeze_time

from tests.cli.conftest import CommandLine
from tests.notices.conftest import NEVER, Outside


@pytest.fixture
def cli(outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.setenv("BCC_DROPBOX_ADDRESS", "drop@drop.example")
    monkeypatch.setenv("BCC_DROPBOX_DATABASE_URL", f"sqlite:///{tmp_path / 'dropbox.db'}")
    monkeypatch.setenv("BCC_DROPBOX_SMTP_URL", f"smtp://localhost:{outside.postfix.port}")
    monkeypatch.setenv("BCC_DROPBOX_NOTICE_FROM", "dropbox@acme.example")
    return CommandLine()


def senders(cli: CommandLine, login: str) -> dict[str, bool]:
    return {row["address"]: row["proven_at"] is not None for row in cli.json(f"sender list {login}")}


def test_the_code_arrives_by_mail_and_is_typed_back(cli: CommandLine, outside: Outside, login: str) -> None:
    cli.ok("user add jane@corp.example")
    added = cli.ok(f"sender add jane@corp.example {login} --json")
    assert "sender verify jane@corp.example CODE" in added.err
    assert senders(cli, "jane@corp.example") == {"jane@corp.example": True, login: False}
    (letter,) = outside.letters(login)
    assert (letter["Auto-Submitted"], letter["Return-Path"]) == ("auto-generated", "<dropbox@acme.example>")
    command = re.search(r"bcc-dropbox (sender verify \S+ (\S+))", letter.get_content())
    assert command is not None
    assert command[2] not in added.out + added.err
    assert "wrong code: 4 tries are left" in cli.refused("sender verify jane@corp.example 00000-00000")
    cli.ok(command[1])
    assert senders(cli, "jane@corp.example")[login]


def test_an_hour_later_the_mailed_code_is_refused(cli: CommandLine, outside: Outside, login: str) -> None:
    with freeze_time("2026-11-02 09:00", tick=True) as clock:
        cli.ok("user add jane@corp.example")
        cli.ok(f"sender add jane@corp.example {login}")
        (letter,) = outside.letters(login)
        command = re.search(r"bcc-dropbox (sender verify .*)", letter.get_content())
        assert command is not None
        clock.tick(timedelta(minutes=61))
        assert "an hour is over" in cli.refused(command[1])


def test_an_address_of_the_logins_own_domain_needs_no_code(cli: CommandLine, outside: Outside, login: str) -> None:
    cli.ok("user add jane@acme.example")
    cli.ok(f"sender add jane@acme.example {login}")
    assert senders(cli, "jane@acme.example")[login]
    assert outside.dovecot.folder(login) == []


def test_a_trusted_address_needs_no_code(cli: CommandLine, outside: Outside, login: str) -> None:
    cli.ok("user add jane@corp.example")
    cli.ok(f"sender add jane@corp.example {login} --trusted")
    assert senders(cli, "jane@corp.example")[login]
    assert outside.dovecot.folder(login) == []


def test_without_a_mail_server_every_address_counts_at_once(
    cli: CommandLine, login: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BCC_DROPBOX_SMTP_URL")
    monkeypatch.delenv("BCC_DROPBOX_NOTICE_FROM")
    cli.ok("user add jane@corp.example")
    cli.ok(f"sender add jane@corp.example {login}")
    assert senders(cli, "jane@corp.example")[login]


def test_a_code_that_cannot_be_sent_is_told_and_the_address_does_not_count(cli: CommandLine) -> None:
    cli.ok("user add jane@corp.example")
    error = cli.refused(f"sender add jane@corp.example {NEVER}")
    assert f"{NEVER} is registered but no code could be sent to it (mail server localhost:" in error
    assert "550 5.1.1" in error
    assert not senders(cli, "jane@corp.example")[NEVER]
    assert "no code could be sent" in cli.refused(f"sender add jane@corp.example {NEVER}")
    error = cli.refused("sender verify jane@corp.example 00000-00000")
    assert f"no code could be sent to {NEVER}: `sender add jane@corp.example {NEVER}` sends one" in error


def test_an_address_that_does_not_count_is_shown_as_one(cli: CommandLine, login: str) -> None:
    cli.ok("user add jane@corp.example")
    cli.ok(f"sender add jane@corp.example {login}")
    for line in ("dropbox show jane@corp.example", "sender list jane@corp.example"):
        shown = cli.ok(line).out
        assert re.search(rf"{re.escape(login)} +\(not proven: does not count\)", shown)
        assert shown.count("does not count") == 1
    assert cli.json("dropbox show jane@corp.example")["senders"] == ["jane@corp.example", login]
    cli.ok(f"sender add jane@corp.example {login} --trusted")
    for line in ("dropbox show jane@corp.example", "sender list jane@corp.example"):
        assert "does not count" not in cli.ok(line).out
