"""OAuth 2.0 for the mailbox: an access token for each login, by a refresh token (RFC 6749 §6) or a secret."""

import hashlib
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worker.domain.errors import LoginRefused, Silent, Unavailable
from worker.domain.servers import OAuthClient
from worker.wire import Wire, ended_after

if TYPE_CHECKING:
    from requests import RequestException


class RefreshTokens:
    """The refresh token from the settings, and the newest one that the provider sent in its place (RFC 6749 §6).

    The newest is kept in ``folder`` (mode 0600), because the original is a systemd credential or a file of root's.
    Without a folder, or when it cannot be written, the newest lasts as long as this process. When the setting changes,
    tokens that came from the old one are ignored.
    """

    def __init__(self, stated: str, *, whose: str, folder: Path | None = None) -> None:
        self._stated = stated
        descent = hashlib.blake2b(f"{whose}\0{stated}".encode(), digest_size=16).hexdigest()
        self._file = folder / f"oauth-refresh-token-{descent}" if folder else None
        self._newest: str | None = None

    def candidates(self) -> Iterator[str]:
        """Return the newest token, then the one from the settings, which many providers still accept."""
        newest = self._newest or self._read()
        if newest and newest != self._stated:
            yield newest
        yield self._stated

    def keep(self, token: str) -> None:
        """Keep the token for the next renewal; never raises when the disk is full or read-only."""
        if token == self._newest or (token == self._stated and self._newest is None and not self._read()):
            return
        self._newest = token
        with suppress(OSError):
            self._write(token)

    def _read(self) -> str | None:
        if self._file is None:
            return None
        try:
            return self._file.read_text(encoding="utf-8").strip() or None
        except (OSError, UnicodeDecodeError):
            return None

    def _write(self, token: str) -> None:
        """Write the file atomically, readable by this user only."""
        if self._file is None:
            return
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=self._file.parent, prefix=".oauth-")  # made with mode 0600
        written = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(token)
                stream.flush()
                os.fsync(stream.fileno())
            written.replace(self._file)
        except OSError:
            written.unlink(missing_ok=True)
            raise


_SHARED_SECONDS = 60.0
"""Logins within this time share a token; later ones get a new one, because the old one may be revoked."""
_SPARE_SECONDS = 60.0
"""A token is not used in its last minute: it might expire on the way."""
_USUAL_SECONDS = 3600
_ERROR_CODE = re.compile(r"[\w.-]{1,60}", re.ASCII)
_PASSING = frozenset({"temporarily_unavailable", "server_error", "slow_down"})
_TRY_LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


@dataclass(frozen=True, slots=True)
class _AccessToken:
    text: str = field(repr=False)
    since: float
    until: float

    def lives(self, now: float) -> bool:
        return now < self.until - _SPARE_SECONDS

    def is_fresh(self, now: float) -> bool:
        return now < self.since + _SHARED_SECONDS and self.lives(now)


class _GrantRefused(LoginRefused):
    """``invalid_grant``: this refresh token is not valid any more; another one may be."""


class TokenSource:
    """Call it at each login, from any thread, for a new access token.

    While the endpoint is down it returns the last token as long as that is valid. ``state_folder`` keeps a renewed
    refresh token over a restart, see `RefreshTokens`.
    """

    def __init__(self, client: OAuthClient, *, state_folder: Path | None = None) -> None:
        self._client = client
        self._turn = threading.Lock()
        self._held: _AccessToken | None = None
        whose = f"{client.token_url}\0{client.client_id}"
        self._refresh_tokens = (
            RefreshTokens(client.refresh_token, whose=whose, folder=state_folder) if client.refresh_token else None
        )

    def __repr__(self) -> str:
        return f"TokenSource({self._client!r})"

    def __call__(self) -> str:
        """Return a token that is valid for a while.

        Raises:
            LoginRefused: when the endpoint refuses; the text has its error code and nothing else of its answer.
            Unavailable: when anything else fails.
        """
        with self._turn:
            if self._held is None or not self._held.is_fresh(time.monotonic()):
                self._held = self._renewed()
            return self._held.text

    def _renewed(self) -> _AccessToken:
        """Ask for a new token; while the endpoint is down, return the held one if it is still valid."""
        try:
            return self._by_refresh_token(self._refresh_tokens) if self._refresh_tokens else self._ask(None)
        except LoginRefused:
            self._held = None
            raise
        except Unavailable:
            if self._held and self._held.lives(time.monotonic()):
                return self._held
            raise

    def _by_refresh_token(self, tokens: RefreshTokens) -> _AccessToken:
        refusal: LoginRefused | None = None
        for refresh_token in tokens.candidates():
            try:
                return self._ask(refresh_token)
            except _GrantRefused as refused:
                refusal = refusal or refused
        raise refusal or LoginRefused(f"{self._client.endpoint}: no refresh token")

    def _ask(self, refresh_token: str | None) -> _AccessToken:
        """Send one request. Raises outside the `except` block, so that no error holds the request."""
        asked = time.monotonic()
        answer = _request(self._client, refresh_token)
        if isinstance(answer, Unavailable):
            raise answer
        text = answer.get("access_token")
        if not isinstance(text, str) or not text:
            raise Unavailable(f"{self._client.endpoint}: its answer holds no access token")
        renewed = answer.get("refresh_token")
        if self._refresh_tokens and isinstance(renewed, str) and renewed:
            self._refresh_tokens.keep(renewed)
        return _AccessToken(text, asked, asked + _lifetime(answer.get("expires_in")))


