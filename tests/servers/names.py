"""A private DNS server with the TXT records that it is given; a name with ``*`` answers for all that it matches."""

import secrets
import socket
import struct
import threading
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from types import TracebackType
from typing import Self

TXT, INTERNET, SECONDS = 16, 1, 60
ANSWERED, NO_SUCH_NAME = 0x8580, 0x8583
NO_MORE = b""
QUESTION_AT, TYPE_AND_CLASS = 12, 4


class Names:
    """Answers on port 53 of `address`, a loopback address of its own (RFC 1035)."""

    def __init__(self, records: Mapping[str, str]) -> None:
        self.address = f"127.{secrets.randbelow(250) + 2}.{secrets.randbelow(250)}.53"
        self._records = dict(records)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((self.address, 53))
        self._thread = threading.Thread(target=self._answer_all, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.sendto(NO_MORE, (self.address, 53))
        self._thread.join(timeout=5)
        self._socket.close()

    def mounts(self, folder: Path) -> dict[Path, Path]:
        """Make a mount with which a server asks nobody else."""
        resolver = folder / "resolv.conf"
        resolver.write_text(f"nameserver {self.address}\n")
        return {resolver: Path("/etc/resolv.conf")}

    def _answer_all(self) -> None:
        while True:
            query, client = self._socket.recvfrom(4096)
            if query == NO_MORE:
                return
            self._socket.sendto(self._answer(query), client)

    def _answer(self, query: bytes) -> bytes:
        name, end = _name(query)
        (kind,) = struct.unpack(">H", query[end : end + 2])
        question = query[QUESTION_AT : end + TYPE_AND_CLASS]
        text = self._text(name) if kind == TXT else None
        known = text is not None or any(f".{record}".endswith(f".{name}") for record in self._records)
        head = struct.pack(">HHHHH", ANSWERED if known else NO_SUCH_NAME, 1, int(text is not None), 0, 0)
        return query[:2] + head + question + (_record(text) if text is not None else b"")

    def _text(self, name: str) -> str | None:
        """Find the record of exactly this name, else of the first pattern that matches it."""
        if name in self._records:
            return self._records[name]
        return next((text for pattern, text in self._records.items() if fnmatchcase(name, pattern)), None)


def _name(query: bytes) -> tuple[str, int]:
    """Read the name that is asked for, and where it ends."""
    labels, at = [], QUESTION_AT
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode("latin-1"))
        at += 1 + length
    return ".".join(labels).lower(), at + 1


def _record(text: str) -> bytes:
    """Write a TXT record for the name in the question, in strings of up to 255 octets."""
    data = text.encode()
    strings = b"".join(
        bytes([len(part)]) + part for part in (data[start : start + 255] for start in range(0, len(data), 255))
    )
    name_of_the_question = b"\xc0\x0c"
    return name_of_the_question + struct.pack(">HHIH", TXT, INTERNET, SECONDS, len(strings)) + strings
