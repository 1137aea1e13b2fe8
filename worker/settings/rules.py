"""Rules on several settings together: contradictions, and the settings that the mailbox needs."""

import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from worker.domain.addresses import is_loopback
from worker.domain.servers import Mechanism, Tls
from worker.settings.sources import Problem, bad_value, missing, variable
from worker.settings.variables import SenderAuth, Variables
from worker.tls import trusting

if TYPE_CHECKING:
    from pydantic import SecretStr

_SECRETS = frozenset({"database_url", "imap_password", "oauth_client_secret", "oauth_refresh_token", "smtp_url"})
_LONGEST_SECRET = 64 * 1024


def is_secret(field: str) -> bool:
    """Return True when the value must never be shown."""
    return field in _SECRETS


def should_be(settings: Variables, field: str) -> str:
    """Return what the field's value should be, in words."""
    return type(settings).model_fields[field].description or ""


def contradictions(settings: Variables) -> list[Problem]:
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


def mailbox_problems(settings: Variables) -> list[Problem]:
    """Return the problems that keep a command from reaching the mailbox."""
    needed = ["address", "imap_host", "imap_user"]
    if settings.imap_auth is not Mechanism.PASSWORD:
        needed += ["oauth_token_url", "oauth_client_id"]
    problems = [missing(field, should_be(settings, field)) for field in needed if getattr(settings, field) is None]
    return [*problems, *_of_login(settings), *_of_ca_files(settings)]


def filing_problems(settings: Variables) -> list[Problem]:
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


def secret_of(settings: Variables, field: str) -> str | None:
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
