"""The settings themselves: name, default, bounds, and in ``description`` what a value should be."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ModelWrapValidatorHandler, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from worker.domain.routing import DEFAULT_TOKEN_HEADERS
from worker.domain.tokens import DropboxAddress
from worker.settings import values
from worker.settings.credentials import read_credentials
from worker.settings.envfile import default_database_url, read_env_file
from worker.settings.problems import PREFIX, Problem, SettingsError, bad_value, missing, unknown, variable
from worker.settings.rules import contradictions, is_secret, mailbox_problems, secret_of, should_be
from worker.settings.values import ImapAuth, SenderAuth, Tls


@dataclass(frozen=True, slots=True)
class OAuthAccess:
    """How an access token is got: by refresh token, or by the client's own credentials where there is none."""

    token_url: str
    client_id: str
    client_secret: str | None = field(repr=False)
    refresh_token: str | None = field(repr=False)
    scope: str | None


@dataclass(frozen=True, slots=True)
class MailboxAccess:
    """Everything that it takes to reach the mailbox; ``password`` is None exactly where ``oauth`` is not."""

    dropbox: DropboxAddress
    host: str
    port: int
    tls: Tls
    user: str
    auth: ImapAuth
    password: str | None = field(repr=False)
    oauth: OAuthAccess | None
    folder: str
    ca_file: Path | None


def _number(default: int, least: int, most: int, what: str) -> Any:
    return Field(default, ge=least, le=most, description=f"{what} from {least} to {most}")


def _seconds(default: int, least: int, most: int) -> Any:
    return _number(default, least, most, "a whole number of seconds")


