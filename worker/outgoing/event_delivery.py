"""One delivery of an event over HTTP, signed as Standard Webhooks asks; nothing that a receiver does can hold it up."""

import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

from requests import PreparedRequest, Request, RequestException, Response
from requests.utils import get_environ_proxies
from standardwebhooks import Webhook

from worker import __version__
from worker.domain.endpoints import WAIT_SECONDS, Answer, Endpoint
from worker.domain.errors import Silent
from worker.held_http import HeldAdapter
from worker.wire import Wire, ended_after, reason_of_refusal, trusting

_MOST_READ = 4096
"""Bytes of an answer's body. The rest is not read, and the connection is closed."""
_CONNECT_SECONDS = 5.0
"""For each address of the receiver's host."""
LATE = f"no whole answer within {WAIT_SECONDS:g} seconds"

_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (ssl.SSLError, "TLS fails"),
    (socket.gaierror, "its host name is unknown"),
    (TimeoutError, LATE),
    (ConnectionRefusedError, "nothing listens there"),
    (ConnectionError, "the connection was lost"),
)


class Line:
    """One kept connection to a receiver. For one thread; another one may `cut` it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._wire = Wire()
        self._adapter = _Adapter(self._wire)
        self._proxies = get_environ_proxies(url, no_proxy=None)
        self._is_used = False

    def post(self, body: str, headers: Mapping[str, str]) -> Answer:
        """Send one body. Never raises: whatever the receiver does is an answer.

        A kept connection that the receiver has closed meanwhile is replaced by a new one.
        """
        began = time.monotonic()
        try:
            answer = self._try(body, headers, began)
        except Exception as error:  # noqa: BLE001 - the libraries raise many things at what a strange receiver sends
            self.close()
            if not self._is_used or not _is_lost(error) or self._wire.is_cut:
                return Answer(None, self._reason(error), seconds=time.monotonic() - began)
            self._is_used = False
            return self.post(body, headers)
        self._is_used = True
        return answer

    def cut(self) -> None:
        """Break the connection under the thread that waits on it; never raises."""
        self._wire.cut()

    @property
    def is_cut(self) -> bool:
        """The connection was broken by `cut`; the line is of no more use."""
        return self._wire.is_cut

    def close(self) -> None:
        """Close the connection."""
        self._adapter.close()
        self._wire.close()

    def _try(self, body: str, headers: Mapping[str, str], began: float) -> Answer:
        # Not by a session: that would keep a receiver's cookies, read .netrc, and follow redirects.
        response = self._adapter.send(
            _request(self._url, body.encode(), headers),
            stream=True,
            timeout=(_CONNECT_SECONDS, WAIT_SECONDS),
            verify=True,
            proxies=self._proxies,
        )
        if self.is_cut:  # the library takes the end of the connection for the end of the answer's head
            response.close()
            raise TimeoutError
        return Answer(
            response.status_code,
            retry_after=_retry_after(response.headers.get("Retry-After")),
            body=_start_of(response),
            seconds=time.monotonic() - began,
        )

    def _reason(self, error: Exception) -> str:
        if self.is_cut:
            return LATE
        for each in _causes(error):
            if isinstance(each, ssl.SSLCertVerificationError):
                return reason_of_refusal(each)
            if words := next((words for kind, words in _WORDS if isinstance(each, kind)), None):
                return words
        if isinstance(error, ValueError):
            return f"its URL cannot be used ({type(error).__name__})"
        return f"its answer cannot be read ({type(error).__name__})"


class _Adapter(HeldAdapter):
    """Trusts the authorities of the system, as the rest of this program does."""

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **named: Any) -> None:  # noqa: FBT001, FBT002 - the library's
        super().init_poolmanager(connections, maxsize, block, ssl_context=_trust(), **named)


def send_once(endpoint: Endpoint, event_id: str, body: str) -> Answer:
    """Deliver one event now, on a connection of its own."""
    line = Line(endpoint.url)
    try:
        with ended_after(WAIT_SECONDS, line, endpoint.host):
            answer = line.post(body, signed(endpoint, event_id, body, datetime.now(UTC)))
    except Silent:
        answer = Answer(None, LATE, seconds=WAIT_SECONDS)
    finally:
        line.close()
    return answer


def signed(endpoint: Endpoint, event_id: str, body: str, at: datetime) -> dict[str, str]:
    """Return the headers that prove that the body is ours; after a rotation by both secrets."""
    signatures = " ".join(_signer(secret).sign(event_id, at, body) for secret in endpoint.secrets)
    return {"webhook-id": event_id, "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signatures}


_signer = lru_cache(maxsize=256)(Webhook)


@lru_cache(maxsize=1)
def _trust() -> ssl.SSLContext:
    return trusting(None)


def _request(url: str, body: bytes, headers: Mapping[str, str]) -> PreparedRequest:
    prepared = _prepared(url).copy()
    prepared.body = body
    prepared.headers.update(headers)
    prepared.headers["Content-Length"] = str(len(body))
    return prepared


@lru_cache(maxsize=256)
def _prepared(url: str) -> PreparedRequest:
    """Prepare what all requests to a receiver have in common; it takes longer than all the rest of a request."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"bcc-dropbox/{__version__}",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
    }
    return Request("POST", url, headers=headers).prepare()


def _start_of(response: Response) -> str:
    """Read the start of an answer's body. The status counts, whatever happens to the body."""
    try:
        start: bytes = response.raw.read(_MOST_READ, decode_content=False)
    except Exception:  # noqa: BLE001 - the same
        return ""
    finally:
        response.close()
    return start.decode("utf-8", "replace")


def _retry_after(stated: str | None) -> timedelta | None:
    """Read Retry-After (RFC 9110 §10.2.3): seconds, or a date."""
    if stated is None:
        return None
    try:
        if stated.strip().isdigit():
            return timedelta(seconds=int(stated))
        return max(parsedate_to_datetime(stated) - datetime.now(UTC), timedelta())
    except (ValueError, TypeError, OverflowError):
        return None


def _is_lost(error: Exception) -> bool:
    return any(isinstance(each, ConnectionError) for each in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors behind an error of the libraries, which pack them into each other in several ways."""
    found: list[BaseException] = [error]
    for each in found:
        more = (*each.args, getattr(each, "reason", None), each.__cause__, each.__context__)
        found += [one for one in more if isinstance(one, BaseException) and one not in found]
        if not isinstance(each, RequestException):  # which is an OSError of no kind
            yield each