def _request(client: OAuthClient, refresh_token: str | None) -> dict[str, Any] | Unavailable:
    """Return the endpoint's answer, or an error without the libraries' text, which may show secrets."""
    # Imported late: it takes a quarter of a second, and a login by password does not need it.
    from authlib.integrations.base_client import OAuthError  # noqa: PLC0415
    from authlib.integrations.requests_client import OAuth2Session  # noqa: PLC0415
    from requests import RequestException  # noqa: PLC0415

    from worker.held_http import HeldAdapter  # noqa: PLC0415

    try:
        with (
            closing(Wire()) as wire,
            ended_after(client.answer_seconds, wire, client.endpoint),
            OAuth2Session(
                client.client_id,
                client.client_secret,
                # What Microsoft and Google document; in a Basic header they differ on how a secret is quoted.
                token_endpoint_auth_method="client_secret_post" if client.client_secret else "none",
                scope=client.scope,
                default_timeout=client.timeout_seconds,
            ) as session,
        ):
            session.mount(client.token_url, HeldAdapter(wire))
            for answered in ("access_token_response", "refresh_token_response"):
                session.register_compliance_hook(answered, _not_at_the_moment)
            # A redirection would carry the secrets elsewhere.
            if refresh_token:
                return dict(session.refresh_token(client.token_url, refresh_token, allow_redirects=False))
            return dict(session.fetch_token(client.token_url, grant_type="client_credentials", allow_redirects=False))
    except OAuthError as error:
        return _refusal(client, error.error)
    except RequestException as error:
        return _failure(client, error)
    except Silent as late:
        return Unavailable(str(late))
    except (ValueError, TypeError, OverflowError):
        return Unavailable(f"{client.endpoint}: its answer cannot be read")


def _lifetime(stated: Any) -> float:
    """Return the lifetime in seconds; it may be missing (RFC 6749 §5.1)."""
    try:
        return float(stated)
    except (TypeError, ValueError):
        return _USUAL_SECONDS


def _not_at_the_moment(response: Any) -> Any:
    """Treat 408 and 429 as an outage, whatever the body says: the endpoint did not check the request."""
    if response.status_code in _TRY_LATER:
        response.raise_for_status()
    return response


def _refusal(client: OAuthClient, code: object) -> Unavailable:
    shown = code if isinstance(code, str) and _ERROR_CODE.fullmatch(code) else "an error that is no word"
    if shown in _PASSING:
        return Unavailable(f"{client.endpoint}: none at the moment: {shown}")
    kind = _GrantRefused if shown == "invalid_grant" else LoginRefused
    return kind(f"{client.endpoint}: gave no access token: {shown}")


def _failure(client: OAuthClient, error: "RequestException") -> Unavailable:
    from requests import HTTPError, Timeout  # noqa: PLC0415 - as above

    match error:
        case HTTPError(response=response) if response is not None:
            return _http_failure(client, response.status_code)
        case Timeout():
            return Unavailable(f"{client.endpoint}: no answer within {client.timeout_seconds:g} seconds")
        case _:
            return Unavailable(f"{client.endpoint}: cannot be reached ({type(error).__name__})")


def _http_failure(client: OAuthClient, status: int) -> Unavailable:
    text = f"{client.endpoint}: no access token but HTTP {status}"
    is_refusal = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _TRY_LATER
    return LoginRefused(text) if is_refusal else Unavailable(text)
