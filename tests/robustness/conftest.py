"""Scenes on both databases."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.harness.databases import Databases
from tests.robustness.dying import Workers
from tests.robustness.scene import Scene, add_user_and_contact
from tests.servers.dovecot import Dovecot

AT_A_TIME = 4


@pytest.fixture
def new_url(kind: str, databases: Databases) -> Iterator[Callable[[], str]]:
    """Give databases with one user and one contact; they are dropped after the test."""
    with ExitStack() as made:

        def make() -> str:
            url = databases.copy(kind, fill=add_user_and_contact)
            made.callback(databases.drop, url)
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
