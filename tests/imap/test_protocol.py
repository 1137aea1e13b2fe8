"""Reading from the connection: whole lines and literals, however they arrive."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.imap.scripted import Scripted
from worker.imap.protocol import Protocol, ReadAhead

SAID = b"* 1 FETCH (BODY[] {11}\r\nhello\r\nworld)\r\n* 2 EXISTS\r\n"
Pair = tuple[ReadAhead, socket.socket]


class Slow(socket.socket):
    """Gives a few bytes at a time."""

    most = 0

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        return super().recv_into(memoryview(buffer)[: self.most], nbytes, flags)


@pytest.fixture
def pair() -> Iterator[Pair]:
    """The end that is read, and the end that a test writes to."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(5)
        yield ReadAhead(ours), theirs


@pytest.mark.parametrize("size", [1, 2, 7, len(SAID)])
def test_lines_and_literals_are_whole_in_pieces_of_any_size(pair: Pair, size: int) -> None:
    whole, server = pair
    server.sendall(SAID)
    with Slow(fileno=whole.connection.detach()) as connection:
        connection.most = size
        reader = ReadAhead(connection)
        assert reader.readline(100) == b"* 1 FETCH (BODY[] {11}\r\n"
        assert reader.read(11) == b"hello\r\nworl"
        assert reader.readline(100) == b"d)\r\n"
        assert reader.read(0) == b""
        assert reader.readline(100) == b"* 2 EXISTS\r\n"


def test_a_part_of_a_line_waits_for_the_rest(pair: Pair) -> None:
    """While a client idles, its socket does not block."""
    reader, server = pair
    reader.connection.setblocking(False)
    server.sendall(b"* 4 EX")
    with pytest.raises(BlockingIOError):
        reader.readline(100)
    server.sendall(b"ISTS\r\n")
    assert reader.readline(100) == b"* 4 EXISTS\r\n"


def test_the_end_of_the_connection_ends_what_is_read(pair: Pair) -> None:
    reader, server = pair
    server.sendall(b"half a literal")
    server.close()
    assert reader.read(5) == b"half "
    assert reader.read(100) == b"a literal"
    assert (reader.read(1), reader.readline(100)) == (b"", b"")


def test_a_line_that_does_not_end_is_read_no_further_than_needed(pair: Pair) -> None:
    reader, server = pair
    server.sendall(b"x" * 50)
    assert reader.readline(9) == b"x" * 10


def test_a_new_connection_drops_what_the_old_one_sent() -> None:
    """After STARTTLS nothing counts that came in plain text before it."""
    answers = {"NOOP": b"TAG OK done\r\n* 9 EXISTS\r\nfrom before\r\n"}
    with Scripted(answers) as server:
        reach = socket.create_connection
        protocol = Protocol(lambda _: reach(("127.0.0.1", server.port), 5), "127.0.0.1", server.port, 5)
        protocol.noop()
        ours, theirs = socket.socketpair()
        with ours, theirs, protocol.sock:
            protocol.sock = ours
            theirs.sendall(b"from after\r\n")
            assert protocol.readline() == b"from after\r\n"
