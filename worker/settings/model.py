"""The settings of one run: read from all sources, checked one by one and together, handed out as one frozen object."""

import os
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import ModelWrapValidatorHandler, ValidationError, model_validator

from worker.domain.addresses import is_loopback
from worker.domain.servers import ImapAccess, Mechanism, OAuthClient, Tls, mailbox_name
from worker.domain.tokens import DropboxAddress
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
from worker.wire import trusting

if TYPE_CHECKING:
    from pydantic import SecretStr


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
        return reading.settings_unless([*reading.problems, *_mailbox_problems(reading.settings)])

    @classmethod
    def load_for_filing(cls, env_file: Path | None = None) -> "Settings":
        """Read all sources for a worker that files mail.

        Raises:
            SettingsError: with every problem at once, also when nothing says whether senders are checked (R13).
        """
        reading = cls._read(env_file)
        lacking = [*_mailbox_problems(reading.settings), *_filing_problems(reading.settings)]
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
        if problems := _mailbox_problems(self):
            raise SettingsError(problem.line for problem in problems)
        is_by_password = self.imap_auth is Mechanism.PASSWORD
        return ImapAccess(
            host=self.imap_host or "",
            port=self.imap_port or self.imap_tls.port,
            tls=self.imap_tls,
            user=self.imap_user or "",
            password=_secret_of(self, "imap_password") or "" if is_by_password else "",
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
            client_secret=_secret_of(self, "oauth_client_secret"),
            refresh_token=_secret_of(self, "oauth_refresh_token"),
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
        shown = {name: None if _is_secret(name) else str(data.get(name)) for name in bad}
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
        return _Reading(settings, (*problems, *_contradictions(settings)))


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


_SECRETS = frozenset({"database_url", "imap_password", "oauth_client_secret", "oauth_refresh_token", "smtp_url"})
_LONGEST_SECRET = 64 * 1024


def _is_secret(field: str) -> bool:
    """Return True when the value must never be shown."""
    return field in _SECRETS


def should_be(settings: Variables, field: str) -> str:
    """Return what the field's value should be, in words."""
    return type(settings).model_fields[field].description or ""


def _contradictions(settings: Variables) -> list[Problem]:
    """Return the problems of settings that contradict each other."""
    return [*_of_connection(settings), *_of_secrets(settings), *_of_rules(settings)]


def _of_connection(settings: Variables) -> Iterator[Problem]:
    if settings.imap_tls is Tls.NONE and settings.imap_host and not is_loopback(settings.imap_host):
        yield Problem(
            f"{variable('imap_tls')} is 'none', which only a loopback {variable('imap_host')} may have "
            f"(it is '{settings.imap_host}'): it should be ssl or starttls",
            frozenset({"imap_tls", "imap_host"}),
        )
    for wait in ("socket_seconds", "statement_seconds"):
        if getattr(settings, wait) >= settings.poll_deadline_seconds:
            yield Problem(
                f"{variable('poll_deadline_seconds')} is {settings.poll_deadline_seconds}: "
                f"it should be more than {variable(wait)} ({getattr(settings, wait)})",
                frozenset({"poll_deadline_seconds", wait}),
            )


def _of_secrets(settings: Variables) -> Iterator[Problem]:
    for secret in ("imap_password", "oauth_client_secret", "oauth_refresh_token"):
        file = f"{secret}_file"
        if getattr(settings, secret) and getattr(settings, file):
            yield Problem(f"{variable(secret)} and {variable(file)} are both set: it should be one of them")


def _of_rules(settings: Variables) -> Iterator[Problem]:
    if settings.sender_auth is SenderAuth.REQUIRED and settings.authserv_id is None:
        yield Problem(
            f"{variable('sender_auth')} is 'required', which needs {variable('authserv_id')}: "
            "set that to the first word that your own server writes into Authentication-Results",
            frozenset({"sender_auth", "authserv_id"}),
        )
    if settings.notice_from and not settings.smtp_url:
        yield Problem(
            f"{variable('notice_from')} is set, which needs {variable('smtp_url')} to send by",
            frozenset({"notice_from", "smtp_url"}),
        )


def _mailbox_problems(settings: Variables) -> list[Problem]:
    """Return the problems that keep a command from reaching the mailbox."""
    needed = ["address", "imap_host", "imap_user"]
    if settings.imap_auth is not Mechanism.PASSWORD:
        needed += ["oauth_token_url", "oauth_client_id"]
    problems = [missing(field, should_be(settings, field)) for field in needed if getattr(settings, field) is None]
    return [*problems, *_of_login(settings), *_of_ca_files(settings)]


def _filing_problems(settings: Variables) -> list[Problem]:
    """Return what a worker lacks before it may file mail: somebody has to say whether From is believed (R13)."""
    if settings.authserv_id is not None or settings.sender_auth is not None:
        return []
    return [
        missing("authserv_id", f"{should_be(settings, 'authserv_id')}, so that forged senders are rejected"),
        Problem(
            f"{variable('sender_auth')} is not set: it should be off where no mail server of yours checks senders;"
            " then every From is believed, and each email is marked as not verified",
            frozenset({"sender_auth"}),
        ),
    ]


def _secret_of(settings: Variables, field: str) -> str | None:
    """Return the secret from the setting or its file; None when neither is set or readable."""
    value: SecretStr | None = getattr(settings, field)
    if value is not None:
        return value.get_secret_value()
    file: Path | None = getattr(settings, f"{field}_file")
    return None if file is None or _fault_of(file) else file.read_text(encoding="utf-8").strip("\r\n")


def _of_login(settings: Variables) -> Iterator[Problem]:
    secrets = ["imap_password"]
    if settings.imap_auth is not Mechanism.PASSWORD:
        # By refresh token (RFC 6749 §6) or by the client's own secret (§4.4): at least one of them.
        either = ["oauth_refresh_token", "oauth_client_secret"]
        secrets = [name for name in either if _is_stated(settings, name)] or either[:1]
    for secret in secrets:
        file: Path | None = getattr(settings, f"{secret}_file")
        if not _is_stated(settings, secret):
            yield missing(secret, f"{should_be(settings, secret)} (or {variable(secret)}_FILE a file that holds it)")
        elif getattr(settings, secret) is None and file and (fault := _fault_of(file)):
            yield bad_value(f"{secret}_file", str(file), f"{should_be(settings, f'{secret}_file')}: {fault}")


def _of_ca_files(settings: Variables) -> Iterator[Problem]:
    for field in ("imap_ca_file", "smtp_ca_file"):
        file: Path | None = getattr(settings, field)
        if file and (fault := _fault_of_authority(file)):
            yield bad_value(field, str(file), f"{should_be(settings, field)}: {fault}")


def _is_stated(settings: Variables, secret: str) -> bool:
    return getattr(settings, secret) is not None or getattr(settings, f"{secret}_file") is not None


def _fault_of(file: Path) -> str | None:
    try:
        with file.open("rb") as stream:
            octets = stream.read(_LONGEST_SECRET)
        return None if octets.decode().strip() else "it is empty"
    except UnicodeDecodeError:
        return "it is not UTF-8 text"
    except OSError as error:
        return os.strerror(error.errno or 0)


def _fault_of_authority(file: Path) -> str | None:
    try:
        trusting(file)
    except ssl.SSLError:
        return "no certificate in it can be read"
    except OSError as error:
        return os.strerror(error.errno or 0)
    return None
