"""`check`: each thing that can be wrong, and its mending."""

import os
import re
import stat
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import rmtree

import pytest
from freezegun import freeze_time

from tests.harness.command import COMMAND
from tests.harness.installation import Dropbox
from tests.servers.account import unprivileged
from tests.servers.dovecot import Dovecot, DovecotSettings
from tests.servers.process import new_folder
from tests.servers.terminal import run_on_terminal
from tests.service.test_running import LETTER
from worker.cli.run import print_findings
from worker.diagnostics import check_all
from worker.diagnostics.checks import Finding, Result, clock_of_database
from worker.store.database import Database


def checked(installation: Dropbox, **changes: str) -> dict[str, Finding]:
    installation.write(**changes)
    return {finding.what: finding for finding in check_all(installation.env_file)}


def failures(found: dict[str, Finding]) -> list[str]:
    return [finding.what for finding in found.values() if finding.result is Result.FAIL]


def test_a_fresh_installation_passes_with_warnings(installation: Dropbox, tmp_path: Path) -> None:
    (tmp_path / "worker.sqlite3").unlink()
    found = checked(installation)
    assert failures(found) == []
    assert found["login"].result is Result.PASS
    assert found["database"].mending == "nothing: the first start makes it"
    assert {name for name in found if found[name].result is Result.WARN} == {
        "forged envelope fields",
        "forged senders",
        "database",
    }


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Make a folder that everybody may enter, which pytest's own are not."""
    folder = new_folder("open")
    yield folder
    rmtree(folder)


def test_a_password_that_others_can_read_is_told_and_left_to_the_worker(
    installation: Dropbox, open_folder: Path
) -> None:
    file = open_folder / "password"
    file.write_text(installation.settings.pop("imap_password"))
    unprivileged().own(file)  # as root, it is now of a group that is not ours
    found = checked(installation, imap_password_file=str(file))["secret file"]
    assert found.result is Result.WARN
    subprocess.run(["sh", "-c", found.mending], check=True)
    assert "secret file" not in checked(installation)
    assert (file.stat().st_gid, stat.S_IMODE(file.stat().st_mode)) == (os.getegid(), 0o640)


def test_a_password_in_a_folder_that_others_cannot_enter_is_read_by_nobody(
    installation: Dropbox, open_folder: Path
) -> None:
    inner = open_folder / "inner"
    inner.mkdir(mode=0o755)
    installation.env_file = inner / "worker.env"
    assert checked(installation)["env file"].result is Result.WARN
    open_folder.chmod(0o750)
    assert "env file" not in checked(installation)


def test_a_database_that_others_can_read_is_told(installation: Dropbox, tmp_path: Path) -> None:
    installation.run("user", "add", "jane@example.com")
    assert "database file" not in checked(installation)
    (tmp_path / "worker.sqlite3").chmod(0o644)
    assert checked(installation)["database file"].result is Result.WARN


@pytest.mark.parametrize(
    "secret",
    [
        {"smtp_url": "smtps://joe:hunter22@127.0.0.1:1"},
        {"database_url": "postgresql+psycopg://joe:hunter22@127.0.0.1:1/none"},
        {"database_url": "postgresql+psycopg://127.0.0.1:1/none?user=joe&password=hunter22"},
        {"oauth_client_secret": "hunter22"},
        {"oauth_refresh_token": "hunter22"},
    ],
    ids=["SMTP_URL", "DATABASE_URL", "its parameter", "OAuth secret", "refresh token"],
)
def test_every_secret_is_a_reason_to_keep_the_env_file_from_others(
    secret: dict[str, str], installation: Dropbox, open_folder: Path
) -> None:
    password = open_folder / "password"
    password.write_text(installation.settings.pop("imap_password"))
    password.chmod(0o600)
    installation.env_file = open_folder / "worker.env"
    installation.settings |= {"imap_password_file": str(password), "imap_port": "1"}
    without = checked(installation, smtp_url="smtp://127.0.0.1:1")
    assert "env file" not in without
    assert checked(installation, **secret)["env file"].result is Result.WARN
    installation.env_file.chmod(0o640)
    assert "env file" not in checked(installation)


