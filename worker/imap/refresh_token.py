"""The refresh token that is good now: a provider may hand out a new one with each access token (RFC 6749 §6)."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


class RefreshTokens:
    """The token that the operator set, and the newest that came of it.

    The newest is kept in ``folder`` (mode 0600), not where the operator wrote theirs: that is a systemd credential or
    a file of root's. Without a folder, or with one that cannot be written, it lasts as long as this process. Whoever
    sets another token starts anew: what came of the old one is not looked at any more.
    """

    def __init__(self, stated: str, *, whose: str, folder: Path | None = None) -> None:
        self._stated = stated
        descent = hashlib.blake2b(f"{whose}\0{stated}".encode(), digest_size=16).hexdigest()
        self._file = folder / f"oauth-refresh-token-{descent}" if folder else None
        self._newest: str | None = None

    def candidates(self) -> Iterator[str]:
        """The newest first; then the one that was set, which many providers honour all the same."""
        newest = self._newest or self._read()
        if newest and newest != self._stated:
            yield newest
        yield self._stated

    def keep(self, token: str) -> None:
        """Remember the token that the next renewal asks with; never raises for a disk that does not take it."""
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
        """Whole or not at all, readable by nobody else."""
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
