"""Empties one mailbox into one store: batch after batch, the next one sent while this one is filed."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from worker import mime
from worker.domain.errors import Unavailable
from worker.domain.outcomes import DEFERRED
from worker.domain.ports import Mailbox, Parser, Queue, Store
from worker.filing import Rules
from worker.poll.batch import Batch, Failed, Fetched, Suspects, Todo, batches_of
from worker.poll.fetcher import Begun, Fetcher
from worker.poll.filer import Filer, Moves
from worker.poll.report import PollReport, Watcher

Stop = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is worked on at once: messages and bytes of a batch, moves of one command, UIDs of one search."""

    messages: int = 250
    octets: int = 8 * 1024 * 1024
    moves: int = 2500
    search: int = 10_000


@dataclass(slots=True)
class Poller:
    """One mailbox, one store, the rules. Not for two threads at once."""

    mailbox: Mailbox
    store: Store
    rules: Rules
    limits: Limits = field(default_factory=Limits, kw_only=True)
    watcher: Watcher = field(default_factory=Watcher, kw_only=True)
    parser: Parser = field(default=mime, kw_only=True)
    _silent: tuple[int, set[int]] = field(default_factory=lambda: (0, set()), init=False)
    """A UIDVALIDITY, and the UIDs during whose fetch the server fell silent."""

    def poll(self, queue: Queue, stop: Stop = lambda: False) -> PollReport:
        """Work on the queue that was just opened until it is empty, something is down, or ``stop`` says so.

        ``stop`` is asked between two batches.

        Never raises `Unavailable`: an outage ends the poll and is in the report.
        """
        started, report = time.monotonic(), PollReport(found=queue.messages)
        moves = Moves(self.mailbox, self.limits.moves)
        try:
            if queue.messages:
                filer = self._filer(queue, moves, report)
                Pipeline(filer, Todo(self._batches(filer, stop))).run(stop)
        except Unavailable as outage:
            report.outage = outage
        finally:
            moves.move_all()
        report.outage = report.outage or moves.outage
        report.moved = moves.moved
        if report.outage:
            report.outcomes[DEFERRED] = report.backlog
        report.seconds = time.monotonic() - started
        return report

    def _filer(self, queue: Queue, moves: Moves, report: PollReport) -> Filer:
        if queue.uidvalidity != self._silent[0]:
            self._silent = queue.uidvalidity, set()
        fetcher = Fetcher(self.mailbox, self.store, queue, self.rules, self.parser, self.limits.octets, self._silent[1])
        return Filer(fetcher, Suspects(), moves, report, self.watcher)

    def _batches(self, filer: Filer, stop: Stop) -> Iterator[Batch]:
        """Return fresh mail first, in the order of the UIDs; then the suspects, one at a time."""
        suspects, (_, silent) = filer.suspects, self._silent
        for uids in self._windows(stop):
            known = self.store.known(filer.fetcher.queue, uids)
            filer.moves.add(known.decided)
            suspects.add(known, silent.intersection(uids))
            fresh = [uid for uid in uids if uid not in known.decided and uid not in suspects.batches]
            yield from batches_of(fresh, self.limits.messages)
        yield from suspects.in_turn()

    def _windows(self, stop: Stop) -> Iterator[list[int]]:
        above = 0
        while not stop():
            uids = self.mailbox.uids(above, self.limits.search)
            if uids:
                yield uids
                above = uids[-1]
            if len(uids) < self.limits.search:
                return


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Marks, fetches and files one batch after the other. The mail server sends the next one meanwhile."""

    filer: Filer
    todo: Todo
    marked: set[int] = field(default_factory=set)
    """UIDs whose marks are removed if the poll ends before their messages are filed."""

    def run(self, stop: Stop) -> None:
        """Work until nothing waits, or until ``stop`` says so between two batches; then count the strikes.

        Raises:
            Unavailable: an outage. It may be what the code failed on, so no message gets a strike.
        """
        try:
            coming = self._begin_next(stop)
            while coming is not None:
                done = self.filer.fetcher.finish(coming)
                self.todo.put_back(done.rest())
                coming = self._file_and_begin_next(done, stop)
                del done  # its bodies are not kept while the next ones come
                coming = coming or self._begin_next(stop)
            self.marked.difference_update(self.filer.end())
        finally:
            self.filer.abandon(sorted(self.marked))

    def _begin_next(self, stop: Stop) -> Begun | Failed | None:
        """Mark the next batch and begin to fetch it."""
        batch = None if stop() else self.todo.take()
        if batch is None:
            return None
        fetcher = self.filer.fetcher
        self.marked.update(batch.uids)
        fetcher.store.mark(fetcher.queue, batch.uids, alone=False)
        return fetcher.begin(batch, self._following(batch))

    def _following(self, batch: Batch) -> tuple[int, ...]:
        """Return the UIDs to ask for before this batch is filed: none beside a message that is alone."""
        following = self.todo.peek()
        return following.uids if following and not batch.is_alone and not following.is_alone else ()

    def _file_and_begin_next(self, done: Fetched | Failed, stop: Stop) -> Begun | Failed | None:
        """Ask for the next batch, unless it or this one is a message that is alone; then file this one."""
        self.filer.moves.move_many()  # now, while no bodies are on their way: a command drops them
        coming = None
        try:
            if isinstance(done, Fetched) and self._following(done.batch):
                coming = self._begin_next(stop)
        except Unavailable:
            self._file(done)
            raise
        self._file(done)
        return coming

    def _file(self, done: Fetched | Failed) -> None:
        self._conclude(done, self.filer.file(done) if isinstance(done, Fetched) else done)

    def _conclude(self, done: Fetched | Failed, failed: Failed | None) -> None:
        """Remove the marks of a batch that is filed; try a failed one in halves, and blame a message that is alone."""
        if failed is None:
            self.marked.difference_update(done.uids)
        elif failed.batch.is_alone:
            self.filer.blame(failed)
        elif failed is not done:
            self.todo.put_back(failed.rest())
