"""The settings of one run: read from all sources, checked, and handed out as one frozen object."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import ModelWrapValidatorHandler, ValidationError, model_validator

from worker.domain.servers import ImapAccess, Mechanism, OAuthClient, mailbox_name
from worker.domain.tokens import DropboxAddress
from worker.settings.rules import contradictions, filing_problems, is_secret, mailbox_problems, secret_of, should_be
from worker.settings.sources import (
    PREFIX,
    Problem,
    SettingsError,
    bad_value,
    missing,
    read_credentials,
    read_env_file,
    unknown,
    variable,
)
from worker.settings.variables import SenderAuth, Variables


class Settings(Variables):
    """The variables, and the values that the program derives from them."""

    @classmethod
    def load(cls, env_file: Path | None = None) -> "Settings":
        """Read all sources; settings that only the mailbox needs may be missing.

        Raises:
            SettingsError: with every problem at once.
        """
        reading = cls._read(env_file)
        return reading.settings_unless(reading.problems)

    @classmethod
    def load_for_mailbox(cls, env_file: Path | None = None) -> "Settings":
        """Read all sources for a command that reaches the mailbox.

        Raises:
            SettingsError: with every problem at once, missing mailbox settings included.
        """
        reading = cls._read(env_file)
        return reading.settings_unless([*reading.problems, *mailbox_problems(reading.settings)])

    @classmethod
    def load_for_filing(cls, env_file: Path | None = None) -> "Settings":
        """Read all sources for a worker that files mail.

        Raises:
            SettingsError: with every problem at once, also when nothing says whether senders are checked (R13).
        """
        reading = cls._read(env_file)
        lacking = [*mailbox_problems(reading.settings), *filing_problems(reading.settings)]
        return reading.settings_unless([*reading.problems, *lacking])

    def require_address(self) -> DropboxAddress:
        """Return the catch-all address.

        Raises:
            SettingsError: when it is not set.
        """
        if self.address is None:
            raise SettingsError([missing("address", should_be(self, "address")).line])
        return DropboxAddress(self.address)

    def require_mailbox(self) -> ImapAccess:
        """Return everything needed to reach the mailbox; reads secrets from their files.

        Raises:
            SettingsError: when something is missing.
        """
        if problems := mailbox_problems(self):
            raise SettingsError(problem.line for problem in problems)
        is_by_password = self.imap_auth is Mechanism.PASSWORD
        return ImapAccess(
            host=self.imap_host or "",
            port=self.imap_port or self.imap_tls.port,
            tls=self.imap_tls,
            user=self.imap_user or "",
            password=secret_of(self, "imap_password") or "" if is_by_password else "",
            folder=self.imap_folder,
            ca_file=self.imap_ca_file,
            timeout_seconds=self.socket_seconds,
            mechanism=self.imap_auth,
            oauth=None if is_by_password else self._oauth(),
        )

    @property
    def mailbox_name(self) -> str | None:
        """The queue as decisions name it, ``user@host/folder``; None where no mailbox is set."""
        if self.imap_user is None or self.imap_host is None:
            return None
        return mailbox_name(self.imap_user, self.imap_host, self.imap_folder)

    @property
    def requires_sender_auth(self) -> bool:
        """R13: required where an authserv-id is set, unless switched off by name."""
        if self.sender_auth is None:
            return self.authserv_id is not None
        return self.sender_auth is SenderAuth.REQUIRED

    def _oauth(self) -> OAuthClient:
        return OAuthClient(
            token_url=self.oauth_token_url or "",
            client_id=self.oauth_client_id or "",
            client_secret=secret_of(self, "oauth_client_secret"),
            refresh_token=secret_of(self, "oauth_refresh_token"),
            scope=self.oauth_scope,
            timeout_seconds=self.socket_seconds,
        )

    @model_validator(mode="wrap")
    @classmethod
    def _report_all(cls, data: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        """Validate again without the bad values, so that contradictions between the good ones are reported too."""
        try:
            return read(data)
        except ValidationError as error:
            bad = dict.fromkeys(str(found["loc"][0]) for found in error.errors(include_url=False))
        rest = read({name: value for name, value in data.items() if name not in bad})
        shown = {name: None if is_secret(name) else str(data.get(name)) for name in bad}
        raise _BadValues(rest, tuple(bad_value(name, shown[name], should_be(rest, name)) for name in bad))

    @classmethod
    def _read(cls, env_file: Path | None) -> "_Reading":
        stated, problems = read_env_file(env_file) if env_file else ({}, [])
        credentials, unusable = read_credentials()
        problems += unusable
        known = {variable(name) for name in cls.model_fields}
        given = sorted(name for name in {*stated, *os.environ} if name.upper().startswith(PREFIX))
        problems += [unknown(name, known) for name in given if name.upper() not in known]
        fields: dict[str, Any] = {name: value for name, value in credentials.items() if value}
        fields |= {name.removeprefix(PREFIX).lower(): value for name, value in stated.items() if value}
        try:
            settings = cls(**fields)
        except _BadValues as found:
            settings = found.rest
            problems += found.problems
        return _Reading(settings, (*problems, *contradictions(settings)))


class _BadValues(Exception):
    """Raised when fields could not be read; ``rest`` holds the settings made of the other fields."""

    def __init__(self, rest: Settings, problems: tuple[Problem, ...]) -> None:
        super().__init__()
        self.rest = rest
        self.problems = problems


@dataclass(frozen=True, slots=True)
class _Reading:
    settings: Settings
    problems: tuple[Problem, ...]

    def settings_unless(self, problems: Sequence[Problem]) -> Settings:
        """Return the settings, or raise all problems except the ones that only follow from another."""
        broken = {name for problem in self.problems if problem.is_bad_value for name in problem.fields}
        reported = [problem for problem in problems if problem.is_bad_value or broken.isdisjoint(problem.fields)]
        if reported:
            raise SettingsError(problem.line for problem in reported)
        return self.settings
