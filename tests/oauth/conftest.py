"""The provider, and a Dovecot that asks it about each token."""

import shutil
from collections.abc import Callable, Iterator

import pytest

from tests.oauth.provider import Provider, running
from tests.servers.dovecot import Dovecot, DovecotSettings
from tests.servers.dovecot_configuration import by_version
from tests.servers.process import new_folder

COMMON = """
auth_mechanisms = plain login xoauth2 oauthbearer
auth_cache_size = 0
# No pause for an address that failed before.
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
"""
# Dovecot asks the provider about each access token (RFC 7662).
ANSWERS = """
introspection_url = {url}
introspection_mode = post
username_attribute = username
active_attribute = active
active_value = true
"""
PASSDB_2_3 = """
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {file}
}}
"""
PASSDB_2_4 = """
oauth2 {{
{answers}
}}
passdb oauth2 {{
  mechanisms_filter = xoauth2 oauthbearer
}}
"""


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running() as provider:
        yield provider


@pytest.fixture(scope="module")
def mail_provider() -> Iterator[Provider]:
    """One for all tests that log in, as Dovecot is started with its address."""
    with running() as provider:
        yield provider


@pytest.fixture(scope="module")
def oauth_dovecot(mail_provider: Provider, dovecot_with: Callable[[DovecotSettings], Dovecot]) -> Iterator[Dovecot]:
    folder = new_folder("oauth")  # Dovecot 2.3 takes this part of its configuration from a file only
    try:
        file = folder / "oauth2.conf"
        answers = ANSWERS.format(url=mail_provider.introspection_url)
        file.write_text(answers)
        passdb = by_version(PASSDB_2_3.format(file=file), PASSDB_2_4.format(answers=answers))
        yield dovecot_with(DovecotSettings(extra=COMMON + passdb))
    finally:
        shutil.rmtree(folder)
