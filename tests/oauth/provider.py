"""A mail provider's OAuth 2.0 server on loopback: gives access tokens, and tells Dovecot which of them are good."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from tests.secrecy import CLIENT_SECRET, REFRESH_TOKEN

CLIENT_ID = "bcc-dropbox-client"


@dataclass
class Answer:
    """What the token endpoint says next, instead of what it would say by itself."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class Provider:
    """``user`` is who the tokens are for; ``asked`` is every form that the token endpoint was sent."""

    def __init__(self) -> None:
        self.user = "nobody"
        self.lifetime: Any = 3600
        self.refresh_tokens = {REFRESH_TOKEN}
        self.renews_refresh_token = False
        self.answers: list[Answer] = []
        self.asked: list[dict[str, str]] = []
        self._good: set[str] = set()
        self._counter = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))

    @property
    def token_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/token"

    @property
    def introspection_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/introspect"

    @property
    def given(self) -> int:
        """How many access tokens there have been."""
        return self._counter

    def expire_all(self) -> None:
        """Make every token that was given a bad one."""
        self._good.clear()

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def token(self, form: dict[str, str]) -> Answer:
        self.asked.append(form)
        if self.answers:
            return self.answers.pop(0)
        if form.get("client_id") != CLIENT_ID or form.get("client_secret", CLIENT_SECRET) != CLIENT_SECRET:
            return refusal("invalid_client", 401)
        if form["grant_type"] == "refresh_token" and form["refresh_token"] not in self.refresh_tokens:
            return refusal("invalid_grant")
        return Answer(200, json.dumps(self._new_token(form["grant_type"])).encode())

    def introspect(self, form: dict[str, str]) -> Answer:
        if form.get("token") not in self._good:
            return Answer(200, b'{"active": false}')
        return Answer(200, json.dumps({"active": True, "username": self.user}).encode())

    def _new_token(self, grant_type: str) -> dict[str, Any]:
        self._counter += 1
        token = f"access-token-{self._counter}"
        self._good.add(token)
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": self.lifetime}
        if grant_type == "refresh_token" and self.renews_refresh_token:
            answer["refresh_token"] = f"refresh-token-{self._counter}"
            self.refresh_tokens.add(answer["refresh_token"])
        return answer


def refusal(code: str, status: int = 400) -> Answer:
    """An error answer (RFC 6749 §5.2), with words that may name a secret."""
    return Answer(status, json.dumps({"error": code, "error_description": f"bad: {CLIENT_SECRET}"}).encode())


@contextmanager
def running() -> Iterator[Provider]:
    provider = Provider()
    provider.start()
    try:
        yield provider
    finally:
        provider.stop()


def _handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            octets = self.rfile.read(int(self.headers["Content-Length"]))
            form = {name: values[0] for name, values in parse_qs(octets.decode(), strict_parsing=True).items()}
            answer = (provider.token if self.path == "/token" else provider.introspect)(form)
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            pass

    return Handler
