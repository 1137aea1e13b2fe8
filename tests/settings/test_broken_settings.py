"""A table of broken configurations, and the error that each must give."""

from pathlib import Path

import pytest

from worker.settings import Settings, SettingsError

ADDRESS = (
    "it should be the catch-all address, like drop@drop.example.com: letters, digits, '.', '_' or '-', at most 37 of "
    "them before the @, so that '+' and a token fit in"
)
DATABASE = "it should be sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME"
SMTP_URL = (
    "SMTP_URL has a bad value: it should be smtps:// or smtp+starttls://[USER:PASSWORD@]HOST[:PORT], or smtp:// "
    "without a password (with one for a loopback host only)"
)
PORT = "it should be a port from 1 to 65535 (993 for ssl, else 143)"
WORKING = """
BCC_DROPBOX_ADDRESS=drop@drop.example.com
BCC_DROPBOX_IMAP_HOST=imap.example.com
BCC_DROPBOX_IMAP_USER=drop
BCC_DROPBOX_IMAP_PASSWORD=hunter22
"""
CHOICE = (
    "AUTHSERV_ID is not set: it should be the first word that your own server writes into Authentication-Results, so"
    " that forged senders are rejected\n"
    "SENDER_AUTH is not set: it should be off where no mail server of yours checks senders; then every From is"
    " believed, and each email is marked as not verified"
)


def problems_of(tmp_path: Path, text: str) -> list[str]:
    """Give the lines of the error, without the prefix of every name."""
    env_file = tmp_path / "worker.env"
    env_file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        Settings.load_for_mailbox(env_file)
    return [line.replace("BCC_DROPBOX_", "") for line in str(caught.value).splitlines()]


