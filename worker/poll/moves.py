"""Moving what is committed: rarely and many at once, beside the work on the next batch.

On a Maildir a MOVE costs about the same whether it names one message or thousands, so the moves are gathered.
"""

from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from worker.domain.errors import Unavailable
from worker.domain.outcomes import Folder
from worker.domain.ports import Mailbox


class Moves:
    """Gathers UIDs by folder and moves them on a thread of its own. Only committed messages may be given to it."""

    def __init__(self, mailbox: Mailbox, at_once: int) -> None:
        self._mailbox = mailbox
        self._at_once = at_once
        self._gathered: dict[Folder, list[int]] = defaultdict(list)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="move")
        self._under_way: Future[int] | None = None
        self.moved = 0
        self.outage: Unavailable | None = None
        """A move that failed; its messages keep their decisions and are moved by the next poll."""

    def add(self, folders: Mapping[int, Folder]) -> None:
        """Take the UIDs of committed messages; starts a move when there are enough and none is under way."""
        for uid, folder in folders.items():
            self._gathered[folder].append(uid)
        enough = sum(map(len, self._gathered.values())) >= self._at_once
        if enough and (self._under_way is None or self._under_way.done()):
            self._start()

    def finish(self) -> None:
        """Move what is left and wait for it. Never raises `Unavailable`: see ``outage``."""
        try:
            if self._under_way is None and self._gathered:
                self._count(self._move_all(self._take()))  # nothing runs beside it: no thread needed
            elif self._gathered:
                self._start()
            self._wait()
        finally:
            self._thread.shutdown()

    def _start(self) -> None:
        self._wait()
        self._under_way = self._thread.submit(self._move_all, self._take())

    def _take(self) -> dict[Folder, list[int]]:
        gathered, self._gathered = dict(self._gathered), defaultdict(list)
        return gathered

    def _wait(self) -> None:
        if self._under_way is not None:
            under_way, self._under_way = self._under_way, None
            self._count(under_way.result())

    def _count(self, moved: int) -> None:
        self.moved += moved

    def _move_all(self, gathered: Mapping[Folder, list[int]]) -> int:
        """One folder that is full or read-only does not keep the others waiting."""
        moved = 0
        for folder, uids in gathered.items():
            try:
                self._mailbox.move(sorted(uids), folder)
            except Unavailable as outage:
                self.outage = outage
            else:
                moved += len(uids)
        return moved
