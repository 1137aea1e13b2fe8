"""From UIDs to messages that can be filed: heads for all, bodies only for those whose head was accepted."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from worker.domain.errors import DropboxError
from worker.domain.messages import Arrival, Head
from worker.domain.ports import Mailbox, Queue, Store
from worker.domain.verdicts import Filing
from worker.filing import (
    Candidate,
    Claim,
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
from worker.mime import read_content, read_head, subject_of

_MOST_ASKED = 5


class Missing(DropboxError):
    """The server lists a message but does not give its head or its body."""


@dataclass(frozen=True, slots=True)
class Taken:
    """One batch as it was fetched and read: what the heads decided, and the rest, judged by its own octets."""

    uids: tuple[int, ...]
    gone: tuple[int, ...]
    rejections: tuple[Filing, ...]
    candidates: tuple[Candidate, ...] = field(repr=False)
    left_over: tuple[int, ...]
    """Their bodies would not fit into the batch any more."""

    @property
    def octets(self) -> int:
        """Of all its bodies."""
        return sum(len(candidate.content.raw) for candidate in self.candidates)


@dataclass(frozen=True, slots=True)
class ReadHead:
    """What is told of a message that is put aside: whatever of its head could be read."""

    head: Head
    subject: str = ""
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True, slots=True)
class _Judged:
    arrival: Arrival
    head: Head
    judgement: Judgement


class Intake:
    """Two FETCHes a batch."""

    def __init__(self, mailbox: Mailbox, store: Store, rules: Rules, most_bytes: int) -> None:
        self._mailbox = mailbox
        self._store = store
        self._rules = rules
        self._most_bytes = most_bytes
        self._alone: tuple[Arrival, Head] | None = None

    def take(
        self, queue: Queue, uids: Sequence[int], now: datetime, *, following: Sequence[int] = (), alone: bool = False
    ) -> Taken:
        """Fetch one batch, which is marked in hand already.

        The server is told of the ``following`` one, to be at work on it while this one is read.

        Raises:
            Unavailable: an outage.
            Missing: a message without a head or a body.
        """
        self._alone = None
        arrivals = self._arrivals(uids)
        with self._blaming(queue, uids, alone=alone):
            heads = [read_head(arrival.head, is_complete=arrival.head_is_complete) for arrival in arrivals]
            routes = [routed(head, self._rules) for head in heads]
        if alone and heads:
            self._alone = arrivals[0], heads[0]
        tokens = {token for found in routes for token in found.tokens}
        issued = dict(self._store.issued(tokens)) if tokens else {}
        with self._blaming(queue, uids, alone=alone):
            by_head = [
                _Judged(arrival, head, judge_head(head, found, self._rules, issued, now))
                for arrival, head, found in zip(arrivals, heads, routes, strict=True)
            ]
        judged = self._judge_sizes(by_head)
        accepted = [one.arrival for one in judged if one.judgement.accepted]
        rejected = [one for one in judged if not one.judgement.accepted]
        fitting, left_over = self._fit(accepted)
        bodies, vanished = self._bodies(fitting)
        if following and not left_over:
            self._mailbox.expect_heads(following)
        with self._blaming(queue, uids, alone=alone, goes_on=True):
            candidates = self._candidates(bodies, judged, issued, tokens, now)
        present, later = {arrival.uid for arrival in arrivals}, set(left_over)
        return Taken(
            uids=tuple(uid for uid in uids if uid not in later),
            gone=(*(uid for uid in uids if uid not in present), *vanished),
            rejections=tuple(
                rejected_by_head(one.arrival, one.head, one.judgement, subject_of(one.head)) for one in rejected
            ),
            candidates=candidates,
            left_over=left_over,
        )

    @contextmanager
    def _blaming(self, queue: Queue, uids: Sequence[int], *, alone: bool, goes_on: bool = False) -> Iterator[None]:
        """Who dies in this block, on a message alone, dies of it; who dies waiting for a server does not.

        ``goes_on``: what follows is no waiting for the mail server either, up to the commit.
        """
        if not alone:
            yield
            return
        self._store.take_in_hand(queue, uids, alone=True)
        yield
        if not goes_on:
            self._store.take_in_hand(queue, uids, alone=False)

    @property
    def head_alone(self) -> tuple[Arrival, Head] | None:
        """What the last `take` of a message alone read of its head, wherever it failed after that."""
        return self._alone

    def read_alone(self, arrival: Arrival, now: datetime) -> "ReadHead":
        """The head, and whose the message is by that alone."""
        head = read_head(arrival.head, is_complete=arrival.head_is_complete)
        found = routed(head, self._rules)
        issued = self._store.issued(found.tokens) if found.tokens else {}
        return ReadHead(head, subject_of(head), judge_head(head, found, self._rules, issued, now).accepted)

    def _candidates(
        self,
        bodies: Sequence[tuple[Arrival, bytes]],
        judged: Sequence[_Judged],
        issued: Issued,
        asked: Collection[str],
        now: datetime,
    ) -> tuple[Candidate, ...]:
        """Read the bodies and judge each message by its own octets; ``asked`` are the tokens that its heads named."""
        before = {one.arrival.uid: one for one in judged}
        contents = {arrival.uid: read_content(body) for arrival, body in bodies}
        # The server's reading of a malformed head may differ from ours.
        routes = {
            uid: routed(content.head, self._rules)
            for uid, content in contents.items()
            if not holds_for(before[uid].head, content.head, self._rules)
        }
        if beyond := {token for found in routes.values() for token in found.tokens}.difference(asked):
            issued = {**issued, **self._store.issued(beyond)}
        return tuple(
            judge_content(before[uid].arrival, content, routes[uid], self._rules, issued, now)
            if uid in routes
            else judged_before(before[uid].arrival, content, before[uid].judgement, self._rules)
            for uid, content in contents.items()
        )

    def _judge_sizes(self, judged: list[_Judged]) -> list[_Judged]:
        """R21: where a message is so large that its attachments may be too large, ask the server before fetching it."""
        large = {
            one.arrival.uid
            for one in judged
            if one.arrival.size > self._rules.max_attachment_bytes and one.judgement.accepted
        }
        if not large:
            return judged
        proven = self._mailbox.attachment_bytes(sorted(large))
        return [
            _Judged(
                one.arrival,
                one.head,
                judge_size(one.judgement, one.arrival.size, proven.get(one.arrival.uid, 0), self._rules),
            )
            if one.arrival.uid in large
            else one
            for one in judged
        ]

    def _fit(self, accepted: list[Arrival]) -> tuple[list[Arrival], tuple[int, ...]]:
        total = 0
        for place, arrival in enumerate(accepted):
            total += arrival.size
            if place and total > self._most_bytes:
                return accepted[:place], tuple(arrival.uid for arrival in accepted[place:])
        return accepted, ()

    def _arrivals(self, uids: Sequence[int]) -> list[Arrival]:
        """Their heads; absent are those that are gone, which is asked of a few: people remove many at once."""
        arrivals = self._seen_twice(self._mailbox.heads(uids))
        if len(arrivals) < len(uids):
            present = {arrival.uid for arrival in arrivals}
            absent = [uid for uid in uids if uid not in present]
            for uid in absent[:_MOST_ASKED]:
                if self._mailbox.uids(uid - 1, 1) == [uid]:
                    raise Missing(f"the server gave no head of UID {uid}")
        return arrivals

    def _seen_twice(self, arrivals: list[Arrival]) -> list[Arrival]:
        """What no mail server ever received may be a server's word for a message that is gone or cannot be read.

        Courier answers so, with a message of its own making. It tells of what is gone when the folder is opened afresh.
        """
        strange = {arrival.uid for arrival in arrivals if b"received:" not in arrival.head.lower()}
        if not strange:
            return arrivals
        self._mailbox.open()
        again = {arrival.uid: arrival for arrival in self._mailbox.heads(sorted(strange))}
        return [
            again.get(arrival.uid, arrival)
            for arrival in arrivals
            if arrival.uid in again or arrival.uid not in strange
        ]

    def _bodies(self, arrivals: list[Arrival]) -> tuple[tuple[tuple[Arrival, bytes], ...], tuple[int, ...]]:
        """The bodies, and the UIDs of those that are gone."""
        if not arrivals:
            return (), ()
        given = self._mailbox.bodies([arrival.uid for arrival in arrivals])
        found = {one.uid: given[one.uid] for one in arrivals if one.uid in given and self._is_of(one, given[one.uid])}
        absent = [arrival.uid for arrival in arrivals if arrival.uid not in found]
        if absent:
            self._mailbox.open()
            if still_there := self._mailbox.heads(absent):
                raise Missing(f"the server gave no body of UID {still_there[0].uid}")
        return tuple((arrival, found[arrival.uid]) for arrival in arrivals if arrival.uid in found), tuple(absent)

    def _is_of(self, arrival: Arrival, body: bytes) -> bool:
        """Whether these octets are that message: as many as it has, or else with a token in them, as its head had."""
        return len(body) == arrival.size or bool(body and routed(read_head(body), self._rules).tokens)
