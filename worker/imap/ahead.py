"""Reading what the server sends in large pieces: imaplib's eight kilobytes are three reads for the body of one mail."""

import io

_OCTETS = 256 * 1024
"""For each read the thread gives up the interpreter's lock, and waits for it behind the thread that stores."""


def read_ahead(stream: io.BufferedReader) -> io.BufferedReader:
    """The same stream, what it has buffered already first, with a larger buffer."""
    return io.BufferedReader(_Piecewise(stream), _OCTETS)


class _Piecewise(io.RawIOBase):
    """One read of the connection at a time, straight into the buffer that asks for it."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]
        return self._stream.readinto1(buffer)

    def close(self) -> None:
        self._stream.close()
        super().close()
