"""One logged-in IMAP connection; normalises the differences between servers."""

from collections import deque
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from imaplib import IMAP4
from typing import Any

from imapclient.imap_utf7 import encode

from worker.domain.servers import ImapAccess
from worker.imap.answers import Answer, read_answers
from worker.imap.connection import (
    ConnectionLost,
    SaidNo,
    Unreadable,
    connect,
    hang_up,
    lost,
    said,
    take_leave,
    translated,
)
from worker.imap.protocol import protocol_of, quoted
from worker.wire import Wire, ended_after

_TOLD_OF_MESSAGES = ("FETCH", "EXPUNGEISSUED")
_UNREAD = (RecursionError, ValueError, TypeError, LookupError, AttributeError)
"""Errors of imapclient's parser, and of code that reads an incomplete answer."""


@dataclass(frozen=True, slots=True)
class Selected:
    """A folder as SELECT showed it, by its name on the server."""

    name: str
    uidvalidity: int
    messages: int
    keeps_keywords: bool


@dataclass(frozen=True, slots=True)
class Fetched:
    """Answers to a FETCH. ``refused`` is the server's NO, after which some answers may be there (RFC 9051 §6.4.5)."""

    answers: dict[int, Answer]
    refused: SaidNo | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    """A FETCH that was sent and whose answer was not read yet."""

    tag: bytes
    uid_set: str
    items: str


