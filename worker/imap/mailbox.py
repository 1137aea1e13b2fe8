"""The mailbox port over IMAP, on one connection."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from worker.domain.errors import Refused, Unavailable, Withheld
from worker.domain.messages import Arrival
from worker.domain.outcomes import Folder
from worker.domain.ports import Queue
from worker.domain.servers import ImapAccess
from worker.imap import folders
from worker.imap.answers import BODY_ITEMS, Answer, arrivals, attachment_octets, body, head_items
from worker.imap.connection import ConnectionLost, SaidNo, Unreadable
from worker.imap.folders import fetch_each, uid_sets, uids_above
from worker.imap.session import Selected, Session

_CLOSING_SECONDS = 0.5
_LISTED_AT_ONCE, _READ_AT_ONCE = 10_000, 500
"""UIDs per search and heads per FETCH when a whole folder is read."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Number of messages in the queue, and the arrival time of the first one."""

    messages: int
    oldest: datetime | None


class _Line:
    """A session that is opened when needed, and a lock for the thread that uses it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._session: Session | None = None

    @property
    def is_open(self) -> bool:
        return self._session is not None and not self._session.is_over

    @property
    def asked(self) -> Session | None:
        """The session, while it has answers that were asked for ahead."""
        return self._session if self._session is not None and self._session.is_asked else None

    def session(self, access: ImapAccess) -> Session:
        """Return a live session. Answers that were asked for ahead are dropped: if they break it, it is replaced."""
        if asked := self.asked:
            with suppress(Unavailable):
                asked.drop_asked()
        if self._session is None or self._session.is_over:
            self._session = Session(access)
        return self._session

    def close(self) -> None:
        """Close the connection; a thread that waits for its answer gets an error."""
        session = self._session
        if session is None:
            return
        if self.lock.acquire(timeout=_CLOSING_SECONDS):
            try:
                session.close()
            finally:
                self.lock.release()
        else:
            session.interrupt()


class ImapMailbox:
    """Implements `worker.domain.ports.Mailbox`, and what the operators' commands need beyond it.

    ``head_fields`` are fetched in addition to the `DECIDING_FIELDS`, above all the fields that may name an envelope
    recipient (R4).
    """

    def __init__(self, access: ImapAccess, head_fields: Sequence[str] = ()) -> None:
        self._access = access
        self._head_items = head_items(head_fields)
        self._reader = _Line()
        self._uidvalidity: int | None = None
        self._copied: set[int] = set()
        self._asks_ahead = True

    def open(self) -> Queue:
        """Select the queue; a kept connection that is dead is replaced once.

        Raises:
            Unavailable: the mail server is down, or does not do what it should.
        """
        with self._reader.lock:
            selected = self._select_afresh()
            if selected.uidvalidity != self._uidvalidity:
                self._uidvalidity, self._copied = selected.uidvalidity, set()
            self._asks_ahead = True
            return Queue(self._access.mailbox_name, selected.uidvalidity, selected.messages)

    def reopen(self) -> None:
        """Select the queue again, so that the server shows what is gone. UIDs keep their meaning.

        Raises:
            Unavailable: the mail server is down, or does not do what it should, or the queue was created again.
        """
        with self._reader.lock:
            self._select_afresh()
            self._selected_reader()

    def uids(self, above: int, most: int) -> list[int]:
        """Return up to ``most`` UIDs greater than ``above``, ascending; flags do not matter.

        Raises:
            Unavailable: the mail server is down, or does not do what it should.
        """
        with self._reading() as session:
            return uids_above(session(), above, most)

    def heads(self, uids: Sequence[int]) -> list[Arrival]:
        """Fetch the heads with one FETCH; removed messages are absent.

        Raises:
            Unavailable: the mail server is down, or does not do what it should.
        """
        return arrivals(self._answers(uids, self._head_items), uids, datetime.now(UTC))

    def expect_heads(self, uids: Sequence[int]) -> None:
        """Send the FETCH now; `heads` of the same UIDs reads the answer, and raises what fails here."""
        self._ask(uids, self._head_items)

    def expect_bodies(self, uids: Sequence[int]) -> None:
        """Send the FETCH now; `bodies` of the same UIDs reads the answer, and raises what fails here."""
        self._ask(uids, BODY_ITEMS)

    def attachment_bytes(self, uids: Sequence[int]) -> Mapping[int, int]:
        """Return the minimum decoded bytes of the attachments; absent where the server cannot say."""
        answers: Mapping[int, Answer] = {}
        with self._reading() as session, suppress(SaidNo):
            answers = fetch_each(session, uids, "(UID BODYSTRUCTURE)")
        return {
            uid: attachment_octets(answer[b"BODYSTRUCTURE"])
            for uid, answer in answers.items()
            if b"BODYSTRUCTURE" in answer
        }

    def bodies(self, uids: Sequence[int]) -> Mapping[int, bytes]:
        """Fetch whole messages, byte for byte, with one FETCH; removed or withheld ones are absent.

        Raises:
            Unavailable: the mail server is down, or does not do what it should.
        """
        answers = self._answers(uids, BODY_ITEMS)
        return {uid: octets for uid, answer in answers.items() if (octets := body(answer)) is not None}

    def move(self, uids: Sequence[int], folder: Folder) -> None:
        """Move to the folder, and create it when missing; removed UIDs are ignored.

        Raises:
            Unavailable: the mail server is down, or does not do what it should.
        """
        if not uids:
            return
        with self._reading() as session:
            selected = session()
            folders.move(selected, uids, folders.own_folder(selected, folder), self._copied)

    def close(self) -> None:
        """Log out if the server still answers; never raises."""
        self._reader.close()

    def capabilities(self) -> frozenset[str]:
        """Return the server's capabilities after the login."""
        with self._reader.lock:
            return self._reader.session(self._access).capabilities()

    def backlog(self) -> Backlog:
        """Count the queue now.

        Raises:
            Unavailable: the mail server is down, or does not do what it should.
        """
        with self._reader.lock:
            messages = self._select_queue().messages
            return Backlog(messages, self._oldest() if messages else None)

    def folder_report(self) -> list[folders.FolderReport]:
        """Return the queue and the worker's folders, by their names on the server.

        Raises:
            Unavailable: the mail server is down, or does not do what it should.
        """
        with self._reader.lock:
            return folders.report(self._reader.session(self._access), self._access)

    def newest_arrival(self) -> datetime | None:
        """Return when the queue's last message, or else that of the worker's folders, arrived by the server's clock.

        Raises:
            Unavailable: the mail server is down, or does not do what it should.
        """
        for folder in (None, *Folder):
            if folder is not None and not self._has(folder):
                continue
            with self._within(folder) as session:
                last = session.search(["*"]) if session.present() else []
                if found := self._arrived(session, last):
                    return found
        return None

    def find(self, folder: Folder | None, message_id: str) -> list[int]:
        """Find the messages with this Message-ID in one of the worker's folders, or in the queue (None).

        Raises:
            Unavailable: the mail server is down, or does not do what it should.
        """
        if not message_id.isprintable():
            return []
        with self._within(folder) as session:
            return session.search(["HEADER", "Message-ID", message_id])

    def messages(self, folder: Folder | None) -> Iterator[Arrival]:
        """Iterate over one of the worker's folders, or the queue (None); a missing folder counts as empty.

        Call no other method before the iteration ends.

        Raises:
            Unavailable: the mail server is down, or does not do what it should.
        """
        if folder is not None and not self._has(folder):
            return
        with self._within(folder) as session:
            above = 0
            while uids := uids_above(session, above, _LISTED_AT_ONCE):
                for first in range(0, len(uids), _READ_AT_ONCE):
                    part = uids[first : first + _READ_AT_ONCE]
                    yield from arrivals(fetch_each(lambda: session, part, self._head_items), part, datetime.now(UTC))
                above = uids[-1]

    def fetch_one(self, folder: Folder | None, uid: int) -> bytes:
        """Fetch a whole message from one of the worker's folders, or from the queue (None).

        Raises:
            Refused: when the folder has no such UID.
        """
        with self._within(folder) as session:
            octets = body(session.fetch(str(uid), BODY_ITEMS).answers.get(uid, {}))
        if octets is None:
            raise Refused(f"{self._access.server}: no message with UID {uid} in {folder or self._access.folder}")
        return octets

    def restore(self, uids: Sequence[int], folder: Folder) -> None:
        """Move messages from one of the worker's folders back into the queue, where they get new UIDs.

        Raises:
            Unavailable: the mail server is down, or does not do what it should.
        """
        if not uids:
            return
        with self._within(folder) as session:
            folders.move(session, uids, folders.queue_folder(session, self._access), set())

    def first(self, folder: Folder, above: int, most: int) -> list[Arrival]:
        """Return the first messages of one of our folders with UIDs above that number; none without the folder.

        Raises:
            Unavailable: the mail server is down, or does not do what it should.
        """
        if not self._has(folder):
            return []
        with self._within(folder) as session:
            uids = uids_above(session, above, most)
            return arrivals(fetch_each(lambda: session, uids, self._head_items), uids, datetime.now(UTC))

    def remove(self, uids: Sequence[int], folder: Folder | None) -> None:
        """Delete messages from one of our folders, or from the queue (None). UIDs that are gone are skipped.

        Without UIDPLUS they stay flagged while somebody else has flagged messages in the folder: EXPUNGE would remove
        those too.

        Raises:
            Unavailable: the mail server is down, or does not do what it should.
        """
        if not uids:
            return
        with self._within(folder) as session:
            folders.remove(session, uids, set())

    def _ask(self, uids: Sequence[int], items: str) -> None:
        uid_set = list(uid_sets(uids))
        if len(uid_set) == 1 and self._asks_ahead:
            with suppress(Unavailable), self._reader.lock:
                (self._reader.asked or self._selected_reader()).ask(uid_set[0], items)

    def _answers(self, uids: Sequence[int], items: str) -> dict[int, Answer]:
        """Read what was asked for ahead; ask now for what is missing."""
        with self._reading() as session:
            return fetch_each(session, uids, items, self._asked_ahead(uids, items))

    def _asked_ahead(self, uids: Sequence[int], items: str) -> dict[int, Answer] | None:
        """Read what was asked for ahead. If nothing came of it, ask ahead no more until the queue is opened again."""
        session, uid_set = self._reader.asked, list(uid_sets(uids))
        if session is None or len(uid_set) != 1:
            return None
        try:
            answers = session.answer(uids, uid_set[0], items)
        except (ConnectionLost, Unreadable):
            answers = {}
        self._asks_ahead = answers is None or bool(answers)
        return answers

    def _oldest(self) -> datetime | None:
        """Return when the first message arrived; None when the server does not say."""
        session = self._reader.session(self._access)
        return self._arrived(session, session.search(["1"]))

    @staticmethod
    def _arrived(session: Session, uids: Sequence[int]) -> datetime | None:
        """Return when the first of these arrived; None when the server does not say."""
        with suppress(Withheld):
            for arrival in arrivals(fetch_each(lambda: session, uids, "(UID INTERNALDATE)"), uids, datetime.now(UTC)):
                return arrival.arrived_at
        return None

    @contextmanager
    def _reading(self) -> Iterator[Callable[[], Session]]:
        with self._reader.lock:
            yield self._selected_reader

    def _has(self, folder: Folder) -> bool:
        with self._reader.lock:
            session = self._reader.session(self._access)
            return session.count(folders.own_folder(session, folder)) is not None

    @contextmanager
    def _within(self, folder: Folder | None) -> Iterator[Session]:
        with self._reader.lock:
            session = self._reader.session(self._access)
            try:
                if folder is None:
                    self._select_queue()
                else:
                    session.select(folders.own_folder(session, folder))
                yield session
            finally:
                session.selected = None  # so that the queue is selected again before the next command

    def _selected_reader(self) -> Session:
        session = self._reader.session(self._access)
        if session.selected is None:
            self._select_queue()
        return self._checked(session)

    def _select_afresh(self) -> Selected:
        """Select the queue; reconnect once if the kept connection is dead."""
        was_kept = self._reader.is_open
        try:
            return self._select_queue()
        except SaidNo:
            raise
        except Unavailable:
            if not was_kept:
                raise
            return self._select_queue()

    def _select_queue(self) -> Selected:
        session = self._reader.session(self._access)
        return session.select(folders.queue_folder(session, self._access))

    def _checked(self, session: Session) -> Session:
        """Check UIDVALIDITY: in a folder created again, UIDs mean other messages (RFC 9051 §2.3.1.1)."""
        if session.selected is None or session.selected.uidvalidity != self._uidvalidity:
            raise Unavailable(
                f"{self._access.server}: the folder {self._access.folder} was created again; open it again"
            )
        return session
