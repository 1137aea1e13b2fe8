"""What a poll reports: to a watcher while it runs, and in numbers when it ends."""

from collections import Counter
from dataclasses import dataclass, field

from worker.domain.errors import Unavailable
from worker.domain.outcomes import DEFERRED, Outcome
from worker.domain.verdicts import Filing


class Watcher:
    """Receives what happens in a poll as it happens; this one does nothing with it. No method may raise."""

    def filed(self, filing: Filing, seconds: float) -> None:
        """Receive a message that was committed ``seconds`` after its arrival."""

    def deferred(self, uid: int, error: str, message_id: str | None = None, seconds: float | None = None) -> None:
        """Receive a message that stays in the queue and is tried again.

        Without a head that could be read, there is no Message-ID and no ``seconds`` since its arrival.
        """

    def progress(self) -> None:
        """Receive a sign of progress: a batch was fetched or committed."""


class Watchers(Watcher):
    """Passes everything on to several watchers."""

    def __init__(self, *watchers: Watcher) -> None:
        self._watchers = watchers

    def filed(self, filing: Filing, seconds: float) -> None:
        """Pass it on."""
        for watcher in self._watchers:
            watcher.filed(filing, seconds)

    def deferred(self, uid: int, error: str, message_id: str | None = None, seconds: float | None = None) -> None:
        """Pass it on."""
        for watcher in self._watchers:
            watcher.deferred(uid, error, message_id, seconds)

    def progress(self) -> None:
        """Pass it on."""
        for watcher in self._watchers:
            watcher.progress()


@dataclass(slots=True)
class PollReport:
    """Counts by outcome, and what the mailbox still holds. ``outage`` is what cut the poll short, if anything did."""

    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    found: int = 0
    """Messages in the queue when the poll began."""
    moved: int = 0
    outage: Unavailable | None = None

    @property
    def backlog(self) -> int:
        """Messages of ``found`` that are still in the queue."""
        return max(0, self.found - self.moved)

    @property
    def has_progressed(self) -> bool:
        """Tell whether any message was decided or moved."""
        return self.moved > 0 or any(self.outcomes[outcome] for outcome in Outcome)

    @property
    def counts(self) -> dict[str, int]:
        """One count for each outcome, ``deferred`` included, zeros too."""
        return {name: self.outcomes[name] for name in (*Outcome, DEFERRED)}
