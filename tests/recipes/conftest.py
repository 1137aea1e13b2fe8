"""Each recipe, started once, with an empty mailbox for each test, and the worker behind it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.installation import Installation
from tests.recipes.builds import BUILDS
from tests.recipes.chain import Chain, running
from tests.recipes.letters import JO
from tests.recipes.recipe import Recipe
from tests.servers.dovecot import PASSWORD

BEN = "ben@example.com"


@pytest.fixture(scope="session", params=list(BUILDS))
def running_chain(request: pytest.FixtureRequest) -> Iterator[Chain]:
    name: str = request.param
    with running(Recipe(name), BUILDS[name]) as chain:
        yield chain


@pytest.fixture
def chain(running_chain: Chain) -> Chain:
    running_chain.empty()
    return running_chain


@pytest.fixture
def worker(chain: Chain, sqlite_url: str, tmp_path: Path) -> Installation:
    """Set the worker up by nothing but the recipe's worker.env, with two users who share one sender address."""
    password = tmp_path / "imap-password"
    password.write_text(f"{PASSWORD}\n")
    settings = chain.recipe.settings()
    assert "imap_password_file" in settings
    places = {"imap_port": str(chain.dovecot.imap), "imap_password_file": str(password), "database_url": sqlite_url}
    worker = Installation(settings | places)
    worker.add_user(JO)
    worker.add_user(BEN)
    worker.admin("sender", "add", BEN, JO)
    return worker
