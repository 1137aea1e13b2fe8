"""Courier's own imapd on one Maildir, from its unpacked package; the login, which needs its daemons, is ours."""

import os
import socket
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO

from tests.imap.listening import Listening
from tests.servers.unpacked import unpacked

SETTINGS = {
    "AUTHENTICATED": "drop",
    "AUTHADDR": "drop",
    "IMAP_CAPABILITY": "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE",
    "IMAP_KEYWORDS": "1",
    "IMAP_MAXMSGS": "0",
    "IMAP_USELOCKS": "0",
    "TCPREMOTEIP": "127.0.0.1",
}


class Courier(Listening):
    """Listen on `port` until the block ends; each client gets its own imapd."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._courier = unpacked("courier-imap")
        self._folder = folder
        for part in ("cur", "new", "tmp"):
            (folder / "Maildir" / part).mkdir(parents=True)

    def deliver(self, name: str, raw: bytes) -> None:
        """Put a message where Courier's own delivery would, which ends lines with LF alone."""
        (self._folder / "Maildir" / "new" / name).write_bytes(raw.replace(b"\r\n", b"\n"))

    def folder(self, name: str = "") -> list[bytes]:
        maildir = self._folder / "Maildir" / name
        files = [file for part in ("new", "cur") for file in (maildir / part).glob("*")]
        return [file.read_bytes().replace(b"\n", b"\r\n") for file in sorted(files, key=lambda file: file.name)]

    def serve(self, connection: socket.socket) -> None:
        with connection.makefile("rb", buffering=0) as lines:
            connection.sendall(b"* OK Courier\r\n")
            tag = self._log_in(connection, lines)
            with self._imapd() as imapd:
                assert imapd.stdin is not None
                assert imapd.stdout is not None
                imapd.stdout.readline()  # PREAUTH
                connection.sendall(tag + b" OK in\r\n")
                threading.Thread(target=self._relay, args=(imapd.stdout, connection), daemon=True).start()
                while data := connection.recv(65536):
                    imapd.stdin.write(data)
                imapd.stdin.close()

    def _log_in(self, connection: socket.socket, lines: socket.SocketIO) -> bytes:
        while True:
            tag, _, command = lines.readline().partition(b" ")
            if not command:
                raise OSError("gone before the login")
            if command.startswith(b"LOGIN"):
                return tag
            connection.sendall(b"* CAPABILITY IMAP4rev1\r\n" + tag + b" OK done\r\n")

    def _imapd(self) -> "subprocess.Popen[bytes]":
        environment = {**os.environ, **SETTINGS, "LD_LIBRARY_PATH": self._courier.library_path}
        command = [str(self._courier.program("/usr/bin/imapd")), "Maildir"]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self._folder, env=environment, stdin=pipe, stdout=pipe, bufsize=0)

    def _relay(self, source: IO[bytes], connection: socket.socket) -> None:
        with suppress(OSError, ValueError):
            while data := source.read(65536):
                connection.sendall(data)
            connection.shutdown(socket.SHUT_RDWR)
