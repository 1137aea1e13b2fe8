"""Each recipe, started once, with an empty mailbox for each test."""

from collections.abc import Iterator

import pytest

from tests.recipes.builds import BUILDS
from tests.recipes.chain import Chain, running
from tests.recipes.recipe import Recipe


@pytest.fixture(scope="session", params=list(BUILDS))
def running_chain(request: pytest.FixtureRequest) -> Iterator[Chain]:
    name: str = request.param
    with running(Recipe(name), BUILDS[name]) as chain:
        yield chain


@pytest.fixture
def chain(running_chain: Chain) -> Chain:
    running_chain.empty()
    return running_chain
