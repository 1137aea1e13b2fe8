"""A worker that dies: one poll with the real parts, put together as `worker.bootstrap` does, killed at a chosen step.

As a program it has imported everything and forks a process for each order on its standard input, so that hundreds
of deaths take seconds; `Workers` gives the orders.
"""

import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from tests.robustness.steps import Steps
from worker import mime
from worker.bootstrap import LoggingWatcher, Parts, compose, rules_of, start_log
from worker.domain.messages import Content, Head
from worker.domain.ports import Decide, Queue
from worker.domain.records import AccountView, Wanted
from worker.domain.verdicts import Filing, NewEmail
from worker.poll import Limits, Poller
from worker.service.turns import Turns
from worker.settings import Settings
from worker.store.locks import MailboxLock
from worker.store.poll_store import PollStore

KILLED = -signal.SIGKILL
_REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Poison:
    """What the code does with a message whose octets hold ``mark``: ``raise`` or ``kill`` (the process).

    It does so when it is ``at`` the ``reading`` of the message, the ``judging`` of its head, or the
    ``deciding`` on its batch.
    """

    mark: bytes
    how: str = "raise"
    at: str = "reading"

    def works(self, raw: bytes) -> None:
        """Crash on the marked message only."""
        if self.mark in raw:
            if self.how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise KeyError("a bug that this message brings out")


@dataclass(frozen=True)
class Ended:
    """How a poll ended, and the steps it took."""

    code: int
    steps: list[str]
    log: str


@dataclass(frozen=True)
class Worker:
    """One poll, to be started as a process."""

    environment: Mapping[str, str]
    folder: Path
    dies_at: str | None = None
    poison: Poison | None = None
    moves_at_once: int = 2500
    locks: bool = True
    name: str = field(default_factory=lambda: uuid4().hex)

    @property
    def record(self) -> Path:
        return self.folder / f"{self.name}.steps"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"


class Workers:
    """Runs several polls at a time, each in a process of its own."""

    def __init__(self, at_a_time: int) -> None:
        command = [sys.executable, "-m", __name__]
        self._programs = [
            subprocess.Popen(command, cwd=_REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for _ in range(at_a_time)
        ]
        self._free: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        for program in self._programs:
            self._free.put(program)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for program in self._programs:
            program.communicate()

    def run(self, worker: Worker) -> Ended:
        """Start it and wait for its end; from any thread."""
        program = self._free.get()
        assert program.stdin
        assert program.stdout
        pickle.dump(worker, program.stdin)
        program.stdin.flush()
        code = int(program.stdout.readline())
        self._free.put(program)
        steps = worker.record.read_text().splitlines() if worker.record.exists() else []
        return Ended(code, steps, worker.log.read_text())


def main() -> None:
    """Take orders until there are no more."""
    while True:
        try:
            worker: Worker = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        process = os.fork()
        if not process:
            _end(worker)
        _, status = os.waitpid(process, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _end(worker: Worker) -> None:
    """Poll in the new process and exit."""
    code = 1
    try:
        signal.alarm(60)
        _poll(worker)
        code = 0
    except BaseException:  # noqa: BLE001 - whatever it is, this process must not go on as its parent does
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _poll(worker: Worker) -> None:
    with worker.log.open("wb") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
    sys.stderr = os.fdopen(2, "w", buffering=1)
    for name in [name for name in os.environ if name.startswith("BCC_DROPBOX_")]:
        del os.environ[name]
    os.environ.update(worker.environment)
    settings = Settings.load_for_mailbox(None)
    start_log(settings)
    steps = Steps(worker.record, worker.dies_at)
    steps.watch_statements()
    steps.watch_imap()
    with closing(_watched(settings, steps, worker)) as parts:
        turns = Turns(parts)
        turns.prepare()
        report = turns.take()
    if report is None or report.outage:
        raise SystemExit(f"no poll: {report}")


def _watched(settings: Settings, steps: Steps, worker: Worker) -> Parts:
    """`compose`, but the poller sees the two ports through ``steps``."""
    parts = compose(settings)
    poller = Poller(
        steps.watch(parts.mailbox, "mailbox"),
        steps.watch(_PoisonedStore(parts.store, worker.poison) if worker.poison else parts.store, "store"),
        rules_of(settings),
        limits=Limits(settings.batch_messages, settings.batch_bytes, worker.moves_at_once),
        watcher=LoggingWatcher(),
        parser=_PoisonedParser(worker.poison) if worker.poison else mime,
    )
    return replace(parts, poller=poller, lock=parts.lock if worker.locks else _NoLock())


class _NoLock(MailboxLock):
    """As if the mailbox were always ours."""

    def __init__(self) -> None: ...

    def acquire(self) -> bool:
        return True

    def held(self) -> bool:
        return True

    def release(self) -> None: ...


class _PoisonedParser:
    """Fails as a bug in a parser would."""

    def __init__(self, poison: Poison) -> None:
        self._poison = poison

    def read_head(self, raw: bytes, *, is_complete: bool = True) -> Head:
        if self._poison.at == "judging":
            self._poison.works(raw)
        return mime.read_head(raw, is_complete=is_complete)

    def read_content(self, raw: bytes) -> Content:
        if self._poison.at == "reading":
            self._poison.works(raw)
        return mime.read_content(raw)

    def subject_of(self, head: Head) -> str:
        return mime.subject_of(head)


class _PoisonedStore:
    """Fails as a bug in the rules would, while a batch is decided."""

    def __init__(self, store: PollStore, poison: Poison) -> None:
        self._store = store
        self._poison = poison

    def __getattr__(self, method: str) -> Any:
        return getattr(self._store, method)

    def file(self, queue: Queue, wanted: Mapping[int, Wanted], decide: Decide, now: datetime) -> Sequence[Filing]:
        def decide_poisoned(views: Mapping[int, AccountView]) -> Sequence[Filing]:
            filings = decide(views)
            if self._poison.at == "deciding":
                for verdict in (verdict for filing in filings for verdict in filing.verdicts):
                    if isinstance(verdict.email, NewEmail):
                        self._poison.works(verdict.email.content.raw)
            return filings

        return self._store.file(queue, wanted, decide_poisoned, now)


if __name__ == "__main__":
    from tests.robustness.dying import main as _main  # the orders are pickled under this name

    _main()
