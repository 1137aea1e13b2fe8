"""A receiver of events with settable answers; it verifies each request with the library."""

import json
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from standardwebhooks import Webhook, WebhookVerificationError

SECRET = "whsec_dGhlIHNlY3JldCBvZiB0aGUgdGVzdHMsIDMyIGJ5dGU="


@dataclass(frozen=True)
class Got:
    """One request."""

    id: str
    headers: dict[str, str]
    body: dict[str, Any]
    at: float

    @property
    def type(self) -> str:
        return str(self.body["type"])

    @property
    def data(self) -> dict[str, Any]:
        return dict(self.body["data"])


Behaviour = Callable[["Handler", Got], None]


def answers(status: int, body: bytes = b"", **headers: str) -> Behaviour:
    """Answer so."""

    def behave(handler: "Handler", _got: Got) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return behave


def hangs(handler: "Handler", _got: Got) -> None:
    """Take the request and say nothing."""
    handler.receiver.ending.wait(60)


def resets(handler: "Handler", _got: Got) -> None:
    """Break the connection with a RST."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def drips(handler: "Handler", _got: Got) -> None:
    """Send the head of an answer octet for octet: each read is in time, the whole never ends."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not handler.receiver.ending.wait(0.2):
        handler.wfile.write(b"x")


def never_ends(handler: "Handler", _got: Got) -> None:
    """Answer well, with a body that has no end."""
    handler.send_response(200)
    handler.end_headers()
    handler.close_connection = True
    while not handler.receiver.ending.is_set():
        handler.wfile.write(b"x" * 65536)
        handler.receiver.octets += 65536


def slow(seconds: float) -> Behaviour:
    """Answer well after a while."""

    def behave(handler: "Handler", got: Got) -> None:
        handler.receiver.ending.wait(seconds)
        answers(204)(handler, got)

    return behave


def closes(handler: "Handler", got: Got) -> None:
    """Answer well, and close the connection without saying so."""
    answers(200)(handler, got)
    handler.close_connection = True


def garbage(handler: "Handler", _got: Got) -> None:
    """Answer with what is no HTTP."""
    handler.wfile.write(b"\x00\xff no http at all\r\n\r\n")
    handler.close_connection = True


@dataclass
class Receiver:
    """Listens on loopback; ``behaviour`` may be changed at any time."""

    behaviour: Behaviour = field(default_factory=lambda: answers(204))
    secrets: tuple[str, ...] = (SECRET,)
    port: int = 0
    got: list[Got] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    octets: int = 0
    connections: int = 0
    ending: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._lock = threading.Lock()
        handler = type("Bound", (Handler,), {"receiver": self})
        self._server = _Server(("127.0.0.1", self.port), handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        """The ids of the requests in the order in which they came."""
        return [got.id for got in self.got]

    def take(self, headers: dict[str, str], body: bytes) -> Got | None:
        """Verify a request as the CRM would."""
        got = Got(headers["webhook-id"], headers, json.loads(body), time.monotonic())
        try:
            for secret in self.secrets:
                Webhook(secret).verify(body, headers)
        except WebhookVerificationError as error:
            with self._lock:
                self.refused.append(str(error))
            return None
        with self._lock:
            self.got.append(got)
        return got

    def of_record(self, record: int) -> list[str]:
        """The types of the events of a record."""
        return [got.type for got in self.got if got.data.get("record_id") == record]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    disable_nagle_algorithm = True

    def handle_error(self, request: Any, client_address: Any) -> None: ...


class Handler(BaseHTTPRequestHandler):
    receiver: Receiver
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.receiver.connections += 1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        got = self.receiver.take(headers, body)
        (self.receiver.behaviour if got else answers(401))(self, got)  # type: ignore[arg-type]

    def log_message(self, *_: object) -> None: ...


def main() -> None:
    """Receive as a process of its own: print the port, and at each line of input how many events came, and how fast."""
    behaviour = {"hangs": hangs, "answers": answers(204)}[sys.argv[1]]
    with Receiver(behaviour) as receiver:
        _say(receiver.port)
        while sys.stdin.readline():
            moments = [got.at for got in receiver.got]
            seconds = moments[-1] - moments[0] if moments else 0.0
            told = {"events": len(set(receiver.ids)), "refused": len(receiver.refused), "seconds": seconds}
            _say(told)


def _say(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
