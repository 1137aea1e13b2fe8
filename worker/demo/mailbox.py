"""The embedded mailbox: pymap, a pure Python IMAP server, on a free loopback port, everything in memory."""

import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO

from imapclient import IMAPClient

from worker.domain.errors import DropboxError, Unavailable

USER = "dropbox"
_SERVE = "import sys; from pymap.main import main; sys.exit(main())"
_START_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class EmbeddedMailbox:
    """The server's port and the password that was made for it."""

    port: int
    password: str = field(repr=False)

    def deliver(self, raw: bytes) -> None:
        """Append a message to the queue, as a mail server would."""
        with self._connected() as client:
            client.append("INBOX", raw, msg_time=datetime.now(UTC))

    def folders(self) -> dict[str, int]:
        """Return the number of messages by folder."""
        with self._connected() as client:
            names = [name for _, _, name in client.list_folders()]
            return {name: client.folder_status(name, ["MESSAGES"])[b"MESSAGES"] for name in names}

    @contextmanager
    def _connected(self) -> Iterator[IMAPClient]:
        with IMAPClient("127.0.0.1", port=self.port, ssl=False, timeout=10) as client:
            client.login(USER, self.password)
            yield client


@contextmanager
def embedded_mailbox() -> Iterator[EmbeddedMailbox]:
    """Run the server as a process of its own until the block ends.

    Raises:
        DropboxError: when pymap is not installed.
        Unavailable: when it does not start.
    """
    mailbox = EmbeddedMailbox(_free_port(), secrets.token_hex(12))
    command = [sys.executable, "-c", _SERVE, "--host", "127.0.0.1", "--port", str(mailbox.port), "--no-tls"]
    command += ["--no-service", "managesieve", "--no-service", "admin"]
    command += ["dict", "--demo-user", USER, "--demo-password", mailbox.password]
    with (
        tempfile.TemporaryFile() as said,  # not a pipe: a full pipe that nobody reads stops the server
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said) as server,  # noqa: S603 - ours
    ):
        try:
            _wait_until_it_listens(server, said, mailbox.port)
            yield mailbox
        finally:
            server.kill()


def _wait_until_it_listens(server: "subprocess.Popen[bytes]", said: IO[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise _failure(said)
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise Unavailable(f"the embedded mailbox did not start within {_START_SECONDS:.0f} seconds")


def _failure(said: IO[bytes]) -> DropboxError:
    said.seek(0)
    words = said.read().decode(errors="replace").strip()
    if "No module named" in words:
        return DropboxError("the demo needs the pymap package: pip install 'bcc-dropbox[demo]'")
    return Unavailable(f"the embedded mailbox ended at once: {words.splitlines()[-1] if words else 'it said nothing'}")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