@pytest.mark.parametrize(
    ("settings", "mending"),
    [
        ({}, "set it, or remove BCC_DROPBOX_NOTICE_FROM"),
        ({"authserv_id": "mx", "sender_auth": "off"}, "remove it, or remove BCC_DROPBOX_NOTICE_FROM"),
    ],
    ids=["no authserv-id", "switched off"],
)
def test_notices_that_nobody_can_ever_get_are_told(
    settings: dict[str, str], mending: str, installation: Dropbox
) -> None:
    """Deliver certain mail, registered and authenticated: only its owners get notices."""
    found = checked(installation, smtp_url="smtp://127.0.0.1:1", notice_from="drop@drop.example.com", **settings)
    assert (found["notices"].result, found["notices"].mending) == (Result.WARN, mending)


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "0", "[0:0::0]"])
def test_metrics_for_everybody_are_a_reason_to_warn(host: str, installation: Dropbox) -> None:
    found = checked(installation, metrics_address=f"{host}:9108")["metrics"]
    assert found.result is Result.WARN
    assert "like 127.0.0.1:9108" in found.mending
    assert "metrics" not in checked(installation, metrics_address="127.0.0.1:9108")


def test_notices_to_authenticated_owners_are_no_reason_to_warn(installation: Dropbox) -> None:
    with_notices = {"smtp_url": "smtp://127.0.0.1:1", "notice_from": "drop@drop.example.com"}
    assert "notices" not in checked(installation, authserv_id="mx", sender_auth="required", **with_notices)


def test_every_setting_that_is_wrong_is_a_failure(installation: Dropbox) -> None:
    installation.write(imap_port="x", typo="1")
    findings = check_all(installation.env_file)
    assert [finding.seen.split()[0] for finding in findings] == ["BCC_DROPBOX_TYPO", "BCC_DROPBOX_IMAP_PORT"]
    assert all(finding.has_failed for finding in findings)


def test_a_wrong_password_is_told_with_its_mending(installation: Dropbox, forgiving_dovecot: Dovecot) -> None:
    found = checked(installation, imap_port=str(forgiving_dovecot.imap), imap_password="wrong")
    assert failures(found) == ["login"]
    assert "BCC_DROPBOX_IMAP_USER" in found["login"].mending
    assert "wrong" not in found["login"].seen


def test_a_refused_certificate_is_told_with_its_mending(installation: Dropbox, dovecot: Dovecot) -> None:
    found = checked(installation, imap_tls="ssl", imap_port=str(dovecot.imaps))
    assert failures(found) == ["mailbox"]
    assert "BCC_DROPBOX_IMAP_CA_FILE" in found["mailbox"].mending


def test_a_host_that_is_unknown_is_told_with_its_mending(installation: Dropbox) -> None:
    found = checked(installation, imap_tls="ssl", imap_host="no-such-host.invalid")
    assert failures(found) == ["mailbox"]
    assert found["mailbox"].mending == "correct BCC_DROPBOX_IMAP_HOST, or the name service of this machine"


@pytest.mark.parametrize(
    ("settings", "meanwhile"),
    [
        ({"notice_from": "drop@drop.example.com", "authserv_id": "mx", "sender_auth": "required"}, "notices wait"),
        ({}, "no code for a sender address can be sent"),
    ],
    ids=["with notices", "without"],
)
def test_outgoing_mail_that_is_down_is_told_with_what_waits_for_it(
    settings: dict[str, str], meanwhile: str, installation: Dropbox
) -> None:
    found = checked(installation, smtp_url="smtp://127.0.0.1:1", **settings)["outgoing mail"]
    assert (found.result, found.seen) == (Result.FAIL, "mail server 127.0.0.1:1: nothing listens there")
    assert found.mending == f"correct BCC_DROPBOX_SMTP_URL, or BCC_DROPBOX_SMTP_CA_FILE; {meanwhile}"


@pytest.mark.parametrize(
    "result",
    ["MOVE", "UIDPLUS", "IDLE"],
)
def test_a_capability_that_the_server_lacks_is_told_with_what_it_costs(
    result: str, installation: Dropbox, dovecot_with: Callable[[DovecotSettings], Dovecot]
) -> None:
    server = dovecot_with(DovecotSettings(without=frozenset({result})))
    found = checked(installation, imap_port=str(server.imap))
    assert {name for name in ("MOVE", "UIDPLUS", "IDLE") if found[name].result is Result.WARN} == {result}
    assert found[result].seen.startswith("not offered: ")
    assert found[result].mending


def test_idle_that_is_switched_off_is_not_missed(
    installation: Dropbox, dovecot_with: Callable[[DovecotSettings], Dovecot]
) -> None:
    server = dovecot_with(DovecotSettings(without=frozenset({"IDLE"})))
    found = checked(installation, imap_port=str(server.imap), idle="off")
    assert (found["IDLE"].result, found["IDLE"].seen) == (Result.PASS, "switched off by BCC_DROPBOX_IDLE")


def in_folder(dovecot: Dovecot, user: str, arrived: datetime, folder: str = "INBOX") -> None:
    with dovecot.connect(user) as client:
        if not client.folder_exists(folder):
            client.create_folder(folder)
        client.append(folder, LETTER % 1, msg_time=arrived)