class Settings(BaseSettings):
    """One field for each variable ``BCC_DROPBOX_…``. The environment wins over the env file, that over a credential."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    address: values.CatchAll | None = Field(
        None,
        description="the catch-all address, like drop@drop.example.com: letters, digits, '.', '_' or '-', at most "
        f"{values.LONGEST_LOCAL_PART} of them before the @, so that '+' and a token fit in",
    )
    database_url: values.DatabaseUrl = Field(
        default_factory=lambda: SecretStr(default_database_url()),
        description="sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME",
    )

    imap_host: values.Host | None = Field(None, description="the IMAP server's host name or address, without a port")
    imap_port: int | None = Field(None, ge=1, le=65535, description="a port from 1 to 65535 (993 for ssl, else 143)")
    imap_tls: values.TlsChoice = Field(Tls.SSL, description="ssl, starttls, or none (for a loopback host only)")
    imap_user: str | None = Field(None, description="the login name of the catch-all mailbox")
    imap_auth: values.ImapAuthChoice = Field(ImapAuth.PASSWORD, description="password, xoauth2 or oauthbearer")
    imap_password: SecretStr | None = Field(None, description="the password of the catch-all mailbox")
    imap_password_file: values.File | None = Field(None, description="a file that holds the password")
    imap_folder: values.QueueFolder = Field(
        "INBOX", description="the folder that new mail arrives in, none of Associated, Rejected, Quarantine"
    )
    imap_ca_file: values.File | None = Field(
        None, description="a PEM file with the authority of the server's certificate"
    )
    oauth_token_url: values.HttpsUrl | None = Field(None, description="the https:// address that gives access tokens")
    oauth_client_id: str | None = Field(None, description="the client id that the mail provider gave")
    oauth_client_secret: SecretStr | None = Field(None, description="the client secret that the mail provider gave")
    oauth_client_secret_file: values.File | None = Field(None, description="a file that holds the client secret")
    oauth_refresh_token: SecretStr | None = Field(None, description="the refresh token that the mail provider gave")
    oauth_refresh_token_file: values.File | None = Field(None, description="a file that holds the refresh token")
    oauth_scope: str | None = Field(None, description="the scopes to ask for, separated by spaces")

    poll_seconds: int = _seconds(60, 1, 150)
    idle: values.IdleChoice = Field(values.Idle.AUTO, description="auto or off")
    poll_deadline_seconds: int = _seconds(150, 2, 86400)
    socket_seconds: int = _seconds(30, 1, 600)
    statement_seconds: int = _seconds(30, 1, 600)
    batch_messages: int = _number(250, 1, 5000, "a whole number")
    batch_bytes: int = _number(8 * 1024 * 1024, 65536, 1024**3, "a whole number of octets")

    token_headers: values.FieldNames = Field(
        DEFAULT_TOKEN_HEADERS,
        description="names of header fields, separated by commas, like X-Original-To,Delivered-To",
    )
    received_by: values.Host | None = Field(None, description="the host name behind 'by' in your own server's Received")
    sender_auth: values.SenderAuthChoice | None = Field(
        None, description="required (the default where AUTHSERV_ID is set) or off"
    )
    authserv_id: values.Word | None = Field(
        None, description="the first word that your own server writes into Authentication-Results"
    )
    max_attachment_bytes: int = _number(10 * 1024 * 1024, 1, 1024**3, "a whole number of octets")
    max_recipients: int = _number(50, 1, 1000, "a whole number")

    smtp_url: values.SmtpUrl | None = Field(
        None,
        description="smtps:// or smtp+starttls://[USER:PASSWORD@]HOST[:PORT], or smtp:// without a password "
        "(with one for a loopback host only)",
    )
    smtp_ca_file: values.File | None = Field(
        None, description="a PEM file with the authority of the mail server's certificate"
    )
    notice_from: values.MailAddress | None = Field(None, description="the address that notices to owners come from")
    metrics_address: values.Listen | None = Field(None, description="HOST:PORT to listen on, like 127.0.0.1:9108")
    log_format: values.LogFormatChoice = Field(values.LogFormat.AUTO, description="auto, console or json")
    log_level: values.LogLevelChoice = Field(values.LogLevel.INFO, description="debug, info, warning or error")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """First wins; what is given to the constructor comes from the env file and the credentials."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings

    @classmethod
    def load(cls, env_file: Path | None = None) -> "Settings":
        """Read everything; what only the mailbox needs may be missing.

        Raises:
            SettingsError: with every problem at once.
        """
        reading = cls._read(env_file)
        return reading.settings_unless(reading.problems)

    @classmethod
    def load_for_mailbox(cls, env_file: Path | None = None) -> "Settings":
        """The same for the commands that reach the mailbox: what they need must be there."""
        reading = cls._read(env_file)
        return reading.settings_unless([*reading.problems, *mailbox_problems(reading.settings)])

    def require_address(self) -> DropboxAddress:
        """The catch-all address, for what shows or reads dropbox addresses. Raises `SettingsError`."""
        if self.address is None:
            raise SettingsError([missing("address", should_be(self, "address")).line])
        return DropboxAddress(self.address)

    def require_mailbox(self) -> MailboxAccess:
        """Everything that it takes to reach the mailbox, secrets read from their files. Raises `SettingsError`."""
        if problems := mailbox_problems(self):
            raise SettingsError(problem.line for problem in problems)
        return MailboxAccess(
            dropbox=self.require_address(),
            host=self.imap_host or "",
            port=self.imap_port or self.imap_tls.port,
            tls=self.imap_tls,
            user=self.imap_user or "",
            auth=self.imap_auth,
            password=secret_of(self, "imap_password") if self.imap_auth is ImapAuth.PASSWORD else None,
            oauth=None if self.imap_auth is ImapAuth.PASSWORD else self._oauth(),
            folder=self.imap_folder,
            ca_file=self.imap_ca_file,
        )

    @property
    def mailbox_name(self) -> str | None:
        """The queue as decisions name it, ``user@host/folder``; None where no mailbox is set."""
        if self.imap_user is None or self.imap_host is None:
            return None
        return f"{self.imap_user}@{self.imap_host}/{self.imap_folder}"

    @property
    def requires_sender_auth(self) -> bool:
        """R13: required where an authserv-id is set, unless switched off by name."""
        if self.sender_auth is None:
            return self.authserv_id is not None
        return self.sender_auth is SenderAuth.REQUIRED

    def _oauth(self) -> OAuthAccess:
        return OAuthAccess(
            token_url=self.oauth_token_url or "",
            client_id=self.oauth_client_id or "",
            client_secret=secret_of(self, "oauth_client_secret"),
            refresh_token=secret_of(self, "oauth_refresh_token"),
            scope=self.oauth_scope,
        )

    @model_validator(mode="wrap")
    @classmethod
    def _tell_all(cls, data: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        """Read on without the bad values, so that what is wrong between the good ones is told too."""
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
    """Some fields could not be read; ``rest`` is what the others say."""

    def __init__(self, rest: Settings, problems: tuple[Problem, ...]) -> None:
        super().__init__()
        self.rest = rest
        self.problems = problems


@dataclass(frozen=True, slots=True)
class _Reading:
    settings: Settings
    problems: tuple[Problem, ...]

    def settings_unless(self, problems: Sequence[Problem]) -> Settings:
        """The settings when there is no problem; else the problems, without those that only follow from another."""
        broken = {name for problem in self.problems if problem.is_bad_value for name in problem.fields}
        told = [problem for problem in problems if problem.is_bad_value or broken.isdisjoint(problem.fields)]
        if told:
            raise SettingsError(problem.line for problem in told)
        return self.settings
