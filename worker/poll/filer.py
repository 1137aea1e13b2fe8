"""One batch after the other: decide, store, hand over to the moves; what fails is taken apart until it is alone."""

import random
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePath

from worker.domain.errors import Conflict, DatabaseUnavailable, DropboxError, Silent, Unavailable, Withheld
from worker.domain.masking import without_tokens
from worker.domain.messages import Arrival, Head
from worker.domain.outcomes import DEFERRED
from worker.domain.ports import Mailbox, Queue, Store
from worker.domain.text import clean
from worker.domain.verdicts import Filing
from worker.filing import Candidate, Rules, Views, file_batch, message_id_of, quarantined, wanted
from worker.poll.intake import Intake, ReadHead, Taken
from worker.poll.moves import Moves
from worker.poll.report import PollReport
from worker.poll.watcher import Watcher

STRIKES = 3
"""After so many failures of the code on one message it is quarantined."""

_MOST_PUT_OFF = 10
"""Messages in one poll; a server that fails on more is down. The next poll begins with those it was not asked for."""

_MOST_FAILED = 10
"""Messages in one poll; code that fails on more and files none is broken itself, or what it rests on."""

_CONFLICTS = 10
"""How often a batch is decided anew because somebody else stored something of it first."""

_UNREAD = ReadHead(Head(()))


