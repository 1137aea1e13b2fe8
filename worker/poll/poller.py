"""Empties one mailbox into one store: search, then batch after batch, the next fetched while one is stored."""

import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from worker.domain.errors import Unavailable, Withheld
from worker.domain.outcomes import DEFERRED
from worker.domain.ports import Mailbox, Queue, Store
from worker.filing import Rules
from worker.poll.filer import Filer
from worker.poll.intake import Intake, Taken
from worker.poll.moves import Moves
from worker.poll.pace import at_work
from worker.poll.report import PollReport
from worker.poll.watcher import Watcher


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is in hand at once: messages and octets of a batch, moves of one command, UIDs of one search."""

    messages: int = 250
    octets: int = 8 * 1024 * 1024
    moves: int = 2500
    search: int = 10_000


@dataclass(frozen=True, slots=True)
class _Broken:
    """A batch on which the code raised while it was fetched, or the server said no."""

    uids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Suspect:
    """A message that is worked alone, and why."""

    strikes: int
    error: str

    @property
    def is_withheld(self) -> bool:
        """Nothing of ours failed on it: the server would not give it."""
        return not self.strikes and bool(self.error)


_LEAST_PIECE = 8
"""Messages, so that a few large ones do not make a FETCH of each of those behind them."""

Stop = Callable[[], bool]
_Coming = Future[Taken | _Broken]


class Poller:
    """One mailbox, one store, the rules. Not for two threads at once."""

    def __init__(
        self,
        mailbox: Mailbox,
        store: Store,
        rules: Rules,
        *,
        limits: Limits | None = None,
        watcher: Watcher | None = None,
    ) -> None:
        self._mailbox = mailbox
        self._store = store
        self._limits = limits or Limits()
        self._rules = rules
        self._intake = Intake(mailbox, store, rules, self._limits.octets)
        self._watcher = watcher or Watcher()
        self._uidvalidity = 0
        self._silent: set[int] = set()

    def poll(self, stop: Stop = lambda: False) -> PollReport:
        """Work on what the queue holds until all is done, something is down, or ``stop`` says so between two batches.

        Never raises `Unavailable`: an outage ends the poll and stands in the report.
        """
        report = PollReport()
        started = time.monotonic()
        moves = Moves(self._mailbox, self._limits.moves)
        try:
            queue = self._mailbox.open()
            report.found = queue.messages
            if queue.messages:
                filer = self._filer(queue, moves, report)
                self._work_with(filer, stop)
                report.outage = filer.outage
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

    def _work_with(self, filer: Filer, stop: Stop) -> None:
        try:
            with at_work():
                self._empty(filer, stop)
            filer.blame()
        except Unavailable:
            filer.blame_nobody()
            raise
        finally:
            filer.tell_put_off()

    def _filer(self, queue: Queue, moves: Moves, report: PollReport) -> Filer:
        if queue.uidvalidity != self._uidvalidity:
            self._uidvalidity, self._silent = queue.uidvalidity, set()
        return Filer(
            self._mailbox, self._store, self._rules, self._intake, self._watcher, queue, moves, report, self._silent
        )

    def _empty(self, filer: Filer, stop: Stop) -> None:
        """Fresh mail first; then, one at a time, what was in hand when a process died or failed before."""
        suspects: dict[int, _Suspect] = {}
        for uids in self._windows(stop):
            standing = self._store.standing(filer.queue, uids)
            filer.moves.add(standing.decided)
            suspects |= {uid: _Suspect(0, "the server fell silent") for uid in filer.silent.intersection(uids)}
            suspects |= {
                uid: _Suspect(strikes, standing.errors.get(uid, "")) for uid, strikes in standing.suspects.items()
            }
            known = standing.decided.keys() | suspects.keys()
            self._file_all(filer, [uid for uid in uids if uid not in known], stop)
        for uid in _in_turn(suspects):
            if stop():
                return
            filer.alone(uid, suspects[uid].strikes, suspects[uid].error)

    def _windows(self, stop: Stop) -> Iterator[list[int]]:
        above = 0
        while not stop():
            uids = self._mailbox.uids(above, self._limits.search)
            if uids:
                yield uids
                above = uids[-1]
            if len(uids) < self._limits.search:
                return

    def _file_all(self, filer: Filer, uids: Sequence[int], stop: Stop) -> None:
        todo = deque(_chunks(uids, self._limits.messages))
        in_hand: set[int] = set()
        with ThreadPoolExecutor(1, thread_name_prefix="fetch") as ahead:
            try:
                coming = _fetch_next(filer, ahead, todo, in_hand)
                while coming is not None:
                    taken = coming.result()
                    if isinstance(taken, Taken):
                        todo.extendleft(reversed(_left_over(taken)))
                    coming = None
                    if self._leaves_room(taken) and not stop():
                        coming = _fetch_next(filer, ahead, todo, in_hand)
                    _settle(filer, taken, coming)
                    in_hand.difference_update(taken.uids)
                    del taken  # its bodies are not kept while the next ones come
                    if coming is None and not stop():
                        coming = _fetch_next(filer, ahead, todo, in_hand)
            finally:
                ahead.shutdown()
                if in_hand:
                    filer.release(sorted(in_hand))

    def _leaves_room(self, taken: Taken | _Broken) -> bool:
        """Whether the next batch may be fetched beside it: not beside one message that is larger than a batch."""
        return isinstance(taken, Taken) and taken.octets <= self._limits.octets


def _in_turn(suspects: Mapping[int, _Suspect]) -> list[int]:
    """Those with the fewest strikes first, so that the one that kills is the last to do so.

    Behind them those that the server would not give, in any order: however many there are, each has its turn.
    """
    withheld = [uid for uid, suspect in suspects.items() if suspect.is_withheld]
    random.shuffle(withheld)
    others = sorted(suspects.keys() - withheld, key=lambda uid: (suspects[uid].strikes, uid))
    return [*others, *withheld]


def _fetch_next(
    filer: Filer, ahead: ThreadPoolExecutor, todo: deque[Sequence[int]], in_hand: set[int]
) -> _Coming | None:
    if not todo:
        return None
    uids = todo.popleft()
    in_hand.update(uids)
    filer.hold(uids)
    return ahead.submit(_fetch, filer, uids, todo[0] if todo else ())


def _fetch(filer: Filer, uids: Sequence[int], following: Sequence[int]) -> Taken | _Broken:
    try:
        return filer.take(uids, following=following)
    except Withheld:
        return _Broken(tuple(uids))
    except Unavailable:
        raise
    except Exception:  # noqa: BLE001 - found again, and told, when the message is alone
        return _Broken(tuple(uids))


def _settle(filer: Filer, taken: Taken | _Broken, coming: _Coming | None) -> None:
    if isinstance(taken, _Broken):
        filer.apart(taken.uids)
        return
    try:
        filer.settle(taken)
    except Unavailable:
        raise
    except Exception:  # noqa: BLE001 - the same
        if coming is not None:
            wait([coming])  # the mailbox is read by one thread at a time
        filer.apart(taken.uids)


def _left_over(taken: Taken) -> list[Sequence[int]]:
    """What did not fit beside the rest, in pieces of which most will fit: each piece fetches its heads once more."""
    return list(_chunks(taken.left_over, max(_LEAST_PIECE, 2 * len(taken.candidates))))


def _chunks(uids: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (uids[start : start + size] for start in range(0, len(uids), size))