BROKEN = {
    "no number": ("IMAP_PORT=imap", f"IMAP_PORT is 'imap': {PORT}"),
    "no port": ("IMAP_PORT=99999", f"IMAP_PORT is '99999': {PORT}"),
    "poll too rarely": (
        "POLL_SECONDS=600",
        "POLL_SECONDS is '600': it should be a whole number of seconds from 1 to 150",
    ),
    "poll never": ("POLL_SECONDS=0", "POLL_SECONDS is '0': it should be a whole number of seconds from 1 to 150"),
    "kind of TLS": (
        "IMAP_TLS=tls",
        "IMAP_TLS is 'tls': it should be ssl, starttls, or none (for a loopback host only)",
    ),
    "plain over the network": (
        "IMAP_TLS=none",
        (
            "IMAP_TLS is 'none', which only a loopback IMAP_HOST may have (it is 'imap.example.com'): "
            "it should be ssl or starttls"
        ),
    ),
    "host with a port": (
        "IMAP_HOST=imap.example.com:993",
        "IMAP_HOST is 'imap.example.com:993': it should be the IMAP server's host name or address, without a port",
    ),
    "no address": ("ADDRESS=drop.example.com", f"ADDRESS is 'drop.example.com': {ADDRESS}"),
    "address with a tag": ("ADDRESS=drop+in@drop.example.com", f"ADDRESS is 'drop+in@drop.example.com': {ADDRESS}"),
    "no room for a token": (
        f"ADDRESS={'d' * 38}@drop.example.com",
        f"ADDRESS is '{'d' * 38}@drop.example.com': {ADDRESS}",
    ),
    "mistyped name": ("IMAP_PASWORD=x", "IMAP_PASWORD is not a setting; did you mean IMAP_PASSWORD?"),
    "another program's name": ("XYZZY=1", "XYZZY is not a setting"),
    "database of another kind": ("DATABASE_URL=mysql://u:hunter22@h/d", f"DATABASE_URL has a bad value: {DATABASE}"),
    "database in memory": ("DATABASE_URL=sqlite://", f"DATABASE_URL has a bad value: {DATABASE}"),
    "database in memory, by its name": (
        "DATABASE_URL=sqlite:///:memory:",
        f"DATABASE_URL has a bad value: {DATABASE}",
    ),
    "database in memory, by SQLite's own URL": (
        "DATABASE_URL=sqlite:///file:x?mode=memory&uri=true",
        f"DATABASE_URL has a bad value: {DATABASE}",
    ),
    "database without a file": ("DATABASE_URL=sqlite:///?x=1", f"DATABASE_URL has a bad value: {DATABASE}"),
    "database's port is no number": (
        "DATABASE_URL=postgresql+psycopg://u:hunter22@h:port/x",
        f"DATABASE_URL has a bad value: {DATABASE}",
    ),
    "database's port is none": (
        "DATABASE_URL=postgresql+psycopg://u:hunter22@h:99999/x",
        f"DATABASE_URL has a bad value: {DATABASE}",
    ),
    "required without an id": (
        "SENDER_AUTH=required",
        (
            "SENDER_AUTH is 'required', which needs AUTHSERV_ID: set that to the first word that your own server "
            "writes into Authentication-Results"
        ),
    ),
    "sender check of another kind": (
        "SENDER_AUTH=maybe",
        "SENDER_AUTH is 'maybe': it should be required (the default where AUTHSERV_ID is set) or off",
    ),
    "two passwords": (
        "IMAP_PASSWORD_FILE=/dev/null",
        "IMAP_PASSWORD and IMAP_PASSWORD_FILE are both set: it should be one of them",
    ),
    "header names": (
        "TOKEN_HEADERS=Delivered-To,,X Y",
        (
            "TOKEN_HEADERS is 'Delivered-To,,X Y': it should be names of header fields, separated by commas, like "
            "X-Original-To,Delivered-To"
        ),
    ),
    "a name no server is asked for": (
        "TOKEN_HEADERS=X-Rcpt(",
        (
            "TOKEN_HEADERS is 'X-Rcpt(': it should be names of header fields, separated by commas, like "
            "X-Original-To,Delivered-To"
        ),
    ),
    "new mail where done mail goes": (
        "IMAP_FOLDER=associated",
        (
            "IMAP_FOLDER is 'associated': it should be the folder that new mail arrives in, none of Associated, "
            "Rejected, Quarantine"
        ),
    ),
    "deadline within a wait": (
        "POLL_DEADLINE_SECONDS=20\nBCC_DROPBOX_STATEMENT_SECONDS=10",
        "POLL_DEADLINE_SECONDS is 20: it should be more than SOCKET_SECONDS (30)",
    ),
    "authority missing": (
        "IMAP_CA_FILE=/nowhere/ca.pem",
        (
            "IMAP_CA_FILE is '/nowhere/ca.pem': it should be a PEM file with the authority of the server's certificate"
            ": No such file or directory"
        ),
    ),
    "authority that is none": (
        "IMAP_CA_FILE=/dev/null",
        (
            "IMAP_CA_FILE is '/dev/null': it should be a PEM file with the authority of the server's certificate"
            ": no certificate in it can be read"
        ),
    ),
    "authority of the mail server that is none": (
        "SMTP_CA_FILE=/dev/null",
        (
            "SMTP_CA_FILE is '/dev/null': it should be a PEM file with the authority of the mail server's certificate"
            ": no certificate in it can be read"
        ),
    ),
    "notices without a way": (
        "NOTICE_FROM=drop@drop.example.com",
        "NOTICE_FROM is set, which needs SMTP_URL to send by",
    ),
    "mail over the web": (
        "SMTP_URL=http://u:hunter22@h",
        SMTP_URL,
    ),
    "mail server's password in plain text": (
        "SMTP_URL=smtp://u:hunter22@mail.example.com",
        SMTP_URL,
    ),
    "mail server's password of nobody": (
        "SMTP_URL=smtps://:hunter22@mail.example.com",
        SMTP_URL,
    ),
    "metrics without a port": (
        "METRICS_ADDRESS=localhost",
        "METRICS_ADDRESS is 'localhost': it should be HOST:PORT to listen on, like 127.0.0.1:9108",
    ),
    "log level": ("LOG_LEVEL=loud", "LOG_LEVEL is 'loud': it should be debug, info, warning or error"),
    "escape sequences": ("LOG_FORMAT=\x1b[31mred", "LOG_FORMAT is '[31mred': it should be auto, console or json"),
    "no assignment": ("IMAP_FOLDER", "env file {file} line 6 cannot be read: it should be NAME=value"),
    "token over plain HTTP": (
        "OAUTH_TOKEN_URL=http://login.example.com/token",
        (
            "OAUTH_TOKEN_URL is 'http://login.example.com/token': "
            "it should be the https:// address that gives access tokens"
        ),
    ),
}


