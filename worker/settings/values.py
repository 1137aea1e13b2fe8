"""The types of settings, and how each is read from text."""

import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, PlainValidator, SecretStr
from pydantic_settings import NoDecode

from worker.domain.addresses import Address, domain_in_idna, is_loopback
from worker.domain.errors import Refused
from worker.domain.messages import Forwards
from worker.domain.outcomes import Folder
from worker.domain.servers import MailServer, Mechanism, Tls
from worker.domain.text import LENGTH as TOKEN_LENGTH

LONGEST_LOCAL_PART = 64 - len("+") - TOKEN_LENGTH
"""Characters before the plus tag: the 64 of a local part (RFC 5321 §4.5.3.1.1) less the tag (R1)."""

_FIELD_NAME = re.compile(r"[A-Za-z0-9_.-]+")
"""The field names (RFC 5322 §3.6.8) that a FETCH can name as an atom."""
_LAST_PORT = 65535
_DATABASE_URL = re.compile(r"sqlite:///.+|postgresql\+psycopg://.+")


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
    if not re.fullmatch(r"[\w.-]+", local, re.ASCII) or len(local) > LONGEST_LOCAL_PART:
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
    """Read a number of days; ``never`` is None."""
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