@dataclass(slots=True)
class Filer:
    """Files the UIDs of one opened queue, in one poll.

    `take` may run on another thread, beside the `settle` of the batch before; the rest is for one thread.
    """

    mailbox: Mailbox
    store: Store
    rules: Rules
    intake: Intake
    watcher: Watcher
    queue: Queue
    moves: Moves
    report: PollReport
    silent: set[int]
    """UIDs at which the server once gave no answer in time; kept from poll to poll."""
    put_off: dict[int, Withheld] = field(default_factory=dict)
    """By UID: how the server failed on a message that it would not give."""
    failed: dict[int, str] = field(default_factory=dict)
    """By UID: how the code failed on a message."""
    known: dict[int, tuple[Arrival, Head]] = field(default_factory=dict)
    """By UID: the heads, as far as they were read, of those that are deferred."""

    @property
    def outage(self) -> Unavailable | None:
        """Where several messages were asked for and none was given, it is the server that fails, and not they."""
        *_, last = self.put_off.values() or (None,)
        return last if len(self.put_off) > 1 and not self.report.has_progressed else None

    def tell_put_off(self) -> None:
        """One line for each message that the server would not give, unless it gave none: an outage is told once."""
        if self.outage is None:
            for uid, failure in self.put_off.items():
                self._defer(uid, str(failure))

    def blame(self) -> None:
        """At the end of the poll: a strike for each message that the code failed on; the third quarantines."""
        for uid, error in self.failed.items():
            strikes = self.store.strike(self.queue, uid, error)
            if strikes >= STRIKES:
                self._quarantine(uid, error, strikes)
            else:
                self._defer(uid, error)

    def blame_nobody(self) -> None:
        """The poll ended in an outage, which may be what the code failed by."""
        self.release(sorted(self.failed))

    def hold(self, uids: Sequence[int]) -> None:
        """Mark these in hand; to be done before they are looked at, and while no batch is being stored.

        SQLite has one writer at a time: the mark for a batch that is to be fetched beside would wait for that.
        """
        self.store.take_in_hand(self.queue, uids, alone=False)

    def take(self, uids: Sequence[int], *, following: Sequence[int] = (), alone: bool = False) -> Taken:
        """Fetch what is held; the ``following`` ones are those that are taken next."""
        try:
            taken = self.intake.take(self.queue, uids, _now(), following=following, alone=alone)
        except Silent:
            self.silent.update(uids)
            raise
        self.watcher.progress()
        return taken

    def settle(self, taken: Taken) -> None:
        """Decide and commit one batch.

        Raises:
            Unavailable: an outage, or others who write the same things for too long.
        """
        now = _now()
        candidates, rejections = list(taken.candidates), list(taken.rejections)
        for attempt in range(_CONFLICTS):
            try:
                filings = self._file(candidates, rejections, now)
                break
            except Conflict:
                time.sleep(random.uniform(0, 0.01 * attempt))  # noqa: S311 - jitter, no secret
                candidates, rejections = self._still_open(candidates, rejections)
        else:
            raise DatabaseUnavailable("the database: other workers keep writing the same messages")
        if taken.gone:
            self.store.forget(self.queue, taken.gone)
        self.silent.difference_update(taken.uids)
        self._announce(filings)

    def apart(self, uids: Sequence[int]) -> None:
        """A batch failed: halve it until the one message that fails is alone; the rest is filed."""
        if len(uids) == 1:
            self.alone(uids[0])
            return
        middle = len(uids) // 2
        self._work_through(uids[:middle])
        self._work_through(uids[middle:])

    def alone(self, uid: int, strikes: int = 0, error: str = "") -> None:
        """Work on a suspect by itself, so that nobody beside it collects its strikes."""
        try:
            self._try_or_put_off(uid, strikes, error)
        except Unavailable:
            self.release([uid])  # this process may be stopped during the outage, and the next one would blame the mail
            raise

    def release(self, uids: Sequence[int]) -> None:
        """Leave these untouched, without a strike, as far as the store still listens."""
        try:
            self.store.release(self.queue, uids)
        except Unavailable:
            return  # the marks are this process's own: it takes them off when it comes back

    def _try_or_put_off(self, uid: int, strikes: int, error: str) -> None:
        try:
            self._try(uid, strikes, error)
        except Withheld as failure:
            self._put_off(uid, failure)

    def _put_off(self, uid: int, failure: Withheld) -> None:
        """The server fails on this message: no strike, and nobody else waits for it. Raises what is worse."""
        if self.mailbox.open().uidvalidity != self.queue.uidvalidity:
            raise failure
        self.store.suspect(self.queue, uid, str(failure))
        self.put_off[uid] = failure
        self._know(uid)
        if len(self.put_off) > _MOST_PUT_OFF:
            raise failure

    def _try(self, uid: int, strikes: int, error: str) -> None:
        if strikes >= STRIKES:
            self._quarantine(uid, error, strikes)
            return
        try:
            self.hold([uid])
            self.settle(self.take([uid], alone=True))
        except Unavailable:
            raise
        except Exception as raised:
            self.failed[uid] = _described(raised)
            self._know(uid)
            if len(self.failed) > _MOST_FAILED and not self.report.has_progressed:
                raise Unavailable(f"this program fails on every message, at last with {self.failed[uid]}") from raised

    def _defer(self, uid: int, error: str) -> None:
        self.report.outcomes[DEFERRED] += 1
        if known := self.known.get(uid):
            arrival, head = known
            self.watcher.deferred(uid, error, message_id_of(head), _seconds_since(arrival.arrived_at))
        else:
            self.watcher.deferred(uid, error)

    def _know(self, uid: int) -> None:
        """Keep what was read of the head of a message that failed after that."""
        if (known := self.intake.head_alone) and known[0].uid == uid:
            self.known[uid] = known

    def _work_through(self, uids: Sequence[int]) -> None:
        while uids:
            try:
                self.hold(uids)
                taken = self.take(uids)
                self.settle(taken)
            except Withheld:
                self.apart(uids)
                return
            except Unavailable:
                raise
            except Exception:  # noqa: BLE001 - found again, and told, when it is alone
                self.apart(uids)
                return
            uids = taken.left_over

    def _file(self, candidates: list[Candidate], rejections: list[Filing], now: datetime) -> Sequence[Filing]:
        if not candidates and not rejections:
            return ()

        def decide(views: Views) -> list[Filing]:
            return [*rejections, *file_batch(candidates, self.rules, views)]

        return self.store.file(self.queue, wanted(candidates), decide, now)

    def _still_open(
        self, candidates: list[Candidate], rejections: list[Filing]
    ) -> tuple[list[Candidate], list[Filing]]:
        """Without those that another worker has decided in the meantime."""
        uids = [candidate.arrival.uid for candidate in candidates] + [filing.uid for filing in rejections]
        decided = self.store.standing(self.queue, uids).decided
        self.moves.add(decided)
        return (
            [candidate for candidate in candidates if candidate.arrival.uid not in decided],
            [filing for filing in rejections if filing.uid not in decided],
        )

    def _quarantine(self, uid: int, error: str, strikes: int) -> None:
        if arrival := self._arrival(uid):
            read = self._head_of(arrival) if strikes == STRIKES else _UNREAD
            error = error or "the process died while it worked on this message"
            filing = quarantined(arrival, read.head, error, read.claims, subject=read.subject)
            try:
                self.store.file(self.queue, {}, lambda _: [filing], _now())
            except Conflict:
                self.moves.add(self.store.standing(self.queue, [uid]).decided)  # another worker was faster
            else:
                self._announce([filing])
        else:
            self.store.forget(self.queue, [uid])

    def _arrival(self, uid: int) -> Arrival | None:
        """What the server tells of the message; nothing but its UID, if it never gives more; None when it is gone."""
        if arrivals := self.mailbox.heads([uid]):
            return arrivals[0]
        if self.mailbox.uids(uid - 1, 1) == [uid]:
            return Arrival(uid, _now(), 0, b"", head_is_complete=False)
        return None

    def _head_of(self, arrival: Arrival) -> ReadHead:
        """The head and whose the message is, if it can be read. A head that kills this process is not tried again."""
        self.store.take_in_hand(self.queue, [arrival.uid], alone=True)
        try:
            return self.intake.read_alone(arrival, _now())
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001 - it may be the head that the code fails on
            return _UNREAD

    def _announce(self, filings: Sequence[Filing]) -> None:
        now = _now()
        for filing in filings:
            self.report.outcomes[filing.deciding.outcome] += 1
            self.watcher.filed(filing, _seconds_since(filing.arrived_at, now))
        self.moves.add({filing.uid: filing.folder for filing in filings})
        self.watcher.progress()


def _now() -> datetime:
    return datetime.now(UTC)


def _seconds_since(arrived_at: datetime, now: datetime | None = None) -> float:
    return max(0.0, ((now or _now()) - arrived_at).total_seconds())


def _described(error: Exception) -> str:
    """Type, text and place, on one line and without anything of a body beyond what the text quotes."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({PurePath(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    text = str(error) if isinstance(error, DropboxError) else ""
    return without_tokens(clean(f"{type(error).__name__}{': ' if text else ''}{text}{place}", most=300))
