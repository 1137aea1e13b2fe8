"""The settings of one run: read from all sources, checked one by one and together, handed out as one frozen object."""

import os
import ssl
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from dotenv.parser import Binding, parse_stream
from pydantic import ModelWrapValidatorHandler, ValidationError, model_validator

from worker.domain.addresses import is_loopback
from worker.domain.errors import DropboxError
from worker.domain.servers import ImapAccess, Mechanism, OAuthClient, Tls, mailbox_name
from worker.domain.text import clean
from worker.domain.tokens import DropboxAddress
from worker.settings.variables import PREFIX, SenderAuth, Variables
from worker.wire import trusting

if TYPE_CHECKING:
    from pydantic import SecretStr


_LONGEST_SHOWN = 300
"""Characters of a bad value; long enough to show a whole path."""


@dataclass(frozen=True, slots=True)
class _Problem:
    """One line for the operator, and the fields it depends on: a bad value of one makes the problem meaningless."""

    line: str
    fields: frozenset[str] = frozenset()
    is_bad_value: bool = False


class SettingsError(DropboxError):
    """The settings cannot be used; nothing was started. Its text has one line for each problem."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def variable(field: str) -> str:
    """Return the name in the environment: ``imap_host`` → ``BCC_DROPBOX_IMAP_HOST``."""
    return PREFIX + field.upper()


def _missing(field: str, should_be: str) -> _Problem:
    """Return the problem of a required setting that is not set."""
    return _Problem(f"{variable(field)} is not set: it should be {should_be}", frozenset({field}))


def _bad_value(field: str, value: str | None, should_be: str) -> _Problem:
    """Return the problem of an unreadable value; pass None as ``value`` to keep a secret out of the text."""
    stated = "has a bad value" if value is None else f"is '{clean(value, most=_LONGEST_SHOWN)}'"
    return _Problem(f"{variable(field)} {stated}: it should be {should_be}", frozenset({field}), is_bad_value=True)


def _unknown(name: str, known: Iterable[str]) -> _Problem:
    """Return the problem of an unknown name with our prefix, with the nearest known name as a hint."""
    near = get_close_matches(name.upper().removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in known], n=1)
    hint = f"; did you mean {PREFIX}{near[0]}?" if near else ""
    return _Problem(f"{clean(name, most=80)} is not a setting{hint}")


_TAKEN = ("imap_password", "oauth_client_secret", "oauth_refresh_token")
_REFUSED = ("database_url", "smtp_url")
"""Refused, because commands see no credential: a command would then work on another database than the service."""


def _read_credentials() -> tuple[dict[str, str], list[_Problem]]:
    """Return the secrets by field name, and the problems that were found."""
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    if not given:
        return {}, []
    folder = Path(given)
    problems = [
        _Problem(f"the credential {name} is not read, as commands would not have it: set {variable(name)} instead")
        for name in _REFUSED
        if os.path.lexists(folder / name)
    ]
    secrets = {}
    for name in _TAKEN:
        try:
            secrets[name] = (folder / name).read_text(encoding="utf-8").strip("\r\n")
        except FileNotFoundError:
            continue
        except UnicodeDecodeError:
            problems.append(_Problem(f"credential {folder / name} cannot be read: it is not UTF-8 text"))
        except OSError as error:
            line = f"credentials in {folder} cannot be read: {os.strerror(error.errno or 0)}"
            return {}, [_Problem(line, frozenset(_TAKEN), is_bad_value=True)]
    return secrets, problems


def _read_env_file(path: Path) -> tuple[dict[str, str], list[_Problem]]:
    """Return the variables with our prefix, names in upper case, and the problems; never shows a line's text.

    Lines are read as they are, so that a ``$`` in a password stays one.
    """
    try:
        with path.open(encoding="utf-8-sig") as stream:
            bindings = list(parse_stream(stream))
    except UnicodeDecodeError:
        return {}, [_Problem(f"env file {path} cannot be read: it is not UTF-8 text")]
    except OSError as error:
        return {}, [_Problem(f"env file {path} cannot be read: {os.strerror(error.errno or 0)}")]
    problems = [
        _Problem(f"env file {path} line {_line(found)} cannot be read: it should be NAME=value")
        for found in bindings
        if found.error or (found.key and found.value is None)
    ]
    values = {found.key.upper(): found.value for found in bindings if found.key and found.value is not None}
    return {name: value for name, value in values.items() if name.startswith(PREFIX)}, problems


def _line(found: Binding) -> int:
    """Return the line number; the parser counts from the blank lines before the entry."""
    text = found.original.string
    return found.original.line + text[: len(text) - len(text.lstrip())].count("\n")


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
            raise SettingsError([_missing("address", should_be(self, "address")).line])
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
        """True when the sender has to be authenticated: an authserv-id is set, and SENDER_AUTH is not off (R13)."""
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
        raise _BadValues(rest, tuple(_bad_value(name, shown[name], should_be(rest, name)) for name in bad))

    @classmethod
    def _read(cls, env_file: Path | None) -> "_Reading":
        stated, problems = _read_env_file(env_file) if env_file else ({}, [])
        credentials, unusable = _read_credentials()
        problems += unusable
        known = {variable(name) for name in cls.model_fields}
        given = sorted(name for name in {*stated, *os.environ} if name.upper().startswith(PREFIX))
        problems += [_unknown(name, known) for name in given if name.upper() not in known]
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

    def __init__(self, rest: Settings, problems: tuple[_Problem, ...]) -> None:
        super().__init__()
        self.rest = rest
        self.problems = problems


@dataclass(frozen=True, slots=True)
class _Reading:
    settings: Settings
    problems: tuple[_Problem, ...]

    def settings_unless(self, problems: Sequence[_Problem]) -> Settings:
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


def _contradictions(settings: Variables) -> list[_Problem]:
    """Return the problems of settings that contradict each other."""
    return [*_of_connection(settings), *_of_secrets(settings), *_of_rules(settings)]


def _of_connection(settings: Variables) -> Iterator[_Problem]:
    if settings.imap_tls is Tls.NONE and settings.imap_host and not is_loopback(settings.imap_host):
        yield _Problem(
            f"{variable('imap_tls')} is 'none', which only a loopback {variable('imap_host')} may have "
            f"(it is '{settings.imap_host}'): it should be ssl or starttls",
            frozenset({"imap_tls", "imap_host"}),
        )
    for wait in ("socket_seconds", "statement_seconds"):
        if getattr(settings, wait) >= settings.poll_deadline_seconds:
            yield _Problem(
                f"{variable('poll_deadline_seconds')} is {settings.poll_deadline_seconds}: "
                f"it should be more than {variable(wait)} ({getattr(settings, wait)})",
                frozenset({"poll_deadline_seconds", wait}),
            )


def _of_secrets(settings: Variables) -> Iterator[_Problem]:
    for secret in ("imap_password", "oauth_client_secret", "oauth_refresh_token"):
        file = f"{secret}_file"
        if getattr(settings, secret) and getattr(settings, file):
            yield _Problem(f"{variable(secret)} and {variable(file)} are both set: it should be one of them")


def _of_rules(settings: Variables) -> Iterator[_Problem]:
    if settings.sender_auth is SenderAuth.REQUIRED and settings.authserv_id is None:
        yield _Problem(
            f"{variable('sender_auth')} is 'required', which needs {variable('authserv_id')}: "
            "set that to the first word that your own server writes into Authentication-Results",
            frozenset({"sender_auth", "authserv_id"}),
        )
    if settings.notice_from and not settings.smtp_url:
        yield _Problem(
            f"{variable('notice_from')} is set, which needs {variable('smtp_url')} to send by",
            frozenset({"notice_from", "smtp_url"}),
        )


def _mailbox_problems(settings: Variables) -> list[_Problem]:
    """Return the problems that keep a command from reaching the mailbox."""
    needed = ["address", "imap_host", "imap_user"]
    if settings.imap_auth is not Mechanism.PASSWORD:
        needed += ["oauth_token_url", "oauth_client_id"]
    problems = [_missing(field, should_be(settings, field)) for field in needed if getattr(settings, field) is None]
    return [*problems, *_of_login(settings), *_of_ca_files(settings)]


def _filing_problems(settings: Variables) -> list[_Problem]:
    """Return what a worker lacks before it may file mail: somebody has to say whether From is believed (R13)."""
    if settings.authserv_id is not None or settings.sender_auth is not None:
        return []
    return [
        _missing("authserv_id", f"{should_be(settings, 'authserv_id')}, so that forged senders are rejected"),
        _Problem(
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


def _of_login(settings: Variables) -> Iterator[_Problem]:
    """Yield the problems of the credentials that the login needs."""
    secrets = ["imap_password"]
    if settings.imap_auth is not Mechanism.PASSWORD:
        # By refresh token (RFC 6749 §6) or by the client's own secret (§4.4): at least one of them.
        either = ["oauth_refresh_token", "oauth_client_secret"]
        secrets = [name for name in either if _is_stated(settings, name)] or either[:1]
    for secret in secrets:
        file: Path | None = getattr(settings, f"{secret}_file")
        if not _is_stated(settings, secret):
            yield _missing(secret, f"{should_be(settings, secret)} (or {variable(secret)}_FILE a file that holds it)")
        elif getattr(settings, secret) is None and file and (fault := _fault_of(file)):
            yield _bad_value(f"{secret}_file", str(file), f"{should_be(settings, f'{secret}_file')}: {fault}")


def _of_ca_files(settings: Variables) -> Iterator[_Problem]:
    for field in ("imap_ca_file", "smtp_ca_file"):
        file: Path | None = getattr(settings, field)
        if file and (fault := _fault_of_authority(file)):
            yield _bad_value(field, str(file), f"{should_be(settings, field)}: {fault}")


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
