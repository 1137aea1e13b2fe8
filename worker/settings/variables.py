"""The variables of the env file: name, type, default, bounds, and in ``description`` what a value should be."""

import ipaddress
import os
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, SecretStr
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from worker.domain.addresses import Address, domain_in_idna, is_loopback
from worker.domain.errors import Refused
from worker.domain.messages import Forwards
from worker.domain.outcomes import Folder
from worker.domain.routing import DEFAULT_TOKEN_HEADERS
from worker.domain.servers import MailServer, Mechanism, Tls
from worker.domain.text import LENGTH as TOKEN_LENGTH

PREFIX = "BCC_DROPBOX_"
_LONGEST_LOCAL_PART = 64 - len("+") - TOKEN_LENGTH
"""Characters before the plus tag: the 64 of a local part (RFC 5321 §4.5.3.1.1) less the tag (R1)."""

_FIELD_NAME = re.compile(r"[A-Za-z0-9_.-]+")
"""The field names (RFC 5322 §3.6.8) that a FETCH can name as an atom."""
_LAST_PORT = 65535
_DATABASE_URL = re.compile(r"sqlite:///.+|postgresql\+psycopg://.+")


def default_database_url() -> str:
    """Return the URL of the SQLite file in the state folder."""
    return f"sqlite:///{state_folder() / 'bcc-dropbox.sqlite3'}"


def state_folder() -> Path:
    """Return the folder for the worker's own files: the service's state directory, else the user's data folder."""
    if given := os.environ.get("STATE_DIRECTORY"):
        return Path(given.partition(":")[0])  # systemd.exec(5): several are joined by colons
    installed = Path("/var/lib/bcc-dropbox")
    if installed.is_dir() and installed.stat().st_uid == os.geteuid():
        return installed
    try:
        data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    except RuntimeError:  # neither HOME nor an entry in passwd
        return installed
    return Path(data) / "bcc-dropbox"


class SenderAuth(StrEnum):
    """Sender authentication: the mail server has to confirm the From address, or not (R13)."""

    REQUIRED = "required"
    OFF = "off"


class Idle(StrEnum):
    """Use of the server's IDLE to start a poll at once (R22)."""

    AUTO = "auto"
    OFF = "off"


