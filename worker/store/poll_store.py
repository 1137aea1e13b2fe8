"""The store that a poll uses: what is known of messages, the marks on them, and the one commit of a batch."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime
from uuid import uuid4

from sqlalchemy import Connection, select, text
from sqlmodel import col

from worker.domain.outcomes import Folder, Outcome
from worker.domain.ports import Decide, Known, Queue
from worker.domain.records import Wanted
from worker.domain.tokens import IssuedToken
from worker.domain.verdicts import Filing
from worker.retries import retry_on_conflict
from worker.store import attempts, commit, health, snapshot, waiting
from worker.store.attempts import Uids
from worker.store.database import Database
from worker.store.tables import (
    AssociationRow,
    DecisionRow,
    EmailOwnerRow,
    EmailRow,
    RecordAddressRow,
    RecordRow,
    UserRow,
)

_READ_BY_ACCOUNT = (UserRow, RecordRow, RecordAddressRow, EmailRow, EmailOwnerRow, AssociationRow)
_FILLED_UNSEEN = text("SELECT reltuples <= 0 FROM pg_class WHERE oid = CAST(:table AS regclass)")


def _look_once(connection: Connection) -> None:
    """Run ANALYZE if the planner has only seen the tables empty. Call it right after the tables were filled."""
    if connection.dialect.name != "postgresql":
        return
    tables = [str(row.__tablename__) for row in _READ_BY_ACCOUNT]
    if connection.scalar(_FILLED_UNSEEN, {"table": tables[-1]}):
        connection.execute(text(f"ANALYZE {', '.join(tables)}"))


_Begin = Callable[[], AbstractContextManager[Connection]]


class PollStore:
    """`worker.domain.ports.Store` on a database. ``worker`` is the name that its marks carry.

    ``gives_notice``: a decision that its owner should know of leaves a notice in the `NoticeOutbox`.
    """

    def __init__(self, database: Database, *, gives_notice: bool = False, worker: str | None = None) -> None:
        self._database = database
        self._gives_notice = gives_notice
        self.worker = worker or uuid4().hex
        self._mailboxes: dict[str, int] = {}
        self._has_statistics = False

    @retry_on_conflict
    def known(self, queue: Queue, uids: Sequence[int]) -> Known:
        """Look the UIDs up; marks of a process that crashed become strikes and suspects.

        Raises:
            Unavailable: the database is down.
        """
        with self._work_on(queue, uids) as (connection, messages):
            decided = _folders(connection, messages)
            suspects = attempts.settle(connection, messages, self.worker)
        return Known(
            decided,
            {uid: suspect.strikes for uid, suspect in suspects.items()},
            {uid: suspect.error for uid, suspect in suspects.items() if suspect.error is not None},
        )

    @retry_on_conflict
    def mark(self, queue: Queue, uids: Sequence[int], *, alone: bool) -> None:
        """Mark the messages before any work on them. A power cut may lose the marks, and blames no message.

        Raises:
            Unavailable: the database is down.
        """
        with self._work_on(queue, uids, self._database.note) as (connection, messages):
            attempts.mark(connection, messages, self.worker, alone=alone)

    @retry_on_conflict
    def release(self, queue: Queue, uids: Sequence[int]) -> None:
        """Remove the marks without a strike.

        Raises:
            Unavailable: the database is down.
        """
        with self._work_on(queue, uids) as (connection, messages):
            attempts.release(connection, messages)

    def release_all(self) -> None:
        """Remove all marks of this worker without a strike, when it is stopped.

        Raises:
            Unavailable: the database is down.
        """
        with self._database.begin() as connection:
            attempts.release_all(connection, self.worker)

    @retry_on_conflict
    def forget(self, queue: Queue, uids: Sequence[int]) -> None:
        """Remove all that is known of messages that are gone from the queue.

        Raises:
            Unavailable: the database is down.
        """
        with self._work_on(queue, uids) as (connection, messages):
            attempts.forget(connection, messages)

    @retry_on_conflict
    def suspect(self, queue: Queue, uid: int, error: str) -> None:
        """Let later polls work on this message alone and last, without a strike.

        Raises:
            Unavailable: the database is down.
        """
        with self._work_on(queue, [uid]) as (connection, message):
            attempts.suspect(connection, message, error)

    @retry_on_conflict
    def strike(self, queue: Queue, uid: int, error: str) -> int:
        """Count one failure of the code on this message; return the strikes so far.

        Raises:
            Unavailable: the database is down.
        """
        with self._work_on(queue, [uid]) as (connection, message):
            return attempts.strike(connection, message, self.worker, error)

    def issued(self, tokens: Collection[str]) -> Mapping[str, IssuedToken]:
        """Return those of the tokens that were ever issued, revoked ones included.

        Raises:
            Unavailable: the database is down.
        """
        with self._database.read() as connection:
            return snapshot.issued(connection, tokens)

    def file(self, queue: Queue, wanted: Mapping[int, Wanted], decide: Decide, now: datetime) -> Sequence[Filing]:
        """Let the core decide by what is known, and store what it says, in one transaction.

        Raises:
            Unavailable: the database is down.
            Conflict: another worker has decided on one of the messages, or removed a record that is needed.
        """
        with self._work_on(queue) as (connection, messages):
            waiting.lock(connection, wanted, alone=True)
            filings = decide(snapshot.views(connection, wanted, now.date()))
            filed = replace(messages, uids=[filing.uid for filing in filings])
            commit.commit(connection, filed, filings, now, gives_notice=self._gives_notice)
            fills = any(verdict.associations for filing in filings for verdict in filing.verdicts)
            if fills and not self._has_statistics:
                _look_once(connection)
        self._has_statistics |= fills
        return filings

    @contextmanager
    def _work_on(
        self, queue: Queue, uids: Sequence[int] = (), begin: _Begin | None = None
    ) -> Iterator[tuple[Connection, Uids]]:
        with (begin or self._database.begin)() as connection:
            mailbox_id = self._mailboxes.get(queue.name) or health.mailbox_id(connection, queue.name)
            yield connection, Uids(mailbox_id, queue.uidvalidity, uids)
        self._mailboxes[queue.name] = mailbox_id  # remembered once it is committed


def _folders(connection: Connection, messages: Uids) -> Mapping[int, Folder]:
    """Return the folder of each message that was decided before, by UID."""
    query = select(col(DecisionRow.uid), col(DecisionRow.outcome)).where(messages.within(connection, DecisionRow))
    return {uid: Outcome(outcome).folder for uid, outcome in connection.execute(query)}