@pytest.mark.parametrize("folder", ["INBOX", "Rejected"])
@pytest.mark.parametrize(("ahead", "result"), [(110, Result.PASS), (140, Result.WARN)], ids=["a little", "more"])
def test_a_mail_server_whose_clock_is_ahead_is_found_out(
    ahead: int, result: Result, folder: str, installation: Dropbox, dovecot: Dovecot, mailbox_user: str
) -> None:
    """Warn from two minutes on. The newest message shows it; most have left the queue by then."""
    now = datetime.now(UTC)
    in_folder(dovecot, mailbox_user, now - timedelta(hours=1), folder)
    in_folder(dovecot, mailbox_user, now + timedelta(seconds=ahead), folder)
    found = checked(installation)["the mail server's clock"]
    assert found.result is result
    assert found.seen.endswith("by the newest message")


def test_a_clock_that_no_message_shows_is_not_said_to_be_right(installation: Dropbox) -> None:
    found = checked(installation)["the mail server's clock"]
    assert (found.result, found.mending) == (Result.SKIP, "`bcc-dropbox check --probe` sends one and compares")


@pytest.mark.parametrize(("hours", "result"), [(0, Result.PASS), (1, Result.WARN)], ids=["together", "apart"])
def test_a_database_whose_clock_is_another_is_found_out(
    hours: int, result: Result, installation: Dropbox, database_url: str
) -> None:
    installation.settings["imap_port"] = "1"
    with freeze_time(datetime.now(UTC) + timedelta(hours=hours), tick=True):
        assert checked(installation, database_url=database_url)["the database's clock"].result is result


@pytest.mark.parametrize(("seconds", "result"), [(25, Result.PASS), (35, Result.WARN)])
def test_clocks_may_be_half_a_minute_apart(seconds: int, result: Result) -> None:
    now = datetime(2026, 11, 25, 12, tzinfo=UTC)
    with freeze_time(now):
        for there in (now + timedelta(seconds=seconds), now - timedelta(seconds=seconds)):
            assert clock_of_database(there).result is result


def test_the_clock_of_a_database_file_is_ours(installation: Dropbox) -> None:
    installation.run("user", "add", "jane@example.com")
    found = checked(installation)["the database's clock"]
    assert (found.result, found.seen) == (Result.PASS, "ours: the database is a file of this machine")


def test_messages_are_counted_in_words(installation: Dropbox) -> None:
    assert checked(installation)["folder INBOX"].seen == "0 messages"
    installation.deliver(LETTER % 1)
    assert checked(installation)["folder INBOX"].seen == "1 message"
    installation.deliver(LETTER % 2)
    assert checked(installation)["folder INBOX"].seen == "2 messages"


def test_a_schema_that_is_behind_is_told(installation: Dropbox, tmp_path: Path) -> None:
    (tmp_path / "worker.sqlite3").unlink()
    Database.open(f"sqlite:///{tmp_path / 'worker.sqlite3'}").close()
    found = checked(installation)["schema"]
    assert (found.result, found.mending) == (Result.WARN, "nothing: the next start brings it up to date")
    assert found.seen.startswith("revision none, not ")
    installation.run("user", "add", "jane@example.com")
    assert checked(installation)["schema"].result is Result.PASS


def test_a_worker_that_never_polled_or_no_more_is_told(installation: Dropbox, tmp_path: Path) -> None:
    installation.run("user", "add", "jane@example.com")
    never = checked(installation)["worker"]
    assert (never.result, never.mending) == (Result.WARN, "systemctl start bcc-dropbox")
    installation.run("poll")
    now = datetime.now(UTC)
    for ago, result in ((timedelta(minutes=4), Result.PASS), (timedelta(minutes=6), Result.WARN)):
        with freeze_time(now + ago, tick=True):
            assert checked(installation)["worker"].result is result


def test_a_server_that_is_down_and_a_database_that_is_none_are_both_told(installation: Dropbox, tmp_path: Path) -> None:
    (tmp_path / "none.sqlite3").write_text("this is no database, whatever its name says, and long enough to tell " * 9)
    found = checked(installation, imap_port="1", database_url=f"sqlite:///{tmp_path / 'none.sqlite3'}")
    assert failures(found) == ["database", "mailbox"]


def test_a_mail_server_that_stamps_nothing_is_found_out(
    installation: Dropbox, dovecot: Dovecot, mailbox_user: str
) -> None:
    """The worker would reject every mail of such a server (R13)."""
    installation.write(authserv_id="mx.drop.example", sender_auth="required")
    address = installation.run("user", "add", "jane@example.com", "--json").json["address"]
    dovecot.deliver(
        mailbox_user, LETTER.replace(b"drop+k7m2arz3ndektsv4rrffq69g5f@drop.example.com", address.encode()) % 1
    )
    installation.run("poll")
    found = checked(installation)
    assert failures(found) == ["sender authentication"]
    assert found["envelope recipient"].seen == "Delivered-To in 1"
    assert found["worker"].result is Result.PASS