class LogFormat(StrEnum):
    """Form of log lines; ``auto`` is coloured text on a terminal, else JSON."""

    AUTO = "auto"
    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    """The lowest level that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Address on which a server of the worker listens."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "ListenAddress":
        """Read ``host:port`` or ``[::1]:port``."""
        parts = urlsplit(f"//{text}")
        if not parts.hostname or not parts.port or parts.path or parts.username:
            raise ValueError(text)
        return cls(parts.hostname, parts.port)


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _catch_all(text: str) -> Address:
    address = Address.parse(text)
    local = address.text.rpartition("@")[0]
    if not re.fullmatch(r"[\w.-]+", local, re.ASCII) or len(local) > _LONGEST_LOCAL_PART:
        raise ValueError(local)
    return address


def _host(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        return domain_in_idna(text)


def _field_names(value: object) -> object:
    if not isinstance(value, str):
        return value
    names = tuple(name.strip() for name in value.split(","))
    if not all(_FIELD_NAME.fullmatch(name) for name in names):
        raise ValueError(value)
    return names


def _queue_folder(text: str) -> str:
    if text.casefold() in {folder.casefold() for folder in Folder}:
        raise ValueError(text)  # what is moved there would come back as new mail, for ever
    return text


def _word(text: str) -> str:
    if len(text.split()) != 1:
        raise ValueError(text)
    return text


def _https_url(text: str) -> str:
    parts = urlsplit(text)
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    if not is_safe or not parts.hostname:
        raise ValueError(text)
    return text


def _database_url(url: SecretStr) -> SecretStr:
    text = url.get_secret_value()
    if not _DATABASE_URL.fullmatch(text):
        raise ValueError
    from sqlalchemy import make_url  # noqa: PLC0415 - slow to import; only needed when settings are read
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        parsed = make_url(text)
    except ArgumentError:
        raise ValueError from None
    is_file = parsed.database and parsed.database != ":memory:" and not parsed.database.startswith("file:")
    if parsed.drivername == "sqlite" and not is_file:
        raise ValueError  # a database in memory is lost with the process; a file: URL can also mean memory
    if parsed.port is not None and not 1 <= parsed.port <= _LAST_PORT:
        raise ValueError
    return url


def _smtp_url(url: SecretStr) -> SecretStr:
    try:
        MailServer.parse(url.get_secret_value())
    except Refused as refused:
        raise ValueError from refused
    return url


DAYS = "a whole number of days from 1 to 36500, or never"
_MOST_DAYS = 36_500


def _days(value: object) -> object:
    """Read a number of days; ``never`` gives None."""
    if value is None or (isinstance(value, str) and value.strip().lower() == "never"):
        return None
    days = int(str(value))
    if not 1 <= days <= _MOST_DAYS:
        raise ValueError(value)
    return days


Days = Annotated[int | None, BeforeValidator(_days)]
CatchAll = Annotated[Address, PlainValidator(_catch_all)]
MailAddress = Annotated[Address, PlainValidator(Address.parse)]
Host = Annotated[str, AfterValidator(_host)]
QueueFolder = Annotated[str, AfterValidator(_queue_folder)]
Word = Annotated[str, AfterValidator(_word)]
FieldNames = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_field_names)]
HttpsUrl = Annotated[str, AfterValidator(_https_url)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]
SmtpUrl = Annotated[SecretStr, AfterValidator(_smtp_url)]
Listen = Annotated[ListenAddress, PlainValidator(ListenAddress.parse)]


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ValueError("has a ~, but this user has no home folder; name the whole path") from error


File = Annotated[Path, AfterValidator(_expanded)]
TlsChoice = Annotated[Tls, BeforeValidator(_lower)]
MechanismChoice = Annotated[Mechanism, BeforeValidator(_lower)]
SenderAuthChoice = Annotated[SenderAuth, BeforeValidator(_lower)]
ForwardsChoice = Annotated[Forwards, BeforeValidator(_lower)]
IdleChoice = Annotated[Idle, BeforeValidator(_lower)]
LogFormatChoice = Annotated[LogFormat, BeforeValidator(_lower)]
LogLevelChoice = Annotated[LogLevel, BeforeValidator(_lower)]


def _number(default: int, least: int, most: int, what: str) -> Any:
    return Field(default, ge=least, le=most, description=f"{what} from {least} to {most}")


def _seconds(default: int, least: int, most: int) -> Any:
    return _number(default, least, most, "a whole number of seconds")


class Variables(BaseSettings):
    """One field for each variable ``BCC_DROPBOX_…``. The environment wins over the env file and the credentials."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    address: CatchAll | None = Field(
        None,
        description="the catch-all address, like drop@drop.example.com: letters, digits, '.', '_' or '-', at most "
        f"{_LONGEST_LOCAL_PART} of them before the @, so that '+' and a token fit in",
    )
    database_url: DatabaseUrl = Field(
        default_factory=lambda: SecretStr(default_database_url()),
        description="sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME",
    )

    imap_host: Host | None = Field(None, description="the IMAP server's host name or address, without a port")
    imap_port: int | None = Field(None, ge=1, le=65535, description="a port from 1 to 65535 (993 for ssl, else 143)")
    imap_tls: TlsChoice = Field(Tls.SSL, description="ssl, starttls, or none (for a loopback host only)")
    imap_user: str | None = Field(None, description="the login name of the catch-all mailbox")
    imap_auth: MechanismChoice = Field(Mechanism.PASSWORD, description="password, xoauth2 or oauthbearer")
    imap_password: SecretStr | None = Field(None, description="the password of the catch-all mailbox")
    imap_password_file: File | None = Field(None, description="a file that holds the password")
    imap_folder: QueueFolder = Field(
        "INBOX", description="the folder that new mail arrives in, none of Associated, Rejected, Quarantine"
    )
    imap_ca_file: File | None = Field(None, description="a PEM file with the authority of the server's certificate")
    oauth_token_url: HttpsUrl | None = Field(None, description="the https:// address that gives access tokens")
    oauth_client_id: str | None = Field(None, description="the client id that the mail provider gave")
    oauth_client_secret: SecretStr | None = Field(None, description="the client secret that the mail provider gave")
    oauth_client_secret_file: File | None = Field(None, description="a file that holds the client secret")
    oauth_refresh_token: SecretStr | None = Field(None, description="the refresh token that the mail provider gave")
    oauth_refresh_token_file: File | None = Field(None, description="a file that holds the refresh token")
    oauth_scope: str | None = Field(None, description="the scopes to ask for, separated by spaces")

    poll_seconds: int = _seconds(60, 1, 150)
    idle: IdleChoice = Field(Idle.AUTO, description="auto or off")
    poll_deadline_seconds: int = _seconds(150, 2, 86400)
    socket_seconds: int = _seconds(30, 1, 600)
    statement_seconds: int = _seconds(30, 1, 600)
    batch_messages: int = _number(250, 1, 5000, "a whole number")
    batch_bytes: int = _number(8 * 1024 * 1024, 65536, 1024**3, "a whole number of bytes")

    token_headers: FieldNames = Field(
        DEFAULT_TOKEN_HEADERS,
        description="names of header fields, separated by commas, like X-Original-To,Delivered-To",
    )
    received_by: Host | None = Field(None, description="the host name behind 'by' in your own server's Received")
    sender_auth: SenderAuthChoice | None = Field(
        None, description="required (the default where AUTHSERV_ID is set) or off"
    )
    authserv_id: Word | None = Field(
        None, description="the first word that your own server writes into Authentication-Results"
    )
    max_attachment_bytes: int = _number(10 * 1024 * 1024, 1, 1024**3, "a whole number of bytes")
    max_recipients: int = _number(50, 1, 1000, "a whole number")
    max_new_records_per_day: int = _number(500, 0, 1_000_000, "a whole number")
    keep_rejected_days: Days = Field(90, description=DAYS)
    keep_events_days: Days = Field(30, description=DAYS)
    keep_emails_days: Days = Field(None, description=DAYS)
    forwards: ForwardsChoice = Field(Forwards.ALL, description="all, attached or off")

    smtp_url: SmtpUrl | None = Field(
        None,
        description="smtps:// or smtp+starttls://[USER:PASSWORD@]HOST[:PORT], or smtp:// without a password "
        "(with one for a loopback host only)",
    )
    smtp_ca_file: File | None = Field(
        None, description="a PEM file with the authority of the mail server's certificate"
    )
    notice_from: MailAddress | None = Field(None, description="the address that notices to owners come from")
    metrics_address: Listen | None = Field(None, description="HOST:PORT to listen on, like 127.0.0.1:9108")
    log_format: LogFormatChoice = Field(LogFormat.AUTO, description="auto, console or json")
    log_level: LogLevelChoice = Field(LogLevel.INFO, description="debug, info, warning or error")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources, the first one wins; constructor arguments come from the env file and the credentials."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings
