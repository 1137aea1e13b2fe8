"""Files a fetched batch: decide, commit, then move. Defers or quarantines a message that failed.

On a Maildir a MOVE takes about the same time for one message as for thousands, so the moves are gathered.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from worker.domain.errors import Unavailable, Withheld
from worker.domain.messages import Arrival, Head
from worker.domain.outcomes import DEFERRED, Folder
from worker.domain.ports import Mailbox
from worker.domain.verdicts import Filing
from worker.filing import Candidate, Claim, Views, file_batch, message_id_of, quarantined, wanted
from worker.poll.batch import STRIKES, Failed, Fetched, Suspects, error_text
from worker.poll.fetcher import Fetcher
from worker.poll.report import PollReport, Watcher
from worker.retries import through_conflicts


class Moves:
    """Gathers the UIDs of committed messages by folder, and moves them."""

    def __init__(self, mailbox: Mailbox, at_once: int) -> None:
        self._mailbox = mailbox
        self._at_once = at_once
        self._gathered: dict[Folder, list[int]] = defaultdict(list)
        self.moved = 0
        self.outage: Unavailable | None = None
        """The error of a move that failed. The next poll moves its messages, which keep their decisions."""

    def add(self, folders: Mapping[int, Folder]) -> None:
        """Gather committed messages."""
        for uid, folder in folders.items():
            self._gathered[folder].append(uid)

    def move_many(self) -> None:
        """Move what is gathered if it is enough for a command. Never raises `Unavailable`: see ``outage``."""
        if sum(map(len, self._gathered.values())) >= self._at_once:
            self.move_all()

    def move_all(self) -> None:
        """Move to each folder; if one is full or read-only, still move to the others."""
        gathered, self._gathered = self._gathered, defaultdict(list)
        for folder, uids in gathered.items():
            try:
                self._mailbox.move(sorted(uids), folder)
            except Unavailable as outage:
                self.outage = outage
            else:
                self.moved += len(uids)


@dataclass(frozen=True, slots=True)
class Filer:
    """Files the batches of one poll. One thread only."""

    fetcher: Fetcher
    suspects: Suspects
    moves: Moves
    report: PollReport
    watcher: Watcher

    def file(self, fetched: Fetched) -> Failed | None:
        """Decide and commit one batch; return it if the code fails on it.

        Raises:
            Unavailable: an outage, or other workers write the same messages for too long.
        """
        self.watcher.progress()
        try:
            filings = self._commit(list(fetched.candidates), list(fetched.rejections))
            if fetched.gone:
                self.fetcher.store.forget(self.fetcher.queue, fetched.gone)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - the message that causes it is found when it is alone
            return Failed(replace(fetched.batch, uids=fetched.uids), error, fetched.alone)
        self._announce(filings)
        self.moves.add({filing.uid: filing.folder for filing in filings})
        return None

    def blame(self, failed: Failed) -> None:
        """Decide what a failure means for a message that was worked alone.

        Raises:
            Unavailable: too many messages fail, so the fault is not theirs; or an outage.
        """
        if failed.batch.strikes >= STRIKES:
            self._quarantine(failed, failed.batch.strikes)
        elif isinstance(failed.error, Withheld):
            self._put_last(failed, failed.error)
        else:
            self.suspects.add_failed(failed, has_progressed=self.report.has_progressed)

    def end(self) -> Collection[int]:
        """Give a strike to each message that the code failed on; return their UIDs. The third strike quarantines.

        Raises:
            Unavailable: an outage, or the server withheld everything.
        """
        if outage := self._outage:
            raise outage
        for uid, failed in self.suspects.failed.items():
            strikes = self.fetcher.store.strike(self.fetcher.queue, uid, error_text(failed))
            if strikes >= STRIKES:
                self._quarantine(failed, strikes)
            else:
                self._defer(failed)
        return self.suspects.failed.keys()

    def abandon(self, marked: Sequence[int]) -> None:
        """Remove marks without a strike, if the database is reachable, and report what the server withheld."""
        if marked:
            with suppress(Unavailable):  # this process removes its own marks in its next poll, too
                self.fetcher.store.release(self.fetcher.queue, marked)
        if self._outage is None:  # an outage is reported once
            for failed in self.suspects.withheld.values():
                self._defer(failed)

    @property
    def _outage(self) -> Unavailable | None:
        return self.suspects.outage(has_progressed=self.report.has_progressed)

    def _commit(self, candidates: list[Candidate], rejections: list[Filing]) -> Sequence[Filing]:
        """Decide and store. After a conflict, leave out what another worker has decided, and do it again."""
        now = _now()

        def leave_out_decided() -> None:
            nonlocal candidates, rejections
            candidates, rejections = self._undecided(candidates, rejections)

        return through_conflicts(lambda: self._store(candidates, rejections, now), leave_out_decided)

    def _store(self, candidates: list[Candidate], rejections: list[Filing], now: datetime) -> Sequence[Filing]:
        if not candidates and not rejections:
            return ()

        def decide(views: Views) -> list[Filing]:
            return [*rejections, *file_batch(candidates, self.fetcher.rules, views)]

        return self.fetcher.store.file(self.fetcher.queue, wanted(candidates), decide, now)

    def _undecided(self, candidates: list[Candidate], rejections: list[Filing]) -> tuple[list[Candidate], list[Filing]]:
        """Leave out what another worker has decided meanwhile; it is only moved."""
        uids = [candidate.arrival.uid for candidate in candidates] + [filing.uid for filing in rejections]
        decided = self.fetcher.store.known(self.fetcher.queue, uids).decided
        self.moves.add(decided)
        return (
            [candidate for candidate in candidates if candidate.arrival.uid not in decided],
            [filing for filing in rejections if filing.uid not in decided],
        )

    def _put_last(self, failed: Failed, error: Withheld) -> None:
        """Let later polls ask for this message alone and last, without a strike: it is the server that fails on it."""
        self.fetcher.mailbox.reopen()
        self.fetcher.store.suspect(self.fetcher.queue, failed.uid, str(error))
        self.suspects.add_withheld(failed)

    def _quarantine(self, failed: Failed, strikes: int) -> None:
        arrival = self.fetcher.arrival_of(failed.uid)
        if arrival is None:
            self.fetcher.store.forget(self.fetcher.queue, [failed.uid])
            return
        # If reading the head crashed the process at the last try, it is not read again.
        head, claims = self._read_for_quarantine(arrival) if strikes == STRIKES else (_NO_HEAD, ())
        subject = self.fetcher.parser.subject_of(head)
        filings = self._commit([], [quarantined(arrival, head, error_text(failed), claims, subject=subject)])
        self._announce(filings)
        self.moves.add({filing.uid: filing.folder for filing in filings})

    def _read_for_quarantine(self, arrival: Arrival) -> tuple[Head, Sequence[Claim]]:
        """Read the head and who claims the message, unless the code fails on just that."""
        try:
            head, judgement = self.fetcher.judged_alone(arrival)
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001 - the message is quarantined because the code fails on it
            return _NO_HEAD, ()
        return head, judgement.accepted

    def _defer(self, failed: Failed) -> None:
        self.report.outcomes[DEFERRED] += 1
        error = error_text(failed)
        if read := failed.alone:
            seconds = _seconds_since(read.arrival.arrived_at)
            self.watcher.deferred(failed.uid, error, message_id_of(read.head), seconds)
        else:
            self.watcher.deferred(failed.uid, error)

    def _announce(self, filings: Sequence[Filing]) -> None:
        for filing in filings:
            self.report.outcomes[filing.deciding.outcome] += 1
            self.watcher.filed(filing, _seconds_since(filing.arrived_at))
        self.watcher.progress()


_NO_HEAD = Head(())


def _now() -> datetime:
    return datetime.now(UTC)


def _seconds_since(arrived_at: datetime) -> float:
    return max(0.0, (_now() - arrived_at).total_seconds())
