"""The refresh token that is good now: a provider may hand out a new one with each access token (RFC 6749 §6)."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


class RefreshTokens:
    """The refresh token from the settings, and the newest one that the provider sent in its place (RFC 6749 §6).

    The newest is kept in ``folder`` (mode 0600), because the original is a systemd credential or a file of root's.
    Without a folder, or when it cannot be written, the newest lasts as long as this process. When the setting changes,
    tokens that came from the old one are ignored.
    """

    def __init__(self, stated: str, *, whose: str, folder: Path | None = None) -> None:
        self._stated = stated
        descent = hashlib.blake2b(f"{whose}\0{stated}".encode(), digest_size=16).hexdigest()
        self._file = folder / f"oauth-refresh-token-{descent}" if folder else None
        self._newest: str | None = None

    def candidates(self) -> Iterator[str]:
        """Return the newest token, then the one from the settings, which many providers still accept."""
        newest = self._newest or self._read()
        if newest and newest != self._stated:
            yield newest
        yield self._stated

    def keep(self, token: str) -> None:
        """Keep the token for the next renewal; never raises when the disk is full or read-only."""
        if token == self._newest or (token == self._stated and self._newest is None and not self._read()):
            return
        self._newest = token
        with suppress(OSError):
            self._write(token)

    def _read(self) -> str | None:
        if self._file is None:
            return None
        try:
            return self._file.read_text(encoding="utf-8").strip() or None
        except (OSError, UnicodeDecodeError):
            return None

    def _write(self, token: str) -> None:
        """Write the file atomically, readable by this user only."""
        if self._file is None:
            return
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=self._file.parent, prefix=".oauth-")  # made with mode 0600
        written = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(token)
                stream.flush()
                os.fsync(stream.fileno())
            written.replace(self._file)
        except OSError:
            written.unlink(missing_ok=True)
            raise
