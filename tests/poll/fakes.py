"""A mailbox and a store in memory, so that a poll can be tested without a server."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tests.domain.made import JANES_TOKEN, NOW, issued, owner
from worker.domain.errors import Conflict, Unavailable
from worker.domain.messages import Arrival
from worker.domain.outcomes import Folder
from worker.domain.ports import Decide, Known, Queue
from worker.domain.records import AccountView, Wanted
from worker.domain.tokens import IssuedToken
from worker.domain.verdicts import Filing

Hook = Callable[[Sequence[int]], None]


class _Recorded:
    """Records each call with its UIDs, and first runs the hooks that a test has put before it."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[int, ...]]] = []
        self._hooks: defaultdict[str, list[Hook]] = defaultdict(list)
        self.is_dead = False

    def crash(self) -> None:
        """Fail every later call, as if the process had crashed."""
        self.is_dead = True

    def before(self, method: str, *hooks: Hook) -> None:
        """Run these at the start of each later call; a hook that raises makes the call fail."""
        self._hooks[method] += hooks

    def heal(self) -> None:
        """Remove all hooks, and reach the other side again."""
        self._hooks.clear()
        self.is_dead = False

    def uids_of(self, method: str) -> list[list[int]]:
        """The UIDs of each call of this method, in order."""
        return [list(uids) for name, uids in self.calls if name == method]

    def _called(self, method: str, uids: Iterable[int] = ()) -> None:
        if self.is_dead:
            raise Unavailable("the process has crashed")
        self.calls.append((method, tuple(uids)))
        for hook in list(self._hooks[method]):
            hook(self.calls[-1][1])


class Crash(BaseException):
    """The process ends here."""


def fails(error: Exception, *, times: int | None = None) -> Hook:
    """Raise the error at each call, or at the first few only."""
    left = [times]

    def hook(_uids: Sequence[int]) -> None:
        if left[0] is None:
            raise error
        if left[0] > 0:
            left[0] -= 1
            raise error

    return hook


def fails_on(*uids: int, error: BaseException) -> Hook:
    """Raise the error at each call that names one of these UIDs."""

    def hook(asked: Sequence[int]) -> None:
        if not set(uids).isdisjoint(asked):
            raise error

    return hook


