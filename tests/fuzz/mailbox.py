"""A queue of octets that answers as an IMAP server would: by FETCH lines, read by the code that reads real ones."""

import re
from collections.abc import Callable, Mapping, Sequence

from imapclient.response_parser import parse_fetch_response

from tests.domain.made import NOW
from worker.domain.messages import Arrival
from worker.domain.outcomes import Folder
from worker.domain.ports import Queue
from worker.domain.routing import DEFAULT_TOKEN_HEADERS
from worker.imap.answers import DECIDING_FIELDS, MOST_HEAD, Answer, arrivals, body

Lines = list[tuple[bytes, bytes] | bytes]
"""As imaplib hands them over: a line with the literal that follows it, or the rest of a line."""

_ASKED = {name.lower().encode() for name in ("Subject", *DECIDING_FIELDS, *DEFAULT_TOKEN_HEADERS)}
_FIELD = re.compile(rb"[^\n]*\n(?:[ \t][^\n]*\n)*")
_END_OF_HEAD = re.compile(rb"\n\r?\n")


class OctetMailbox:
    """`worker.domain.ports.Mailbox` over a list of messages; what was moved is gone."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._messages: dict[int, bytes] = {}
        self._last = 0
        self.moved: dict[int, Folder] = {}

    def arrive(self, messages: Sequence[bytes]) -> list[int]:
        """Replace the queue by these messages and return their UIDs."""
        uids = list(range(self._last + 1, self._last + 1 + len(messages)))
        self._last += len(messages)
        self._messages = dict(zip(uids, messages, strict=True))
        self.moved = {}
        return uids

    def open(self) -> Queue:
        return Queue(self._queue.name, self._queue.uidvalidity, len(self._messages))

    def reopen(self) -> None:
        pass

    def uids(self, above: int, most: int) -> list[int]:
        return [uid for uid in self._messages if uid > above][:most]

    def heads(self, uids: Sequence[int]) -> list[Arrival]:
        return arrivals(self._fetch(uids, self._head), uids, NOW)

    def expect_heads(self, uids: Sequence[int]) -> None:
        pass

    def expect_bodies(self, uids: Sequence[int]) -> None:
        pass

    def attachment_bytes(self, uids: Sequence[int]) -> Mapping[int, int]:
        return {}

    def bodies(self, uids: Sequence[int]) -> Mapping[int, bytes]:
        return {uid: octets for uid, answer in self._fetch(uids, self._body).items() if (octets := body(answer))}

    def move(self, uids: Sequence[int], folder: Folder) -> None:
        for uid in uids:
            del self._messages[uid]
            self.moved[uid] = folder

    def close(self) -> None:
        pass

    def _fetch(self, uids: Sequence[int], answer: Callable[[int, bytes], Lines]) -> dict[int, Answer]:
        lines: Lines = []
        for uid in uids:
            if uid in self._messages:
                lines += answer(uid, self._messages[uid])
        return dict(parse_fetch_response(lines, normalise_times=False))

    def _head(self, uid: int, raw: bytes) -> Lines:
        head = _asked_fields(raw)[:MOST_HEAD]
        told = f'{uid} (UID {uid} INTERNALDATE "23-Nov-2026 09:00:00 +0000" RFC822.SIZE {len(raw)} '
        named = "BODY[HEADER.FIELDS (" + " ".join(("Subject", *DECIDING_FIELDS)) + ")]<0>"
        return [(f"{told}{named} {{{len(head)}}}".encode(), head), b")"]

    def _body(self, uid: int, raw: bytes) -> Lines:
        return [(f"{uid} (UID {uid} BODY[] {{{len(raw)}}}".encode(), raw), b")"]


def _asked_fields(raw: bytes) -> bytes:
    """Select fields as Dovecot does: a field name ends at the colon; skip a line without one."""
    end = _END_OF_HEAD.search(raw)
    fields = _FIELD.findall(raw[: end.start() + 1] if end else raw)
    return b"".join(field for field in fields if field.partition(b":")[0].strip().lower() in _ASKED) + b"\r\n"
