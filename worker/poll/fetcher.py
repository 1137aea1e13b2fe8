"""From UIDs to messages that can be filed: the heads of a batch, then the bodies of those whose head was accepted."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from worker.domain.errors import DropboxError, Silent, Unavailable, Withheld
from worker.domain.messages import Arrival, Head
from worker.domain.ports import Mailbox, Parser, Queue, Store
from worker.domain.verdicts import Filing
from worker.filing import (
    Candidate,
    Issued,
    Judgement,
    Rules,
    holds_for,
    judge_content,
    judge_head,
    judge_size,
    judged_before,
    rejected_by_head,
    routed,
)
from worker.poll.batch import STRIKES, Batch, Failed, Fetched, ReadHead

_MOST_ASKED = 5
"""UIDs without a head that are searched for one by one: people remove many messages at once."""


_Done = TypeVar("_Done")


class Missing(DropboxError):
    """The server lists a message but does not give its head or its body."""


@dataclass(frozen=True, slots=True)
class _Judged:
    arrival: Arrival
    head: Head
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class _Heads:
    """The judged heads of a batch, and what the store said of the tokens that they name."""

    batch: Batch
    judged: Sequence[_Judged]
    tokens: Collection[str]
    issued: Issued

    def accepted(self) -> list[Arrival]:
        return [one.arrival for one in self.judged if one.judgement.accepted]

    def rejections(self, parser: Parser) -> tuple[Filing, ...]:
        return tuple(
            rejected_by_head(one.arrival, one.head, one.judgement, parser.subject_of(one.head))
            for one in self.judged
            if not one.judgement.accepted
        )


@dataclass(frozen=True, slots=True)
class Begun:
    """A batch whose heads are judged, and whose bodies the server was asked for."""

    heads: _Heads
    alone: ReadHead | None
    fitting: list[Arrival]
    left_over: tuple[int, ...]
    """Their bodies do not fit into the batch."""


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Fetches the batches of one poll, each with two FETCHes. Not for two threads at once."""

    mailbox: Mailbox
    store: Store
    queue: Queue
    rules: Rules
    parser: Parser
    most_bytes: int
    silent: set[int]
    """UIDs during whose fetch the server fell silent; kept from poll to poll."""

    def begin(self, batch: Batch, following: Sequence[int] = ()) -> Begun | Failed:
        """Fetch and judge the heads of a batch that is marked already, and ask for the bodies of the accepted ones.

        Then ask for the heads of the UIDs that are ``following``. The server sends all this while others are filed.
        A message with too many strikes is not fetched again.

        Raises:
            Unavailable: an outage.
        """
        if batch.strikes >= STRIKES:
            return Failed(batch, None)
        heads = self._attempt(batch, None, lambda: self._read_heads(batch))
        if isinstance(heads, Failed):
            return heads
        alone = heads[0] if batch.is_alone and heads else None
        return self._attempt(batch, alone, lambda: self._begun(batch, heads, alone, following))

    def finish(self, begun: Begun | Failed) -> Fetched | Failed:
        """Receive and read the bodies of a batch.

        Raises:
            Unavailable: an outage.
        """
        if isinstance(begun, Failed):
            return begun
        batch = begun.heads.batch
        fetched = self._attempt(batch, begun.alone, lambda: self._fetched(begun))
        if isinstance(fetched, Fetched):
            self.silent.difference_update(batch.uids)
        return fetched

    def _attempt(self, batch: Batch, alone: ReadHead | None, work: Callable[[], _Done]) -> _Done | Failed:
        try:
            return work()
        except Silent:
            self.silent.update(batch.uids)
            raise
        except Withheld as withheld:
            return Failed(batch, withheld, alone)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - the message that causes it is found when it is alone
            return Failed(batch, error, alone)

    def arrival_of(self, uid: int) -> Arrival | None:
        """Ask for one message again: only its UID if the server never gives more, None if it is gone.

        Raises:
            Unavailable: an outage.
        """
        if arrivals := self.mailbox.heads([uid]):
            return arrivals[0]
        if self.mailbox.uids(uid - 1, 1) == [uid]:
            return Arrival(uid, _now(), 0, b"", head_is_complete=False)
        return None

    def judged_alone(self, arrival: Arrival) -> tuple[Head, Judgement]:
        """Read and judge the head of one message. A crash meanwhile is its strike.

        Raises:
            Unavailable: the database is down.
        """
        batch = Batch((arrival.uid,), is_alone=True)
        self._blame(batch)
        (judged,) = self._judged(batch, [ReadHead(arrival, self._head(arrival))]).judged
        return judged.head, judged.judgement

    def _blame(self, batch: Batch) -> None:
        """Let a crash be a strike for a message that is alone: from here on our own code works on it."""
        if batch.is_alone:
            self.store.mark(self.queue, batch.uids, alone=True)

    def _absolve(self, batch: Batch) -> None:
        """Let a crash be no strike any more: from here on the worker waits for the mail server."""
        if batch.is_alone:
            self.store.mark(self.queue, batch.uids, alone=False)

    def _head(self, arrival: Arrival) -> Head:
        return self.parser.read_head(arrival.head, is_complete=arrival.head_is_complete)

    def _judged(self, batch: Batch, heads: Sequence[ReadHead]) -> _Heads:
        routes = [routed(one.head, self.rules) for one in heads]
        tokens = {token for found in routes for token in found.tokens}
        issued = dict(self.store.issued(tokens)) if tokens else {}
        judged = [
            _Judged(one.arrival, one.head, judge_head(one.head, found, self.rules, issued, _now()))
            for one, found in zip(heads, routes, strict=True)
        ]
        return _Heads(batch, judged, tokens, issued)

    def _read_heads(self, batch: Batch) -> list[ReadHead]:
        arrivals = self._arrivals(batch.uids)
        self._blame(batch)
        return [ReadHead(arrival, self._head(arrival)) for arrival in arrivals]

    def _begun(self, batch: Batch, read: Sequence[ReadHead], alone: ReadHead | None, following: Sequence[int]) -> Begun:
        heads = self._judged(batch, read)
        self._absolve(batch)
        heads = self._judge_sizes(heads)
        fitting, left_over = self._fitting(heads.accepted())
        if fitting and not batch.is_alone:
            self.mailbox.expect_bodies([arrival.uid for arrival in fitting])
        if following and not left_over:
            self.mailbox.expect_heads(following)
        return Begun(heads, alone, fitting, left_over)

    def _fetched(self, begun: Begun) -> Fetched:
        heads = begun.heads
        bodies, vanished = self._bodies(begun.fitting)
        self._blame(heads.batch)
        present = {one.arrival.uid for one in heads.judged}
        return Fetched(
            heads.batch,
            gone=(*(uid for uid in heads.batch.uids if uid not in present), *vanished),
            rejections=heads.rejections(self.parser),
            candidates=self._candidates(bodies, heads),
            left_over=begun.left_over,
            alone=begun.alone,
        )

    def _candidates(self, bodies: Sequence[tuple[Arrival, bytes]], heads: _Heads) -> tuple[Candidate, ...]:
        """Read the bodies and judge each message by its own bytes."""
        before = {one.arrival.uid: one for one in heads.judged}
        contents = {arrival.uid: self.parser.read_content(body) for arrival, body in bodies}
        # The server's reading of a malformed head may differ from ours.
        routes = {
            uid: routed(content.head, self.rules)
            for uid, content in contents.items()
            if not holds_for(before[uid].head, content.head, self.rules)
        }
        issued = heads.issued
        if beyond := {token for found in routes.values() for token in found.tokens}.difference(heads.tokens):
            issued = {**issued, **self.store.issued(beyond)}
        now = _now()
        return tuple(
            judge_content(before[uid].arrival, content, routes[uid], self.rules, issued, now)
            if uid in routes
            else judged_before(before[uid].arrival, content, before[uid].judgement, self.rules)
            for uid, content in contents.items()
        )

    def _judge_sizes(self, heads: _Heads) -> _Heads:
        """Ask the server about messages whose attachments may be too large, before they are fetched (R21)."""
        large = {arrival.uid for arrival in heads.accepted() if arrival.size > self.rules.max_attachment_bytes}
        if not large:
            return heads
        proven = self.mailbox.attachment_bytes(sorted(large))
        judged = [
            replace(one, judgement=judge_size(one.judgement, one.arrival.size, proven.get(uid, 0), self.rules))
            if (uid := one.arrival.uid) in large
            else one
            for one in heads.judged
        ]
        return replace(heads, judged=judged)

    def _fitting(self, accepted: list[Arrival]) -> tuple[list[Arrival], tuple[int, ...]]:
        """Split messages into those whose bodies fit into one batch, and the UIDs of the others."""
        total = 0
        for place, arrival in enumerate(accepted):
            total += arrival.size
            if place and total > self.most_bytes:
                return accepted[:place], tuple(arrival.uid for arrival in accepted[place:])
        return accepted, ()

    def _arrivals(self, uids: Sequence[int]) -> list[Arrival]:
        """Fetch the heads; messages that are gone are absent.

        Raises:
            Missing: a message is there, but the server did not give its head.
        """
        arrivals = self._seen_twice(self.mailbox.heads(uids))
        if len(arrivals) < len(uids):
            present = {arrival.uid for arrival in arrivals}
            absent = [uid for uid in uids if uid not in present]
            for uid in absent[:_MOST_ASKED]:
                if self.mailbox.uids(uid - 1, 1) == [uid]:
                    raise Missing(f"the server gave no head of UID {uid}")
        return arrivals

    def _seen_twice(self, arrivals: list[Arrival]) -> list[Arrival]:
        """Ask again for heads without a Received field: the server may have made them up.

        Courier answers so for a message that is gone or cannot be read. It shows what is gone after the next SELECT.
        """
        strange = {arrival.uid for arrival in arrivals if b"received:" not in arrival.head.lower()}
        if not strange:
            return arrivals
        self.mailbox.reopen()
        again = {arrival.uid: arrival for arrival in self.mailbox.heads(sorted(strange))}
        return [
            again.get(arrival.uid, arrival)
            for arrival in arrivals
            if arrival.uid in again or arrival.uid not in strange
        ]

    def _bodies(self, arrivals: Sequence[Arrival]) -> tuple[list[tuple[Arrival, bytes]], list[int]]:
        """Fetch the bodies; return them, and the UIDs of messages that are gone.

        Raises:
            Missing: a message is there, but the server did not give its body.
        """
        if not arrivals:
            return [], []
        given = self.mailbox.bodies([arrival.uid for arrival in arrivals])
        found = {one.uid: given[one.uid] for one in arrivals if one.uid in given and self._is_of(one, given[one.uid])}
        absent = [arrival.uid for arrival in arrivals if arrival.uid not in found]
        if absent:
            self.mailbox.reopen()
            if still_there := self.mailbox.heads(absent):
                raise Missing(f"the server gave no body of UID {still_there[0].uid}")
        return [(arrival, found[arrival.uid]) for arrival in arrivals if arrival.uid in found], absent

    def _is_of(self, arrival: Arrival, body: bytes) -> bool:
        """Tell whether the body has the size that the server announced, or else names a token, as the head did."""
        return len(body) == arrival.size or bool(body and routed(self.parser.read_head(body), self.rules).tokens)


def _now() -> datetime:
    return datetime.now(UTC)
