"""A TCP proxy that breaks what passes through it: cut, stalled, slowed or delayed on command."""

import queue
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Self

CHUNK = 65536


class Towards(Enum):
    """A direction of the bytes."""

    SERVER = "server"
    CLIENT = "client"


@dataclass
class Direction:
    """What happened to the bytes of one direction, and what shall."""

    received: int = 0
    passed: int = 0
    delay: float = 0.0
    bytes_per_second: float | None = None


@dataclass
class Link:
    """One client's connection and its way on to the server."""

    client: socket.socket
    server: socket.socket
    last: Towards | None = None
    waiting: dict[Towards, queue.SimpleQueue[tuple[float, bytes]]] = field(
        default_factory=lambda: {towards: queue.SimpleQueue() for towards in Towards}
    )

    def close(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class Cut:
    """A proxy on `port` in front of `target`. It passes everything on until a method breaks something."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.connections = 0
        self.round_trips = 0
        self._directions = {towards: Direction() for towards in Towards}
        self._cuts: deque[tuple[Towards, int]] = deque()
        """The first is due when so many bytes passed in all, each other when so many more did since the one before."""
        self._links: list[Link] = []
        self._flowing = threading.Event()
        self._flowing.set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._run(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def passed(self, towards: Towards = Towards.CLIENT) -> int:
        """Tell how many bytes went through in this direction, over all connections."""
        return self._directions[towards].passed

    def received(self, towards: Towards = Towards.CLIENT) -> int:
        """Tell how many bytes came to be passed on in this direction, whether they went through or not."""
        return self._directions[towards].received

    def cut(self) -> None:
        """Break every connection now; new ones are accepted."""
        with self._lock:
            links, self._links = self._links, []
        for link in links:
            link.close()

    def cut_after(self, count: int, towards: Towards = Towards.CLIENT) -> None:
        """Let `count` more bytes pass, then break every connection, once; while a cut is to come, after that one."""
        with self._lock:
            begun = 0 if self._cuts else self._directions[towards].passed
            self._cuts.append((towards, begun + count))

    @property
    def is_to_cut(self) -> bool:
        """Whether what `cut_after` asked for is still to come."""
        return bool(self._cuts)

    def stall(self) -> None:
        """Keep connections open and accept new ones, but let nothing pass."""
        self._flowing.clear()

    def resume(self) -> None:
        """Undo `stall`, `trickle` and `delay`."""
        for direction in self._directions.values():
            direction.delay, direction.bytes_per_second = 0.0, None
        self._flowing.set()

    def trickle(self, bytes_per_second: float, towards: Towards = Towards.CLIENT) -> None:
        """Let bytes pass one at a time."""
        self._directions[towards].bytes_per_second = bytes_per_second

    def delay(self, seconds: float) -> None:
        """Hold every byte back for this long in each direction, as a long line does."""
        for direction in self._directions.values():
            direction.delay = seconds

    def close(self) -> None:
        """Refuse new connections and break those there are."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._flowing.set()
        self.cut()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            try:
                server = socket.create_connection(("127.0.0.1", self.target), timeout=10)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = Link(client, server)
            with self._lock:
                self.connections += 1
                self._links.append(link)
            for towards in Towards:
                self._run(self._read, link, towards)
                self._run(self._write, link, towards)

    def _read(self, link: Link, towards: Towards) -> None:
        source = link.client if towards is Towards.SERVER else link.server
        while data := source.recv(CHUNK):
            direction = self._directions[towards]
            with self._lock:
                direction.received += len(data)
            link.waiting[towards].put((time.monotonic() + direction.delay, data))
        link.waiting[towards].put((0.0, b""))

    def _write(self, link: Link, towards: Towards) -> None:
        sink = link.server if towards is Towards.SERVER else link.client
        while True:
            due, data = link.waiting[towards].get()
            if not data:
                break
            time.sleep(max(0.0, due - time.monotonic()))
            self._pass_on(link, towards, data, sink)
        link.close()

    def _pass_on(self, link: Link, towards: Towards, data: bytes, sink: socket.socket) -> None:
        direction = self._directions[towards]
        while data:
            self._flowing.wait()
            most, pause = len(data), 0.0
            if direction.bytes_per_second:
                most, pause = 1, 1 / direction.bytes_per_second
            size, is_last = self._count(link, towards, most)  # first: who has received a byte finds it counted
            sink.sendall(data[:size])
            data = data[size:]
            if is_last:
                self.cut()
                return
            time.sleep(pause)

    def _count(self, link: Link, towards: Towards, most: int) -> tuple[int, bool]:
        """Return how many bytes may pass now, and whether to cut after them."""
        with self._lock:
            direction = self._directions[towards]
            size, is_last = most, False
            if self._cuts and self._cuts[0][0] is towards:
                left = self._cuts[0][1] - direction.passed
                size, is_last = min(most, left), left <= most
            direction.passed += size
            if is_last:
                self._next_cut()
            if towards is Towards.CLIENT and link.last is Towards.SERVER:
                self.round_trips += 1
            link.last = towards
            return size, is_last

    def _next_cut(self) -> None:
        self._cuts.popleft()
        if self._cuts:
            towards, count = self._cuts[0]
            self._cuts[0] = towards, self._directions[towards].passed + count

    def _run(self, step: Callable[..., None], *arguments: object) -> None:
        def until_closed() -> None:
            with suppress(OSError):
                step(*arguments)

        threading.Thread(target=until_closed, daemon=True).start()
