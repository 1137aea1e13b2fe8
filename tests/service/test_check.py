"""`check`: each thing that can be wrong, and its mending."""

import json
from pathlib import Path

import pytest

from tests.servers.dovecot import Dovecot
from tests.service.running import Installation
from tests.service.test_running import LETTER
from worker.cli.checks import check_all
from worker.cli.findings import Finding, Result


def checked(installation: Installation, **changes: str) -> dict[str, Finding]:
    installation.write(**changes)
    return {finding.what: finding for finding in check_all(installation.env_file)}


def failures(found: dict[str, Finding]) -> list[str]:
    return [finding.what for finding in found.values() if finding.result is Result.FAIL]


def test_a_fresh_installation_passes_with_warnings(installation: Installation) -> None:
    found = checked(installation)
    assert failures(found) == []
    assert found["login"].result is Result.PASS
    assert found["database"].mending == "nothing: the first start makes it"
    assert {name for name in found if found[name].result is Result.WARN} == {
        "env file",
        "forged envelope fields",
        "forged senders",
        "database",
    }


def test_files_that_others_can_read_are_told(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(installation.settings.pop("imap_password"))
    installation.run("user", "add", "jane@example.com")
    private = checked(installation, imap_password_file=str(tmp_path / "password"))
    assert private["secret file"].result is Result.WARN
    assert "database file" not in private
    (tmp_path / "password").chmod(0o600)
    (tmp_path / "worker.sqlite3").chmod(0o644)
    opened = checked(installation)
    assert opened["database file"].result is Result.WARN
    assert "secret file" not in opened


@pytest.mark.parametrize(
    ("settings", "mending"),
    [
        ({}, "set it, or remove BCC_DROPBOX_NOTICE_FROM"),
        ({"authserv_id": "mx", "sender_auth": "off"}, "remove it, or remove BCC_DROPBOX_NOTICE_FROM"),
    ],
    ids=["no authserv-id", "switched off"],
)
def test_notices_that_nobody_can_ever_get_are_told(
    settings: dict[str, str], mending: str, installation: Installation
) -> None:
    """They go to owners whose mail is certainly theirs only: registered and authenticated."""
    found = checked(installation, smtp_url="smtp://127.0.0.1:1", notice_from="drop@drop.example.com", **settings)
    assert (found["notices"].result, found["notices"].mending) == (Result.WARN, mending)


def test_notices_to_authenticated_owners_are_no_reason_to_warn(installation: Installation) -> None:
    with_notices = {"smtp_url": "smtp://127.0.0.1:1", "notice_from": "drop@drop.example.com"}
    assert "notices" not in checked(installation, authserv_id="mx", **with_notices)


def test_every_setting_that_is_wrong_is_a_failure(installation: Installation) -> None:
    installation.write(imap_port="x", typo="1")
    findings = check_all(installation.env_file)
    assert [finding.seen.split()[0] for finding in findings] == ["BCC_DROPBOX_TYPO", "BCC_DROPBOX_IMAP_PORT"]
    assert all(finding.has_failed for finding in findings)


def test_a_wrong_password_is_told_with_its_mending(installation: Installation, forgiving_dovecot: Dovecot) -> None:
    found = checked(installation, imap_port=str(forgiving_dovecot.imap), imap_password="wrong")
    assert failures(found) == ["login"]
    assert "BCC_DROPBOX_IMAP_USER" in found["login"].mending
    assert "wrong" not in found["login"].seen


def test_a_refused_certificate_is_told_with_its_mending(installation: Installation, dovecot: Dovecot) -> None:
    found = checked(installation, imap_tls="ssl", imap_port=str(dovecot.imaps))
    assert failures(found) == ["mailbox"]
    assert "BCC_DROPBOX_IMAP_CA_FILE" in found["mailbox"].mending


def test_a_server_that_is_down_and_a_database_that_is_none_are_both_told(
    installation: Installation, tmp_path: Path
) -> None:
    (tmp_path / "none.sqlite3").write_text("this is no database, whatever its name says, and long enough to tell " * 9)
    found = checked(installation, imap_port="1", database_url=f"sqlite:///{tmp_path / 'none.sqlite3'}")
    assert failures(found) == ["database", "mailbox"]


def test_a_mail_server_that_stamps_nothing_is_found_out(
    installation: Installation, dovecot: Dovecot, mailbox_user: str
) -> None:
    """R13: such a server would have every mail rejected."""
    installation.write(authserv_id="mx.drop.example", sender_auth="required")
    address = json.loads(installation.run("user", "add", "jane@example.com", "--json").stdout)["address"]
    dovecot.deliver(
        mailbox_user, LETTER.replace(b"drop+k7m2arz3ndektsv4rrffq69g5f@drop.example.com", address.encode()) % 1
    )
    installation.run("poll")
    found = checked(installation)
    assert failures(found) == ["sender authentication"]
    assert found["envelope recipient"].seen == "Delivered-To in 1"
    assert found["worker"].result is Result.PASS


def test_a_mail_server_that_records_no_envelope_is_found_out(
    installation: Installation, dovecot: Dovecot, mailbox_user: str
) -> None:
    """R4."""
    dovecot.deliver(mailbox_user, LETTER.replace(b"Delivered-To", b"Cc") % 1)
    installation.run("poll")
    assert failures(checked(installation)) == ["envelope recipient"]


def test_a_mail_server_that_loses_some_envelopes_is_found_out(
    installation: Installation, dovecot: Dovecot, mailbox_user: str
) -> None:
    """R5: as with two recipients at once, where a forged field below is all that is left."""
    installation.write(received_by="mx.drop.example")
    whole = b"Received: from a by mx.drop.example with ESMTP id 1; Mon, 23 Nov 2026 09:00:00 +0000\n"
    to_base = b"Delivered-To: drop@drop.example.com\n" + whole + b"From: jane@example.com\n\nHi\n"
    dovecot.deliver(mailbox_user, to_base)
    installation.run("poll")
    kept = checked(installation)["envelope recipient"]
    assert (kept.result, kept.seen) == (Result.PASS, "recorded in 1, none of them for a dropbox")
    dovecot.deliver(mailbox_user, whole + LETTER % 1)
    installation.run("poll")
    lost = checked(installation)["envelope recipient"]
    assert (lost.result, lost.seen) == (
        Result.WARN,
        "1 of the last 2 messages carry it in no field that can be believed",
    )


@pytest.mark.parametrize(
    ("stamp", "result", "seen"),
    [
        (b"", Result.WARN, "only 1 of the last 2 messages were stamped by mx.drop.example"),
        (b"Authentication-Results: mx.drop.example\n", Result.PASS, "2 of the last 2 messages were stamped"),
    ],
    ids=["some mail only", "with its bare name what it found nothing to check in"],
)
def test_a_mail_server_that_stamps_some_mail_only_is_found_out(
    stamp: bytes, result: Result, seen: str, installation: Installation, dovecot: Dovecot, mailbox_user: str
) -> None:
    """R13: what it does not stamp may bring a forged stamp along."""
    installation.write(authserv_id="mx.drop.example")
    address = json.loads(installation.run("user", "add", "jane@example.com", "--json").stdout)["address"]
    letter = LETTER.replace(b"drop+k7m2arz3ndektsv4rrffq69g5f@drop.example.com", address.encode())
    for above in (b"Authentication-Results: mx.drop.example; dmarc=pass header.from=example.com\n", stamp):
        dovecot.deliver(mailbox_user, above + letter % 1)
    installation.run("poll")
    found = checked(installation)["sender authentication"]
    assert found.result is result
    assert found.seen.startswith(seen)


@pytest.mark.parametrize(("port", "code"), [(None, 0), ("1", 1)], ids=["works", "does not"])
def test_the_exit_code_says_whether_it_works(installation: Installation, port: str | None, code: int) -> None:
    installation.write(**({"imap_port": port} if port else {}))
    ran = installation.run("check", "--json")
    assert (ran.returncode, ran.stderr) == (code, "")
    assert {"what", "result", "seen", "mending"} == set(json.loads(ran.stdout)[0])
