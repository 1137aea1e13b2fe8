"""Who looks on while a poll runs: the log, the watchdog, the figures."""

from worker.domain.verdicts import Filing


class Watcher:
    """Told what happens as it happens; this one does nothing with it. No method may raise."""

    def filed(self, filing: Filing, seconds: float) -> None:
        """A message was committed, ``seconds`` after its arrival."""

    def deferred(self, uid: int, error: str, message_id: str | None = None, seconds: float | None = None) -> None:
        """The code failed on a message; it stays where it is and is tried again.

        Its Message-ID and the ``seconds`` since it arrived are None where not even its head could be read.
        """

    def progress(self) -> None:
        """Something was really done."""
