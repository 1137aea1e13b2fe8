"""Scenes on both databases."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.robustness.dying import Workers
from tests.robustness.scene import Scene, Templates
from tests.servers.dovecot import Dovecot

AT_A_TIME = 4
KINDS = ("sqlite", "postgresql")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Name the kind of database."""
    return str(request.param)


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    return Templates(tmp_path_factory.mktemp("databases"))


@pytest.fixture
def new_url(kind: str, templates: Templates, request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """Give databases that are dropped after the test."""
    if kind == "postgresql":
        templates.postgres = request.getfixturevalue("postgres")
    with ExitStack() as databases:

        def make() -> str:
            url = templates.copy(kind)
            databases.callback(templates.drop, url)
            return url

        yield make


@pytest.fixture
def new_scene(dovecot: Dovecot, new_url: Callable[[], str]) -> Callable[[], Scene]:
    return lambda: Scene(dovecot, new_url())


@pytest.fixture
def scene(new_scene: Callable[[], Scene]) -> Scene:
    return new_scene()


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    """Run polls, four at a time: a move is mostly waiting."""
    with Workers(AT_A_TIME) as workers:
        yield workers


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder for the steps and logs of workers."""
    return tmp_path