@pytest.mark.parametrize(("line", "expected"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_setting_is_told_by_its_name_and_what_it_should_be(tmp_path: Path, line: str, expected: str) -> None:
    found = problems_of(tmp_path, f"{WORKING}BCC_DROPBOX_{line}\n")
    assert found == [expected.format(file=tmp_path / "worker.env")]


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    text = "BCC_DROPBOX_IMAP_PORT=x\nBCC_DROPBOX_IMAP_TLS=none\nBCC_DROPBOX_IMAP_HOST=far.example\nBCC_DROPBOX_TYPO=1\n"
    found = problems_of(tmp_path, text)
    assert [line.split()[0] for line in found] == [
        "TYPO",
        "IMAP_PORT",
        "IMAP_TLS",
        "ADDRESS",
        "IMAP_USER",
        "IMAP_PASSWORD",
    ]


def test_what_only_follows_from_a_bad_value_is_not_told(tmp_path: Path) -> None:
    found = problems_of(tmp_path, f"{WORKING}BCC_DROPBOX_SENDER_AUTH=required\nBCC_DROPBOX_AUTHSERV_ID=two words\n")
    assert [line.split()[0] for line in found] == ["AUTHSERV_ID"]


def test_a_mailbox_without_any_setting_is_told_what_it_needs(tmp_path: Path) -> None:
    assert problems_of(tmp_path, "") == [
        f"ADDRESS is not set: {ADDRESS}",
        "IMAP_HOST is not set: it should be the IMAP server's host name or address, without a port",
        "IMAP_USER is not set: it should be the login name of the catch-all mailbox",
        (
            "IMAP_PASSWORD is not set: it should be the password of the catch-all mailbox "
            "(or IMAP_PASSWORD_FILE a file that holds it)"
        ),
    ]


def test_oauth_is_told_what_it_needs_and_no_password(tmp_path: Path) -> None:
    text = WORKING.replace("IMAP_PASSWORD=hunter22", "IMAP_AUTH=xoauth2")
    assert [line.split()[0] for line in problems_of(tmp_path, text)] == [
        "OAUTH_TOKEN_URL",
        "OAUTH_CLIENT_ID",
        "OAUTH_REFRESH_TOKEN",
    ]


def test_a_worker_does_not_start_before_somebody_says_whether_senders_are_checked(tmp_path: Path) -> None:
    """A command that only uses the mailbox needs no such choice (R13)."""
    env_file = tmp_path / "worker.env"
    env_file.write_text(WORKING)
    with pytest.raises(SettingsError) as caught:
        Settings.load_for_filing(env_file)
    assert str(caught.value).replace("BCC_DROPBOX_", "") == CHOICE
    assert Settings.load_for_mailbox(env_file).imap_user == "drop"
    for choice in ("SENDER_AUTH=off", "AUTHSERV_ID=mx.drop.example"):
        env_file.write_text(f"{WORKING}BCC_DROPBOX_{choice}\n")
        assert Settings.load_for_filing(env_file).requires_sender_auth is choice.startswith("AUTH")


def test_an_env_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load(tmp_path / "gone.env")
    assert str(caught.value) == f"env file {tmp_path / 'gone.env'} cannot be read: No such file or directory"


def test_an_env_file_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "worker.env").write_bytes(b"BCC_DROPBOX_ADDRESS=\xff\xfe")
    with pytest.raises(SettingsError, match="it is not UTF-8 text"):
        Settings.load(tmp_path / "worker.env")


@pytest.mark.parametrize(
    ("content", "fault"),
    [(None, "No such file or directory"), ("\n", "it is empty")],
    ids=["absent", "empty"],
)
def test_a_password_file_must_hold_a_password(tmp_path: Path, content: str | None, fault: str) -> None:
    file = tmp_path / ("in-a-long-named-folder-" * 8) / "password"  # the error shows the whole path: its end matters
    file.parent.mkdir()
    if content is not None:
        file.write_text(content)
    text = WORKING.replace("IMAP_PASSWORD=hunter22", f"IMAP_PASSWORD_FILE={file}")
    assert problems_of(tmp_path, text) == [
        f"IMAP_PASSWORD_FILE is '{file}': it should be a file that holds the password: {fault}"
    ]


def test_no_error_shows_a_secret(tmp_path: Path) -> None:
    text = f"{WORKING}BCC_DROPBOX_DATABASE_URL=mysql://u:hunter22@h\nBCC_DROPBOX_SMTP_URL=hunter22\nBCC_DROPBOX_X='hunter22\n"
    assert "hunter22" not in "\n".join(problems_of(tmp_path, text))
