"""OAuth 2.0 for the mailbox: an access token for each login, got by refresh token or by the client's own secret."""

import re
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from worker.deadline import WAITS_OF_AN_ANSWER, Wire, ended_after
from worker.domain.errors import LoginRefused, Refused, Silent, Unavailable
from worker.domain.hosts import is_loopback
from worker.imap.refresh_token import RefreshTokens

if TYPE_CHECKING:
    from requests import RequestException

_SHARED_SECONDS = 60.0
"""Connections that are opened together share a token; later ones get a fresh one, for one in hand may be revoked."""
_SPARE_SECONDS = 60.0
"""A token that has less left to live might be over by the time the server reads it."""
_USUAL_SECONDS = 3600
_ERROR_CODE = re.compile(r"[\w.-]{1,60}", re.ASCII)
_PASSING = frozenset({"temporarily_unavailable", "server_error", "slow_down"})
_TRY_LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """Who asks for tokens, and where: by refresh token (RFC 6749 §6), or where there is none, as itself (§4.4).

    Raises:
        Refused: a token URL that would carry the secrets over the net in plain text.
    """

    token_url: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    scope: str | None = None
    timeout_seconds: float = 30.0

    def __post_init__(self) -> None:
        url = urlsplit(self.token_url)
        host = url.hostname or ""
        if url.scheme != "https" and not (url.scheme == "http" and is_loopback(host)):
            raise Refused(f"{self.endpoint}: tokens are asked for over https only")

    @property
    def endpoint(self) -> str:
        """The host, as each error names it."""
        return f"OAuth token endpoint {urlsplit(self.token_url).netloc.rpartition('@')[2] or '(no host)'}"


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
    """``invalid_grant``: this refresh token is good no more; another may be."""


class TokenSource:
    """Called at each login, by any thread; gives an access token that was got just now.

    While the endpoint is down, one in hand that still lives is given. ``state_folder`` keeps a renewed refresh token
    over a restart, see `RefreshTokens`.
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
        """Give a token that is good for a while.

        Raises:
            LoginRefused: the endpoint answered and gave none; the text has its error code and no other word of it.
            Unavailable: anything else between us and the endpoint.
        """
        with self._turn:
            if self._held is None or not self._held.is_fresh(time.monotonic()):
                self._held = self._renewed()
            return self._held.text

    def _renewed(self) -> _AccessToken:
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
        """One request. What fails is told after its `except` block, so that no error carries the request along."""
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
    """The endpoint's answer, or what went wrong in our own words: the libraries' would name more than the kind."""
    # Late: a quarter of a second that a login by password need not wait for.
    from authlib.integrations.base_client import OAuthError  # noqa: PLC0415
    from authlib.integrations.requests_client import OAuth2Session  # noqa: PLC0415
    from requests import RequestException  # noqa: PLC0415

    from worker.held_http import HeldAdapter  # noqa: PLC0415

    longest = WAITS_OF_AN_ANSWER * client.timeout_seconds
    try:
        with (
            closing(Wire()) as wire,
            ended_after(longest, wire, client.endpoint),
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
    """Seconds; RFC 6749 §5.1 lets it out where it is understood."""
    try:
        return float(stated)
    except (TypeError, ValueError):
        return _USUAL_SECONDS


def _not_at_the_moment(response: Any) -> Any:
    """Too many requests or no time for this one: nothing was judged, whatever the body says."""
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
