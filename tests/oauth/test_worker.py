"""The installed command logs in by OAuth 2.0, from nothing but its settings."""

import stat
from pathlib import Path

import pytest

from tests.acceptance.dropbox import Dropbox
from tests.acceptance.letters import letter
from tests.oauth.provider import CLIENT_ID, CLIENT_SECRET, Provider
from tests.servers.dovecot import Dovecot

REFRESH_TOKEN = "first-refresh-token"


@pytest.fixture
def dropbox(oauth_dovecot: Dovecot, mail_provider: Provider, mailbox_user: str, tmp_path: Path) -> Dropbox:
    mail_provider.user = mailbox_user
    settings = {
        "BCC_DROPBOX_IMAP_PASSWORD": "",
        "BCC_DROPBOX_IMAP_AUTH": "oauthbearer",
        "BCC_DROPBOX_OAUTH_TOKEN_URL": mail_provider.token_url,
        "BCC_DROPBOX_OAUTH_CLIENT_ID": CLIENT_ID,
        "STATE_DIRECTORY": str(tmp_path / "state"),
    }
    return Dropbox(oauth_dovecot, mailbox_user, f"sqlite:///{tmp_path / 'dropbox.db'}", settings)


def test_a_poll_by_client_credentials(dropbox: Dropbox) -> None:
    dropbox.settings |= {"BCC_DROPBOX_OAUTH_CLIENT_SECRET": CLIENT_SECRET, "BCC_DROPBOX_IMAP_AUTH": "xoauth2"}
    dropbox.deliver(letter(dropbox.add_user("jane@acme.example")))
    assert dropbox.poll() == {"associated": 1}


def test_a_poll_by_a_refresh_token_that_is_renewed_and_kept(
    dropbox: Dropbox, mail_provider: Provider, tmp_path: Path
) -> None:
    file = tmp_path / "refresh-token"
    file.write_text(REFRESH_TOKEN + "\n")
    file.chmod(0o400)
    dropbox.settings["BCC_DROPBOX_OAUTH_REFRESH_TOKEN_FILE"] = str(file)
    mail_provider.renews_refresh_token = True
    dropbox.deliver(letter(dropbox.add_user("jane@acme.example")))
    assert dropbox.poll() == {"associated": 1}
    (kept,) = (tmp_path / "state").glob("oauth-*")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    first = mail_provider.asked[-1]["refresh_token"]
    assert dropbox.poll() == {}
    assert mail_provider.asked[-1]["refresh_token"] not in {first, REFRESH_TOKEN}


def test_a_refused_grant_is_one_clear_line_without_a_secret(dropbox: Dropbox) -> None:
    dropbox.settings |= {"BCC_DROPBOX_OAUTH_CLIENT_SECRET": "not-the-client-secret", "BCC_DROPBOX_LOG_LEVEL": "debug"}
    ran = dropbox.run("poll")
    assert ran.code == 1
    (error,) = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert error.endswith(": gave no access token: invalid_client")
    assert "not-the-client-secret" not in ran.out + ran.err
