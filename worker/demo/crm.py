"""The CRM of the demonstration: the example receiver, as a process of its own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

RECEIVER = Path(__file__).parents[2] / "config" / "receiver.py"
_START_SECONDS = 10.0


def free_port() -> int:
    """Return a port of this machine that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def receiver(url: str, secret: str) -> Iterator[Callable[[], str]]:
    """Run the receiver at this URL; what it yields gives what it printed, once the block is over."""
    port = urlsplit(url).port or 0
    environment = {**os.environ, "WEBHOOK_SECRET": secret}
    process = subprocess.Popen(  # noqa: S603 - our own file
        [sys.executable, RECEIVER, str(port)], env=environment, stdout=subprocess.PIPE, text=True
    )
    printed: list[str] = []
    try:
        _wait_for(port)
        yield lambda: "".join(printed).strip()
    finally:
        process.terminate()
        printed.append(process.communicate()[0])


def _wait_for(port: int) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
