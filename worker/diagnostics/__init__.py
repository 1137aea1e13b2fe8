"""All checks in the order in which one rests on another."""

import grp
import os
import re
import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from worker.diagnostics.checks import (
    Finding,
    check_database,
    check_filed,
    check_mailbox,
    check_post,
    failed,
    passed,
    warned,
)
from worker.diagnostics.probe import check_probe
from worker.domain.addresses import is_wildcard
from worker.settings import Settings, SettingsError

_MEND_SETTINGS = "correct the env file; worker.env.example describes each setting"
_PASSWORD_IN_URL = re.compile(r"//[^/@]*:[^/@]+@|[?&]password=.")


def check_all(env_file: Path | None, probe_wait: timedelta | None = None) -> list[Finding]:
    """Run all checks; what is broken is a finding, not an error. With ``probe_wait`` a probe is sent too."""
    try:
        settings = Settings.load_for_filing(env_file)
    except SettingsError as error:
        return [failed("settings", problem, _MEND_SETTINGS) for problem in error.problems]
    findings = [*_check_settings(settings, env_file), *check_database(settings)]
    can_look = not any(finding.has_failed for finding in findings)
    at_mailbox = list(check_mailbox(settings))
    findings += at_mailbox
    if can_look:
        findings += check_filed(settings)
    findings += check_post(settings)
    if probe_wait is not None:
        findings += _probe(settings, probe_wait, can_come_back=not any(finding.has_failed for finding in at_mailbox))
    return findings


def _probe(settings: Settings, wait: timedelta, *, can_come_back: bool) -> Iterator[Finding]:
    if can_come_back:
        yield from check_probe(settings, wait)
    else:
        yield warned("probe", "not sent: the mailbox cannot be read", "repair the mailbox first")


def _check_settings(settings: Settings, env_file: Path | None) -> Iterator[Finding]:
    yield passed("settings", f"all can be read{f' in {env_file}' if env_file else ''}")
    if env_file and _holds_secret(settings) and _is_open_to_all(env_file):
        yield warned("env file", "every user of this machine can read the secrets in it", _closing(env_file))
    for file in (settings.imap_password_file, settings.oauth_client_secret_file, settings.oauth_refresh_token_file):
        if file and _is_open_to_all(file):
            yield warned("secret file", f"every user of this machine can read {file}", _closing(file))
    if settings.received_by is None:
        yield warned(
            "forged envelope fields",
            "BCC_DROPBOX_RECEIVED_BY is not set: the topmost field of each name is believed",
            "set it to the host name that your own mail server writes behind 'by' in Received",
        )
    if settings.metrics_address and is_wildcard(settings.metrics_address.host):
        yield warned(
            "metrics",
            f"everybody who reaches this machine can read them: they listen on {settings.metrics_address.host}",
            "set BCC_DROPBOX_METRICS_ADDRESS to the one address that Prometheus asks, like 127.0.0.1:9108",
        )
    if not settings.requires_sender_auth:
        yield warned(
            "forged senders",
            "SENDER_AUTH is off: every From is believed, and each email is marked as not verified",
            "let your mail server write Authentication-Results, set BCC_DROPBOX_AUTHSERV_ID, and remove SENDER_AUTH",
        )
    if settings.notice_from and not settings.requires_sender_auth:
        unset = "BCC_DROPBOX_SENDER_AUTH is off" if settings.authserv_id else "BCC_DROPBOX_AUTHSERV_ID is not set"
        yield warned(
            "notices",
            f"none will ever be sent: they go only to owners whose mail is authenticated, and {unset}",
            f"{'remove it' if settings.authserv_id else 'set it'}, or remove BCC_DROPBOX_NOTICE_FROM",
        )


def _holds_secret(settings: Settings) -> bool:
    """Return True when the settings themselves hold a password, instead of naming a file that does."""
    urls = [url.get_secret_value() for url in (settings.smtp_url, settings.database_url) if url]
    named = (settings.imap_password, settings.oauth_client_secret, settings.oauth_refresh_token)
    return any(named) or any(_PASSWORD_IN_URL.search(url) for url in urls)


def _is_open_to_all(file: Path) -> bool:
    try:
        folders = file.resolve(strict=True).parents
        return bool(file.stat().st_mode & stat.S_IROTH) and all(each.stat().st_mode & stat.S_IXOTH for each in folders)
    except OSError:
        return False


def _closing(file: Path) -> str:
    """Close it to others, but not to the worker, which most often is not its owner."""
    try:
        group = grp.getgrgid(os.getegid()).gr_name
    except KeyError:
        group = str(os.getegid())
    return f"chgrp {group} {file} && chmod 640 {file}"
