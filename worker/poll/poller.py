"""Empties one mailbox into one store: batch after batch, the next one fetched while this one is filed."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from worker import mime
from worker.domain.errors import Unavailable
from worker.domain.outcomes import DEFERRED
from worker.domain.ports import Mailbox, Parser, Queue, Store
from worker.filing import Rules
from worker.poll.batch import Batch, Failed, Fetched, Suspects, Todo, batches_of
from worker.poll.fetcher import Fetcher
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

    def poll(self, stop: Stop = lambda: False) -> PollReport:
        """Work on the queue until it is empty, something is down, or ``stop`` says so between two batches.

        Never raises `Unavailable`: an outage ends the poll and is in the report.
        """
        started, report = time.monotonic(), PollReport()
        moves = Moves(self.mailbox, self.limits.moves)
        try:
            queue = self.mailbox.open()
            report.found = queue.messages
            if queue.messages:
                filer = self._filer(queue, moves, report)
                Pipeline(filer, Todo(self._batches(filer, stop)), self.limits.octets).run(stop)
        except Unavailable as outage:
            report.outage = outage
        finally:
            moves.finish()
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
    """Marks, fetches and files one batch after the other; the next one is fetched on a thread of its own."""

    filer: Filer
    todo: Todo
    most_bytes: int
    marked: set[int] = field(default_factory=set)
    """UIDs whose marks are removed if the poll ends before their messages are filed."""

    def run(self, stop: Stop) -> None:
        """Work until nothing waits, or until ``stop`` says so between two batches; then count the strikes.

        Raises:
            Unavailable: an outage. It may be what the code failed on, so no message gets a strike.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="fetch") as thread:
            try:
                coming = self._fetch_next(thread, stop)
                while coming is not None:
                    done = coming.result()
                    self.todo.put_back(done.rest())
                    coming = self._fetch_next(thread, stop) if self._leaves_room(done) else None
                    failed = self.filer.file(done) if isinstance(done, Fetched) else done
                    self._conclude(done, failed)
                    del done  # its bodies are not kept while the next ones come
                    coming = coming or self._fetch_next(thread, stop)
                self.marked.difference_update(self.filer.end())
            finally:
                thread.shutdown()
                self.filer.abandon(sorted(self.marked))

    def _fetch_next(self, thread: ThreadPoolExecutor, stop: Stop) -> Future[Fetched | Failed] | None:
        """Mark the next batch and start its fetch.

        The mark is written here and not on the other thread: on SQLite it would wait there for the batch being filed.
        """
        batch = None if stop() else self.todo.take()
        if batch is None:
            return None
        fetcher = self.filer.fetcher
        self.marked.update(batch.uids)
        fetcher.store.mark(fetcher.queue, batch.uids, alone=False)
        following = self.todo.peek()
        return thread.submit(fetcher.fetch, batch, following.uids if following else ())

    def _leaves_room(self, done: Fetched | Failed) -> bool:
        """Tell whether the next batch may be fetched while this one is filed.

        A message that is alone has nobody beside it. One that is larger than a batch leaves no memory for another.
        """
        if isinstance(done, Failed) or done.batch.is_alone or done.octets > self.most_bytes:
            return False
        following = self.todo.peek()
        return following is not None and not following.is_alone

    def _conclude(self, done: Fetched | Failed, failed: Failed | None) -> None:
        """Remove the marks of a batch that is filed; try a failed one in halves, and blame a message that is alone."""
        if failed is None:
            self.marked.difference_update(done.uids)
        elif failed.batch.is_alone:
            self.filer.blame(failed)
        elif failed is not done:
            self.todo.put_back(failed.rest())
