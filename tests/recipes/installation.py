"""The worker behind a recipe: the settings that its worker.env names, and two users who share one sender address."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.harness.command import Ran, with_variables
from tests.harness.dropbox import Dropbox
from tests.recipes.chain import MAILBOX, Chain
from tests.recipes.letters import JO
from tests.servers.dovecot import PASSWORD, Dovecot

BERT = "bert@example.com"


@dataclass
class ByItsEnvFile(Dropbox):
    """Knows nothing but what the recipe's worker.env says, and where the test has put things."""

    @property
    def environment(self) -> dict[str, str]:
        return with_variables({"BCC_DROPBOX_DATABASE_URL": self.database_url, **self.settings})


@dataclass(frozen=True)
class Installation:
    """A worker with one chain's mailbox."""

    dropbox: Dropbox
    addresses: tuple[str, str]
    """The dropboxes of Jo and of Bert."""

    def poll(self, **settings: str) -> Ran:
        """Poll once, with these settings besides those of the recipe."""
        return self._run("poll", settings)

    def check(self, **settings: str) -> dict[str, dict[str, str]]:
        """Give what `check` finds with these settings, by what was looked at."""
        return {finding["what"]: finding for finding in self._run("check", settings).json}

    def _run(self, command: str, settings: dict[str, str]) -> Ran:
        named = {f"BCC_DROPBOX_{name}": value for name, value in settings.items()}
        return self.dropbox.ok(command, "--json", settings=named)


@dataclass(frozen=True)
class Users:
    """A database with users and no mail, to be copied for each chain."""

    folder: Path
    addresses: tuple[str, str]


def add_users(dovecot: Dovecot, folder: Path) -> Users:
    """Make the database; the mailbox is not asked for that."""
    folder.mkdir(exist_ok=True)
    dropbox = Dropbox(dovecot, MAILBOX, _database(folder))
    addresses = dropbox.add_user(JO), dropbox.add_user(BERT)
    dropbox.admin("sender", "add", BERT, JO)
    return Users(folder, addresses)


def install(chain: Chain, users: Users, folder: Path) -> Installation:
    """Set the worker up as the recipe says."""
    shutil.copytree(users.folder, folder, dirs_exist_ok=True)
    password = folder / "imap-password"
    password.write_text(f"{PASSWORD}\n")
    places = {"BCC_DROPBOX_IMAP_PORT": str(chain.dovecot.imap), "BCC_DROPBOX_IMAP_PASSWORD_FILE": str(password)}
    settings = chain.recipe.settings()
    assert "BCC_DROPBOX_IMAP_PASSWORD_FILE" in settings
    return Installation(ByItsEnvFile(chain.dovecot, MAILBOX, _database(folder), settings | places), users.addresses)


def _database(folder: Path) -> str:
    return f"sqlite:///{folder / 'dropbox.db'}"