class Session:
    """Connects when created. Another thread can break the connection by the ``wire`` at any time.

    Raises:
        Unavailable: from every method; after it the session ``is_over``, unless it was a `SaidNo`.
    """

    def __init__(self, access: ImapAccess, wire: Wire | None = None) -> None:
        self._access = access
        self._wire = wire or Wire()
        self._client = connect(access, self._wire)
        self._imap = protocol_of(self._client)
        self._prefix: str | None = None
        self.selected: Selected | None = None
        self.is_over = False
        self._asked: deque[_Asked] = deque()
        self._early: dict[int, Answer] = {}
        self._gone = 0

    def has(self, capability: str) -> bool:
        """Return whether the server has the capability."""
        return capability in self.capabilities()

    def capabilities(self) -> frozenset[str]:
        """Return the server's capabilities after the login, in upper case.

        Raises:
            Unavailable: the mail server is down, or does not do what it should.
        """
        with self._speaking():
            return frozenset(name.decode("ascii", "replace") for name in self._client.capabilities())

    def select(self, folder: str) -> Selected:
        """Select a folder, and return its present state.

        Raises:
            Unavailable: the mail server is down, or does not do what it should.
        """
        self.selected = None
        with self._speaking(), self._asking(f"cannot open the folder {folder}"):
            answer = self._client.select_folder(folder)
            if not answer.get(b"UIDVALIDITY"):
                raise SaidNo(f"{self._access.server}: the folder {folder} keeps no UIDs")
            keeps_keywords = rb"\*" in answer.get(b"PERMANENTFLAGS", ())
            selected = Selected(folder, answer[b"UIDVALIDITY"], answer[b"EXISTS"], keeps_keywords)
        self.selected, self._gone = selected, 0
        return selected

    def present(self) -> int:
        """Count the messages that were in the folder when it was selected and are still there."""
        return max(0, self.selected.messages - self.expunged()) if self.selected else 0

    def expunged(self) -> int:
        """Count the messages that the server reported as removed since the folder was selected."""
        return self._gone

    def search(self, criteria: Sequence[str]) -> list[int]:
        """Return the UIDs found, ascending. The answer must stay below one megabyte, imaplib's longest line.

        Raises:
            Unavailable: the mail server is down, or does not do what it should.
        """
        with self._speaking():
            return sorted(self._client.search(criteria))

    def fetch(self, uid_set: str, items: str) -> Fetched:
        """Send one FETCH and read the answers.

        Unsolicited answers are among them (RFC 9051 §7.5.2): items may be missing, and other messages may be there.

        Raises:
            Unavailable: the mail server is down, or does not do what it should.
        """
        # IMAPClient.fetch has no ranges, and drops the answers that came before a NO.
        with self._speaking():
            typ, data = self._uid("FETCH", uid_set, items)
            if typ == "OK":
                return Fetched(read_answers(data))
            answered = self._imap.untagged_responses.pop("FETCH", [None])
            return Fetched(read_answers(answered), self._refusal("FETCH", data[0]))

    @property
    def is_asked(self) -> bool:
        """True while answers to `ask` are not read yet."""
        return bool(self._asked) and not self.is_over

    def ask(self, uid_set: str, items: str) -> None:
        """Send a FETCH without waiting. `answer` reads its answer, in the order of asking.

        Call `drop_asked` before any other command.

        Raises:
            Unavailable: the mail server is down, or does not do what it should.
        """
        with self._speaking():
            if not self._asked:
                self._early = {}
                self._forget_told()
            self._asked.append(_Asked(self._imap.begin("UID", "FETCH", uid_set, items), uid_set, items))

    def answer(self, uids: Collection[int], uid_set: str, items: str) -> dict[int, Answer] | None:
        """Read the answer to `ask`; return None when this is not what was asked first, or has to be asked again.

        After a NO some answers may be there, as for `fetch`. Dovecot, when its line is full, begins with the next
        command before it has ended the first (RFC 9051 §5.5): what comes early of it is kept for its turn.

        Raises:
            Unavailable: the mail server is down, or does not do what it should.
        """
        if not self._asked or (self._asked[0].uid_set, self._asked[0].items) != (uid_set, items):
            return None
        with self._speaking():
            typ, data = self._imap.finish(self._asked.popleft().tag, answers="FETCH")
            answered = data if typ == "OK" else self._imap.untagged_responses.pop("FETCH", [None])
            if self._imap.untagged_responses.pop("EXPUNGEISSUED", None):
                return None
            answers = read_answers(answered)
        for uid, early in self._early.items():
            answers[uid] = early | answers.get(uid, {})
        wanted = set(uids)
        self._early = {uid: answer for uid, answer in answers.items() if uid not in wanted}
        return {uid: answer for uid, answer in answers.items() if uid in wanted}

    def drop_asked(self) -> None:
        """Read the answers to `ask` that nobody has read, and drop them.

        Raises:
            Unavailable: the mail server is down, or does not do what it should.
        """
        if self.is_asked:
            with self._speaking():
                while self._asked:
                    self._imap.finish(self._asked.popleft().tag, answers="FETCH")

    def command(self, name: str, uid_set: str, *arguments: str) -> None:
        """Send a UID command and ignore its answers: COPY, MOVE, STORE, EXPUNGE. Raises `SaidNo`."""
        with self._speaking():
            typ, data = self._uid(name, uid_set, *arguments)
            if typ != "OK":
                raise self._refusal(f"cannot {name} {' '.join(arguments)}", data[0])

    def expunge_all(self) -> None:
        """Send EXPUNGE without UIDs: removes every message that is flagged as deleted.

        Raises:
            Unavailable: the mail server is down, or does not do what it should.
        """
        with self._speaking(), self._asking("cannot EXPUNGE"):
            self._client.expunge()

    def prefix(self) -> str:
        """Return the prefix of personal folders (RFC 2342); asks the server once per connection.

        Raises:
            Unavailable: the mail server is down, or does not do what it should.
        """
        if self._prefix is None:
            self._prefix = ""
            if self.has("NAMESPACE"):
                with self._speaking(), self._asking("NAMESPACE"):
                    personal = self._client.namespace().personal
                self._prefix = str(personal[0][0]) if personal else ""
        return self._prefix

    def create(self, folder: str) -> None:
        """Create and subscribe a folder. Raises `SaidNo`, also when it exists."""
        with self._speaking():
            with self._asking(f"cannot make the folder {folder}"):
                self._client.create_folder(folder)
            with suppress(SaidNo), self._asking("SUBSCRIBE"):
                self._client.subscribe_folder(folder)

    def count(self, folder: str) -> int | None:
        """Count the messages of a folder; None when it does not exist.

        Raises:
            Unavailable: the mail server is down, or does not do what it should.
        """
        with self._speaking(), self._asking("LIST"):
            if not self._client.folder_exists(folder):
                return None
            return int(self._client.folder_status(folder, ["MESSAGES"])[b"MESSAGES"])

    def idle_begin(self) -> None:
        """Start IDLE; send no other command until `idle_end`.

        Raises:
            Unavailable: the mail server is down, or does not do what it should.
        """
        with self._speaking():
            try:
                self._client.idle()
            except IMAP4.abort:
                raise
            except IMAP4.error:
                self._await_idle()

    def idle_wait(self, seconds: float) -> frozenset[bytes]:
        """Return the names of the server's reports (``EXISTS``); empty after the time, and at once when it hung up.

        Raises:
            Unavailable: the mail server is down, or does not do what it should.
        """
        with self._speaking(seconds + self._access.answer_seconds):
            heard = self._client.idle_check(timeout=seconds)
            for response in heard:
                if response[0] == b"BYE":
                    words = b" ".join(word for word in response[1:] if isinstance(word, bytes))
                    raise ConnectionLost(lost(self._access, said(words)))
        return frozenset(word.upper() for response in heard for word in response if isinstance(word, bytes))

    def idle_end(self) -> None:
        """End IDLE, and check that the server still answers.

        Raises:
            Unavailable: the mail server is down, or does not do what it should.
        """
        with self._speaking():
            self._client.idle_done()
            self._client.noop()

    def close(self) -> None:
        """Log out if the server still answers; never raises."""
        if not self.is_over:
            self.is_over = True
            take_leave(self._client, self._wire)

    def interrupt(self) -> None:
        """Break the connection; a thread that waits for an answer gets an error. Never raises."""
        self._wire.cut()

    def _uid(self, name: str, *arguments: str) -> tuple[str, list[Any]]:
        """Send a UID command; repeat it when others removed messages and the server had not reported that yet.

        For such messages it says NO, or sends placeholders: an empty head, no bytes, the year 1970. A COPY that ended
        with OK is not repeated, because it is done.
        """
        imap = self._imap
        self._forget_told()
        typ, data = imap.uid(name, *arguments)
        if imap.untagged_responses.pop("EXPUNGEISSUED", None):  # RFC 5530 §3
            imap.noop()  # now it reports them
            if name == "COPY" and typ == "OK":
                return typ, data
            imap.untagged_responses.pop("FETCH", None)
            typ, data = imap.uid(name, *arguments)
        return typ, data

    def _forget_told(self) -> None:
        for code in _TOLD_OF_MESSAGES:
            self._imap.untagged_responses.pop(code, None)

    def _await_idle(self) -> None:
        """Read reports that come before the continuation; imapclient mistakes them for a failure."""
        ended = self._imap.await_continuation(self._client._idle_tag)  # noqa: SLF001
        if ended is not None:
            raise self._refusal("IDLE", ended[1][0])

    @contextmanager
    def _speaking(self, seconds: float | None = None) -> Iterator[None]:
        """Talk to the server. Any failure but a NO ends the connection: its next bytes may belong to anything."""
        deadline = ended_after(seconds or self._access.answer_seconds, self._wire, self._access.server)
        try:
            with deadline, translated(self._access, lambda: self._imap.farewell):
                try:
                    yield
                except _UNREAD as error:
                    raise Unreadable(f"{self._access.server}: an answer that cannot be read") from error
                finally:
                    self._count_gone()
        except SaidNo:
            raise
        except BaseException:
            self.is_over = True
            hang_up(self._client, self._wire)
            raise

    def _count_gone(self) -> None:
        """Count and drop the EXPUNGE reports, which imaplib would keep until the next SELECT."""
        self._gone += len(self._imap.untagged_responses.pop("EXPUNGE", ()))

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """Translate imapclient's error for a NO into `SaidNo`."""
        try:
            yield
        except IMAP4.abort:  # readonly is one, too
            raise
        except IMAP4.error as error:
            raise self._refusal(what, error) from error

    def _refusal(self, what: str, answer: object) -> SaidNo:
        return SaidNo(f"{self._access.server}: {what}: {said(answer)}")


def folder_argument(folder: str) -> str:
    """Write a folder's name for a command: quoted, in modified UTF-7 (RFC 9051 §5.1)."""
    return quoted(encode(folder).decode("ascii"))
