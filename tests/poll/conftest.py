"""One poll after another of a mailbox in memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from tests.filing.made import RULES, raw_mail
from tests.poll.fakes import Crash, FakeMailbox, FakeStore
from worker import mime
from worker.domain.messages import Content, Head
from worker.domain.outcomes import Folder
from worker.domain.ports import Parser
from worker.domain.verdicts import Filing
from worker.filing import Rules
from worker.poll import Limits, Poller, PollReport, Watcher


@dataclass(frozen=True)
class Deferred:
    """What the watcher heard of a message that stays in the queue."""

    uid: int
    error: str
    message_id: str | None


class Witness(Watcher):
    """Remembers what a poll reports while it runs."""

    def __init__(self) -> None:
        self.filed_uids: list[int] = []
        self.deferrals: list[Deferred] = []
        self.steps = 0

    def filed(self, filing: Filing, seconds: float) -> None:
        assert seconds >= 0
        self.filed_uids.append(filing.uid)

    def deferred(self, uid: int, error: str, message_id: str | None = None, seconds: float | None = None) -> None:
        assert (message_id is None) == (seconds is None)
        self.deferrals.append(Deferred(uid, error, message_id))

    def progress(self) -> None:
        self.steps += 1


@dataclass(frozen=True)
class BrokenParser:
    """Fails on each message with this mark, when it reads the ``part`` that is named."""

    mark: bytes
    part: str

    def read_head(self, raw: bytes, *, is_complete: bool = True) -> Head:
        assert self.part != "head" or self.mark not in raw
        return mime.read_head(raw, is_complete=is_complete)

    def read_content(self, raw: bytes) -> Content:
        assert self.part != "body" or self.mark not in raw
        return mime.read_content(raw)

    def subject_of(self, head: Head) -> str:
        return mime.subject_of(head)


@dataclass
class Scene:
    """A worker process at a mailbox: it keeps its poller from poll to poll, until it crashes."""

    mailbox: FakeMailbox = field(default_factory=FakeMailbox)
    store: FakeStore = field(default_factory=FakeStore)
    witness: Witness = field(default_factory=Witness)
    rules: Rules = RULES
    limits: Limits = field(default_factory=Limits)
    parser: Parser = mime
    _poller: Poller | None = None

    def deliver(self, *uids: int, size: int = 0, to: str = "bob@client.example") -> None:
        for uid in uids:
            body = f"Hello number {uid}\n" + "." * size + "\n"
            self.mailbox.messages[uid] = raw_mail(message_id=f"<{uid}@sales.example>", to=to, body=body)

    def poll(self, stop: Callable[[], bool] = lambda: False) -> PollReport:
        if self._poller is None:
            self._poller = Poller(
                self.mailbox, self.store, self.rules, limits=self.limits, watcher=self.witness, parser=self.parser
            )
        return self._poller.poll(self.mailbox.open(), stop)

    def crash_at(self, port: FakeMailbox | FakeStore, method: str, uid: int) -> None:
        """Let the process crash when it calls this method for this message."""

        def crash(uids: Sequence[int]) -> None:
            if uid in uids:
                self.mailbox.crash()
                self.store.crash()
                raise Crash

        port.before(method, crash)

    def poll_until_crash(self) -> None:
        """Poll, crash, and leave the next poll to another process."""
        with pytest.raises(Crash):
            self.poll()
        self.restart()

    def restart(self) -> None:
        """The next poll is that of another process."""
        self.store = self.store.after_restart()
        self.mailbox.heal()
        self.witness = Witness()
        self._poller = None

    @property
    def queue(self) -> list[int]:
        return sorted(self.mailbox.messages)

    @property
    def associated(self) -> list[int]:
        return sorted(self.mailbox.folders[Folder.ASSOCIATED])

    @property
    def quarantined(self) -> list[int]:
        return sorted(self.mailbox.folders[Folder.QUARANTINE])

    @property
    def strikes(self) -> dict[int, int]:
        """By UID of each suspect."""
        return {uid: mark.strikes for uid, mark in self.store.tables.marks.items() if mark.is_suspect}

    @property
    def marked(self) -> Sequence[int]:
        """The UIDs that are marked as being worked on."""
        return sorted(uid for uid, mark in self.store.tables.marks.items() if mark.in_hand)


@pytest.fixture
def scene() -> Scene:
    return Scene()
