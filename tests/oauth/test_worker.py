"""The installed command logs in by OAuth 2.0, from nothing but its settings."""

import re
import stat
from base64 import b64decode
from pathlib import Path

import pytest

from tests.harness.installation import Dropbox
from tests.harness.letters import letter
from tests.oauth.provider import CLIENT_ID, Provider
from tests.secrecy import CLIENT_SECRET, REFRESH_TOKEN
from tests.servers.dovecot import Dovecot


@pytest.fixture
def dropbox(
    oauth_dovecot: Dovecot,
    mail_provider: Provider,
    mailbox_user: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Dropbox:
    mail_provider.user = mailbox_user
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    settings = {
        "imap_password": "",
        "imap_auth": "oauthbearer",
        "oauth_token_url": mail_provider.token_url,
        "oauth_client_id": CLIENT_ID,
    }
    return Dropbox(oauth_dovecot, mailbox_user, f"sqlite:///{tmp_path / 'dropbox.db'}", settings)


def test_a_poll_by_client_credentials(dropbox: Dropbox) -> None:
    dropbox.settings |= {"oauth_client_secret": CLIENT_SECRET, "imap_auth": "xoauth2"}
    dropbox.deliver(letter(dropbox.add_user("jane@acme.example")))
    assert dropbox.poll() == {"associated": 1}


def test_a_poll_by_a_refresh_token_that_is_renewed_and_kept(
    dropbox: Dropbox, mail_provider: Provider, tmp_path: Path
) -> None:
    file = tmp_path / "refresh-token"
    file.write_text(REFRESH_TOKEN + "\n")
    file.chmod(0o400)
    dropbox.settings["oauth_refresh_token_file"] = str(file)
    mail_provider.renews_refresh_token = True
    dropbox.deliver(letter(dropbox.add_user("jane@acme.example")))
    assert dropbox.poll() == {"associated": 1}
    (kept,) = (tmp_path / "state").glob("oauth-*")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    first = mail_provider.asked[-1]["refresh_token"]
    assert dropbox.poll() == {}
    assert mail_provider.asked[-1]["refresh_token"] not in {first, REFRESH_TOKEN}


@pytest.mark.parametrize("mechanism", ["xoauth2", "oauthbearer"])
def test_a_debug_log_shows_no_token_in_the_clear_or_in_base64(dropbox: Dropbox, mechanism: str) -> None:
    dropbox.settings |= {"oauth_client_secret": CLIENT_SECRET, "imap_auth": mechanism}
    written = dropbox.ok("poll", log_level="debug").err
    assert "library" in written
    coded = re.findall(r"[A-Za-z0-9+/]{16,}", written)
    decoded = b"".join(b64decode(word[: len(word) // 4 * 4]) for word in coded)
    assert b"access-token" not in decoded


def test_a_refused_grant_is_one_clear_line_without_a_secret(dropbox: Dropbox) -> None:
    dropbox.settings |= {"oauth_client_secret": "not-the-client-secret", "log_level": "debug"}
    ran = dropbox.run("poll")
    assert ran.code == 1
    (error,) = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert error.endswith(": gave no access token: invalid_client")
    assert "not-the-client-secret" not in ran.out + ran.err
