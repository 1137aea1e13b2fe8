"""Where settings come from, and what they are when nobody sets them."""

from pathlib import Path

import pytest

from worker.domain.addresses import Address
from worker.domain.routing import DEFAULT_TOKEN_HEADERS
from worker.domain.servers import Tls
from worker.domain.tokens import new_token
from worker.settings import PREFIX, Settings, SettingsError

EXAMPLE = Path(__file__).parents[2] / "config" / "worker.env.example"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)


def env_file(tmp_path: Path, **settings: str) -> Path:
    file = tmp_path / "worker.env"
    file.write_text("".join(f"{PREFIX}{name.upper()}={value}\n" for name, value in settings.items()))
    return file


def test_administration_needs_no_setting_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    url = Settings.load().database_url.get_secret_value()
    assert url == f"sqlite:///{tmp_path}/bcc-dropbox/bcc-dropbox.sqlite3"


def test_a_service_keeps_its_database_in_its_state_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/bcc-dropbox:/var/lib/other")
    url = Settings.load().database_url.get_secret_value()
    assert url == "sqlite:////var/lib/bcc-dropbox/bcc-dropbox.sqlite3"


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BCC_DROPBOX_POLL_SECONDS", "20")
    assert Settings.load(env_file(tmp_path, poll_seconds="30", max_recipients="7")).poll_seconds == 20
    assert Settings.load(env_file(tmp_path, poll_seconds="30", max_recipients="7")).max_recipients == 7


def test_an_unknown_name_in_the_environment_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BCC_DROPBOX_ADRESS", "drop@drop.example.com")
    with pytest.raises(SettingsError, match="BCC_DROPBOX_ADRESS is not a setting; did you mean BCC_DROPBOX_ADDRESS"):
        Settings.load()


def test_an_empty_value_is_an_unset_one(tmp_path: Path) -> None:
    settings = Settings.load(env_file(tmp_path, received_by="", imap_port=""))
    assert (settings.received_by, settings.imap_port) == (None, None)


def test_a_password_is_kept_as_it_was_written(tmp_path: Path) -> None:
    settings = Settings.load(env_file(tmp_path, imap_password="'a${HOME}#b c$'"))
    assert settings.imap_password is not None
    assert settings.imap_password.get_secret_value() == "a${HOME}#b c$"


def test_the_password_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter 22\n")
    file = env_file(
        tmp_path,
        address="drop@drop.example.com",
        imap_host="::1",
        imap_tls="none",
        imap_user="drop",
        imap_password_file=str(tmp_path / "password"),
    )
    access = Settings.load_for_mailbox(file).require_mailbox()
    assert (access.password, access.tls, access.port) == ("hunter 22", Tls.NONE, 143)


def test_the_password_may_come_from_a_systemd_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "imap_password").write_text("hunter22\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    password = Settings.load().imap_password
    assert password is not None
    assert password.get_secret_value() == "hunter22"


def test_what_commands_must_know_too_is_taken_from_no_credential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise commands would use another database, and trust addresses that the service asks a code for."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    for name in ("database_url", "smtp_url"):
        (tmp_path / name).write_text("sqlite:////nowhere/else.sqlite3\n")
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    assert str(caught.value).splitlines() == [
        f"the credential {name} is not read, as commands would not have it: set {PREFIX}{name.upper()} instead"
        for name in ("database_url", "smtp_url")
    ]


def test_credentials_that_cannot_be_read_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "given"
    folder.touch()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    file = env_file(tmp_path, address="drop@drop.example.com", imap_host="localhost", imap_user="drop")
    with pytest.raises(SettingsError) as caught:
        Settings.load_for_mailbox(file)
    assert str(caught.value) == f"credentials in {folder} cannot be read: Not a directory"


def test_a_credential_that_is_not_text_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "oauth_client_secret").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="oauth_client_secret cannot be read: it is not UTF-8 text"):
        Settings.load()


def test_administration_does_not_need_to_read_the_password(tmp_path: Path) -> None:
    Settings.load(env_file(tmp_path, imap_password_file="/nowhere/password"))


def test_nothing_shows_a_secret(tmp_path: Path) -> None:
    file = env_file(
        tmp_path,
        address="drop@drop.example.com",
        imap_host="localhost",
        imap_user="drop",
        imap_password="hunter22",
        database_url="postgresql+psycopg://u:hunter22@h/d",
        smtp_url="smtps://u:hunter22@h",
    )
    settings = Settings.load(file)
    assert "hunter22" not in f"{settings!r} {settings} {settings.require_mailbox()!r}"


def test_the_sender_is_checked_where_an_authserv_id_is_set(tmp_path: Path) -> None:
    assert not Settings.load().requires_sender_auth
    assert Settings.load(env_file(tmp_path, authserv_id="mx.drop.example")).requires_sender_auth
    switched_off = env_file(tmp_path, authserv_id="mx.drop.example", sender_auth="off")
    assert not Settings.load(switched_off).requires_sender_auth


def test_exactly_the_token_headers_that_are_set_are_looked_at(tmp_path: Path) -> None:
    assert Settings.load().token_headers == DEFAULT_TOKEN_HEADERS
    settings = Settings.load(env_file(tmp_path, token_headers="X-Drop-Rcpt, Delivered-To"))
    assert settings.token_headers == ("X-Drop-Rcpt", "Delivered-To")


def test_the_longest_address_still_has_room_for_a_token(tmp_path: Path) -> None:
    settings = Settings.load(env_file(tmp_path, address=f"{'d' * 37}@drop.example.com"))
    whole = Address.parse(settings.require_address().with_token(new_token()))
    assert len(whole.local) == 64


def test_the_example_names_every_setting_and_no_other() -> None:
    named = {
        line.removeprefix("#").partition("=")[0]
        for line in EXAMPLE.read_text().splitlines()
        if line.removeprefix("#").startswith(PREFIX)
    }
    assert named == {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}


def test_the_example_is_a_configuration_that_works_once_filled_in() -> None:
    settings = Settings.load(EXAMPLE)
    assert settings.address is not None