class FakeMailbox(_Recorded):
    """`Mailbox` over a dict of messages."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: dict[int, bytes] = {}
        self.uidvalidity = self._opened = 1
        self.folders: defaultdict[Folder, list[int]] = defaultdict(list)
        self.without_head: set[int] = set()
        self.without_body: set[int] = set()
        self.attachments: dict[int, int] = {}

    def remove(self, uid: int) -> None:
        """Take a message out of the queue, as a person does."""
        self.messages.pop(uid, None)

    def open(self) -> Queue:
        self._called("open")
        self._opened = self.uidvalidity
        return Queue("drop@mail.example/INBOX", self.uidvalidity, len(self.messages))

    def reopen(self) -> None:
        self._called("reopen")
        self._check()

    def _check(self) -> None:
        if self._opened != self.uidvalidity:
            raise Unavailable("the queue was created again")

    def uids(self, above: int, most: int) -> list[int]:
        self._called("uids")
        return sorted(uid for uid in self.messages if uid > above)[:most]

    def heads(self, uids: Sequence[int]) -> list[Arrival]:
        self._called("heads", uids)
        return [
            Arrival(uid, NOW, len(self.messages[uid]), self.messages[uid].partition(b"\n\n")[0])
            for uid in uids
            if uid in self.messages and uid not in self.without_head
        ]

    def expect_heads(self, uids: Sequence[int]) -> None:
        self._called("expect_heads", uids)

    def expect_bodies(self, uids: Sequence[int]) -> None:
        self._called("expect_bodies", uids)

    def attachment_bytes(self, uids: Sequence[int]) -> Mapping[int, int]:
        self._called("attachment_bytes", uids)
        return {uid: self.attachments[uid] for uid in uids if uid in self.attachments}

    def bodies(self, uids: Sequence[int]) -> Mapping[int, bytes]:
        self._called("bodies", uids)
        return {uid: self.messages[uid] for uid in uids if uid in self.messages and uid not in self.without_body}

    def move(self, uids: Sequence[int], folder: Folder) -> None:
        self._called("move", uids)
        self._check()
        for uid in uids:
            if self.messages.pop(uid, None) is not None:
                self.folders[folder].append(uid)

    def close(self) -> None:
        self._called("close")


@dataclass
class Mark:
    """A row of the table of attempts."""

    in_hand: str | None = None
    worker: str = ""
    is_suspect: bool = False
    strikes: int = 0
    error: str | None = None


@dataclass
class Tables:
    """What outlives a process: marks and decisions by UID, and all that was filed."""

    marks: dict[int, Mark] = field(default_factory=dict)
    decided: dict[int, Folder] = field(default_factory=dict)
    filings: dict[int, Filing] = field(default_factory=dict)


class FakeStore(_Recorded):
    """`Store` over `Tables`, for one worker process."""

    def __init__(self, tables: Tables | None = None, worker: str = "first") -> None:
        super().__init__()
        self.tables = tables or Tables()
        self.worker = worker
        self.tokens: dict[str, IssuedToken] = issued((JANES_TOKEN, owner()))

    def after_restart(self) -> "FakeStore":
        """The store as the next process opens it."""
        return FakeStore(self.tables, f"{self.worker}, restarted")

    def known(self, queue: Queue, uids: Sequence[int]) -> Known:
        del queue
        self._called("known", uids)
        marks = self.tables.marks
        for uid in marks.keys() & set(uids):
            mark = marks[uid]
            if mark.in_hand and mark.worker != self.worker:
                mark.is_suspect = True
                if mark.in_hand == "alone":
                    mark.strikes, mark.error = mark.strikes + 1, "died"
            mark.in_hand = None
        suspects = {uid: marks[uid] for uid in uids if uid in marks and marks[uid].is_suspect}
        return Known(
            {uid: self.tables.decided[uid] for uid in uids if uid in self.tables.decided},
            {uid: mark.strikes for uid, mark in suspects.items()},
            {uid: mark.error for uid, mark in suspects.items() if mark.error is not None},
        )

    def mark(self, queue: Queue, uids: Sequence[int], *, alone: bool) -> None:
        del queue
        self._called("mark", uids)
        for uid in uids:
            mark = self.tables.marks.setdefault(uid, Mark())
            mark.in_hand, mark.worker = "alone" if alone else "batch", self.worker

    def release(self, queue: Queue, uids: Sequence[int]) -> None:
        del queue
        self._called("release", uids)
        for uid in uids:
            if uid in self.tables.marks:
                self.tables.marks[uid].in_hand = None
                if not self.tables.marks[uid].is_suspect:
                    del self.tables.marks[uid]

    def forget(self, queue: Queue, uids: Sequence[int]) -> None:
        del queue
        self._called("forget", uids)
        for uid in uids:
            self.tables.marks.pop(uid, None)

    def suspect(self, queue: Queue, uid: int, error: str) -> None:
        del queue
        self._called("suspect", [uid])
        mark = self.tables.marks.setdefault(uid, Mark())
        mark.in_hand, mark.is_suspect, mark.error = None, True, mark.error or error

    def strike(self, queue: Queue, uid: int, error: str) -> int:
        del queue
        self._called("strike", [uid])
        mark = self.tables.marks.setdefault(uid, Mark())
        mark.in_hand, mark.is_suspect, mark.strikes, mark.error = None, True, mark.strikes + 1, error
        return mark.strikes

    def issued(self, tokens: Collection[str]) -> Mapping[str, IssuedToken]:
        self._called("issued")
        return {token: self.tokens[token] for token in tokens if token in self.tokens}

    def file(self, queue: Queue, wanted: Mapping[int, Wanted], decide: Decide, now: datetime) -> Sequence[Filing]:
        del queue, now
        filings = decide({account: AccountView() for account in wanted})
        self._called("file", [filing.uid for filing in filings])
        if self.tables.decided.keys() & {filing.uid for filing in filings}:
            raise Conflict("another worker was faster")
        for filing in filings:
            self.tables.decided[filing.uid] = filing.folder
            self.tables.filings[filing.uid] = filing
            self.tables.marks.pop(filing.uid, None)
        return filings