def test_a_mail_server_that_records_no_envelope_is_found_out(installation: Dropbox) -> None:
    # R4
    installation.deliver(LETTER.replace(b"Delivered-To", b"Cc") % 1)
    installation.run("poll")
    assert failures(checked(installation)) == ["envelope recipient"]


def test_a_mail_server_that_loses_some_envelopes_is_found_out(installation: Dropbox) -> None:
    """Leave only the forged field, as with two recipients at once (R5)."""
    installation.write(received_by="mx.drop.example")
    whole = b"Received: from a by mx.drop.example with ESMTP id 1; Mon, 23 Nov 2026 09:00:00 +0000\n"
    to_base = b"Delivered-To: drop@drop.example.com\n" + whole + b"From: jane@example.com\n\nHi\n"
    installation.deliver(to_base)
    installation.run("poll")
    kept = checked(installation)["envelope recipient"]
    assert (kept.result, kept.seen) == (Result.PASS, "recorded in 1, none of them for a dropbox")
    installation.deliver(whole + LETTER % 1)
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
    stamp: bytes, result: Result, seen: str, installation: Dropbox
) -> None:
    """A mail without the server's stamp may bring a forged one (R13)."""
    installation.write(authserv_id="mx.drop.example", sender_auth="required")
    address = installation.run("user", "add", "jane@example.com", "--json").json["address"]
    letter = LETTER.replace(b"drop+k7m2arz3ndektsv4rrffq69g5f@drop.example.com", address.encode())
    for above in (b"Authentication-Results: mx.drop.example; dmarc=pass header.from=example.com\n", stamp):
        installation.deliver(above + letter % 1)
    installation.run("poll")
    found = checked(installation)["sender authentication"]
    assert found.result is result
    assert found.seen.startswith(seen)


@pytest.mark.parametrize(("port", "code"), [(None, 0), ("1", 1)], ids=["works", "does not"])
def test_the_exit_code_says_whether_it_works(installation: Dropbox, port: str | None, code: int) -> None:
    installation.write(**({"imap_port": port} if port else {}))
    ran = installation.run("check", "--json")
    assert (ran.code, ran.err) == (code, "")
    assert {"what", "result", "seen", "mending"} == set(ran.json[0])


def test_what_to_do_is_whole_and_each_setting_to_copy_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    settings = ("BCC_DROPBOX_RECEIVED_BY=mx.drop.example", f"BCC_DROPBOX_TOKEN_HEADERS={'X-Original-To,' * 9}To")
    print_findings([Finding("fields", Result.WARN, "safer ones " * 20, "set", settings), Finding("b", Result.PASS, "")])
    assert capsys.readouterr().out.splitlines() == [
        "checked  result  seen",
        f"fields   warn    {'safer ones ' * 20}".rstrip(),
        "    set:",
        *(f"        {setting}" for setting in settings),
        "b        pass    ",
    ]


@pytest.mark.parametrize("columns", [20, 80])
def test_on_a_terminal_no_word_is_cut_and_what_is_wrong_is_coloured(
    installation: Dropbox, dovecot: Dovecot, columns: int
) -> None:
    installation.write(imap_tls="ssl", imap_port=str(dovecot.imaps), smtp_url="smtp://127.0.0.1:1")
    command: list[str | Path] = [COMMAND, "--env-file", installation.env_file, "check"]
    code, screen = run_on_terminal(command, os.environ, columns)
    shown = screen.decode()
    assert code == 1
    assert "\x1b[33m\x1b[1mwarn" in shown
    assert "\x1b[31m\x1b[1mfail" in shown
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    for setting in ("BCC_DROPBOX_IMAP_HOST", "BCC_DROPBOX_IMAP_CA_FILE", "BCC_DROPBOX_SMTP_CA_FILE;"):
        assert setting in plain
    told = " ".join(plain.split())
    assert "set BCC_DROPBOX_IMAP_HOST to the name in the certificate, or BCC_DROPBOX_IMAP_CA_FILE to its" in told


def test_a_terminal_that_wants_no_colours_gets_none(installation: Dropbox) -> None:
    installation.write(imap_port="1")
    command: list[str | Path] = [COMMAND, "--env-file", installation.env_file, "check"]
    _, screen = run_on_terminal(command, {**os.environ, "NO_COLOR": "1"}, 80)
    assert b"fail" in screen
    assert b"\x1b" not in screen
