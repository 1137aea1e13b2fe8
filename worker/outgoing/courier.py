"""Delivers the events that are due: those of one record in order, those of different records side by side."""

import random
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from threading import Event as Flag
from threading import Thread

import structlog

from worker.domain.endpoints import (
    WAIT_SECONDS,
    Answer,
    Attempt,
    Delivery,
    Endpoint,
    Outbox,
    Outlook,
    chains,
    outlook,
    retry_at,
)
from worker.domain.errors import Unavailable
from worker.logs import Event
from worker.outgoing.event_delivery import LATE, Line, signed

_LOOK_SECONDS = 2.5
"""Between two looks for endpoints, while others are delivered to."""
_MOST_SENDERS = 8
_MOST_OF_ENDPOINT = 4
"""Connections to one receiver, so that one that hangs leaves some for the others."""
_AT_ONCE = 200
"""Events that are read from the outbox at a time."""
_MOST_OF_RUN = 10
"""Events that a sender is given at a time: handing over each by itself costs as much as sending it."""
_MOST_PAGES = 50
"""Pages of events that wait for an earlier one of their record are passed over in search of others."""
_RENEW_SECONDS = 1.5
_SETTLE_SECONDS = 0.25
_FAREWELL_SECONDS = 1.5
_GRACE_SECONDS = 2.0
"""A sender that does not come back so long after its connection was cut hangs in the resolver: it is left behind."""


@dataclass(frozen=True, slots=True)
class _Result:
    """The message of a sender: the answer to one event, or with None that it is free again."""

    sender: "_Sender"
    lane: "_Lane"
    delivery: Delivery | None = None
    answer: Answer | None = None


@dataclass(slots=True, eq=False)
class _Lane:
    """The deliveries to one endpoint, as long as something is due."""

    endpoint: Endpoint
    outlook: Outlook
    runs: deque[list[list[Delivery]]] = field(default_factory=deque)
    """Runs of chains."""
    running: int = 0
    attempts: list[Attempt] = field(default_factory=list)
    """Not stored yet."""
    is_closed: bool = False
    """Nothing more is sent: the receiver is down, or the endpoint is not ours any more."""
    delivered: int = 0
    failed: int = 0
    began: float = field(default_factory=time.monotonic)
    settled: float = field(default_factory=time.monotonic)

    def close(self) -> None:
        self.is_closed = True
        self.runs.clear()


class _Sender:
    """A thread that sends runs of events, on one connection at a time."""

    def __init__(self, results: "SimpleQueue[_Result]") -> None:
        self._results = results
        self._jobs: SimpleQueue[tuple[_Lane, list[list[Delivery]]] | None] = SimpleQueue()
        self._line: tuple[str, Line] | None = None
        self.current: tuple[_Lane, Delivery, float] | None = None
        """What is being sent, and since when (monotonic seconds)."""
        Thread(target=self._work, name="events", daemon=True).start()

    def send(self, lane: _Lane, run: list[list[Delivery]]) -> None:
        """Send these chains; what comes of each event is put into the results."""
        self._jobs.put((lane, run))

    def end(self) -> None:
        """Close the connection and stop."""
        self._jobs.put(None)

    def cut(self) -> None:
        """Break what is being sent."""
        line = self._line
        if line is not None:
            line[1].cut()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            lane, run = job
            for chain in run:
                self._send_chain(lane, chain)
            self._results.put(_Result(self, lane))
        if self._line is not None:
            self._line[1].close()

    def _send_chain(self, lane: _Lane, chain: list[Delivery]) -> None:
        for delivery in chain:
            if lane.is_closed:
                return
            answer = self._deliver(lane, delivery)
            self._results.put(_Result(self, lane, delivery, answer))
            if answer.status is None:
                lane.is_closed = True
            if not answer.is_success:
                return

    def _deliver(self, lane: _Lane, delivery: Delivery) -> Answer:
        endpoint = lane.endpoint
        line = self._line_to(endpoint.url)
        self.current = lane, delivery, time.monotonic()
        answer = line.post(delivery.body, signed(endpoint, delivery.id, delivery.body, datetime.now(UTC)))
        self.current = None
        return answer

    def _line_to(self, url: str) -> Line:
        if self._line is not None:
            known, line = self._line
            if known == url and not line.is_cut:
                return line
            line.close()
        line = Line(url)
        self._line = url, line
        return line


class Courier:
    """Delivers from one outbox. For one thread; any number of processes may share the outbox.

    ``wanted`` is set from outside when there may be something new.
    """

    def __init__(self, outbox: Outbox, wanted: Flag | None = None) -> None:
        self._outbox = outbox
        self._wanted = wanted or Flag()
        self._failed: dict[int, set[int]] = {}
        """By account: the different events that failed since the last success."""

    def deliver_due(self, stop: Callable[[], bool] = lambda: False) -> int:
        """Deliver until nothing is due, or ``stop`` says so; returns how many events were delivered.

        Raises:
            Unavailable: when the database is down. What was delivered and could not be stored is delivered again.
        """
        return _Round(self._outbox, self._wanted, self._failed).run(stop)


class _Round:
    """One call of `Courier.deliver_due`."""

    def __init__(self, outbox: Outbox, wanted: Flag, failed: dict[int, set[int]]) -> None:
        self._outbox = outbox
        self._wanted = wanted
        self._failed = failed
        self._lanes: dict[int, _Lane] = {}
        self._results: SimpleQueue[_Result] = SimpleQueue()
        self._idle: list[_Sender] = []
        self._busy: set[_Sender] = set()
        self._delivered = 0
        self._looked = self._renewed = 0.0

    def run(self, stop: Callable[[], bool]) -> int:
        """Deliver as `Courier.deliver_due` describes."""
        try:
            self._look()
            while self._lanes and not stop():
                self._hand_out()
                self._collect(0.2)
                self._cut_overdue()
                self._tend()
            self._wind_up()
        finally:
            for sender in (*self._idle, *self._busy):
                sender.end()
            if self._lanes:
                with suppress(Unavailable):
                    self._outbox.release(self._lanes.keys())
        return self._delivered

    def _look(self) -> None:
        """Claim the endpoints for which an event is due."""
        self._wanted.clear()
        self._looked = time.monotonic()
        for endpoint in self._outbox.lease(datetime.now(UTC)):
            if endpoint.account_id not in self._lanes:
                self._lanes[endpoint.account_id] = _Lane(
                    endpoint, Outlook(endpoint.failing_since, endpoint.failures, None)
                )
                self._renewed = self._renewed or time.monotonic()

    def _hand_out(self) -> None:
        """Give work to senders that are free, to each endpoint in turn."""
        for lane in list(self._lanes.values()):
            if not lane.runs and not lane.running:
                self._refill(lane)
        is_given = True
        while is_given:
            is_given = False
            for lane in self._lanes.values():
                most = 1 if lane.outlook.failures else _MOST_OF_ENDPOINT
                if lane.runs and lane.running < most and (sender := self._free_sender()):
                    lane.running += 1
                    sender.send(lane, lane.runs.popleft())
                    is_given = True

    def _free_sender(self) -> _Sender | None:
        if not self._idle and len(self._busy) >= _MOST_SENDERS:
            return None
        sender = self._idle.pop() if self._idle else _Sender(self._results)
        self._busy.add(sender)
        return sender

    def _refill(self, lane: _Lane) -> None:
        """Read the next events of this endpoint; release it when nothing is due."""
        self._settle(lane)
        found = [] if lane.is_closed else self._due(lane.endpoint.account_id)
        if not found:
            self._leave(lane)
        elif lane.outlook.failures:  # a probe of a receiver that was down
            lane.runs.append([found[0][:1]])
        else:
            lane.runs.extend(_runs(found))

    def _due(self, account_id: int) -> list[list[Delivery]]:
        """Return chains of events that are due; pass over pages of events that wait for others."""
        now, above = datetime.now(UTC), 0
        blocked = self._outbox.blocked(account_id, now)
        for _ in range(_MOST_PAGES):
            due = self._outbox.due(account_id, now, above=above, most=_AT_ONCE)
            if found := chains(due, blocked):
                return found
            if len(due) < _AT_ONCE:
                break
            above = due[-1].number
        return []

    def _collect(self, seconds: float) -> None:
        """Take in what senders have to tell, and wait for it where there is nothing."""
        with suppress(Empty):
            self._take_in(self._results.get(timeout=seconds))
            while True:
                self._take_in(self._results.get_nowait())

    def _take_in(self, result: _Result) -> None:
        if result.sender not in self._busy:
            return  # it was left behind
        if result.delivery is not None and result.answer is not None:
            self._note(result.lane, result.delivery, result.answer)
            return
        self._busy.discard(result.sender)
        self._idle.append(result.sender)
        result.lane.running -= 1

    def _note(self, lane: _Lane, delivery: Delivery, answer: Answer) -> None:
        """Keep the result of one attempt, and update the state of its endpoint."""
        now, jitter = datetime.now(UTC), random.uniform(0.9, 1.1)  # noqa: S311 - jitter, no secret
        account_id = lane.endpoint.account_id
        if answer.is_success:
            lane.delivered += 1
            lane.attempts.append(Attempt(delivery, answer, now))
            self._failed.pop(account_id, None)
        else:
            lane.failed += 1
            again_at = retry_at(delivery, answer, now, jitter)
            lane.attempts.append(Attempt(delivery, answer, now, again_at))
            self._failed.setdefault(account_id, set()).add(delivery.number)
            if again_at is None:
                structlog.get_logger().warning(
                    Event.EVENT_GIVEN_UP, account=lane.endpoint.account, event_id=delivery.id, error=answer.text
                )
        if lane.outlook.retry_at is None and lane.outlook.paused_because is None:
            self._look_out(lane, answer, now, jitter)

    def _look_out(self, lane: _Lane, answer: Answer, now: datetime, jitter: float) -> None:
        """Update the endpoint's state from the answer; the first answer that closes it decides."""
        account_id = lane.endpoint.account_id
        was_down = lane.outlook.failures > 0
        in_a_row = len(self._failed.get(account_id, ()))
        lane.endpoint = replace(lane.endpoint, failing_since=lane.outlook.failing_since, failures=lane.outlook.failures)
        lane.outlook = outlook(lane.endpoint, answer, now, in_a_row=in_a_row, jitter=jitter)
        log = structlog.get_logger().bind(account=lane.endpoint.account, host=lane.endpoint.host)
        if lane.outlook.paused_because is not None:
            lane.close()
            log.warning(Event.WEBHOOK_PAUSED, error=lane.outlook.paused_because)
        elif lane.outlook.retry_at is not None:
            lane.close()
            if not was_down:
                log.warning(Event.WEBHOOK_DOWN, error=answer.text)
        elif was_down and answer.is_success:
            log.info(Event.WEBHOOK_RECOVERED)

    def _cut_overdue(self) -> None:
        """End what takes longer than ten seconds in all: reads that each are in time would go on for ever."""
        now = time.monotonic()
        for sender in list(self._busy):
            current = sender.current
            if current is None or (late := now - current[2] - WAIT_SECONDS) < 0:
                continue
            sender.cut()
            if late > _GRACE_SECONDS:
                lane, delivery, _ = current
                self._busy.discard(sender)
                sender.end()
                lane.close()
                lane.running -= 1
                self._note(lane, delivery, Answer(None, LATE, seconds=now - current[2]))

    def _tend(self) -> None:
        """Store what came of attempts, keep the claims, and look for more, each from time to time."""
        now = time.monotonic()
        for lane in list(self._lanes.values()):
            if lane.attempts and now - lane.settled > _SETTLE_SECONDS:
                self._settle(lane)
        if now - self._renewed > _RENEW_SECONDS:
            self._renew()
        if self._wanted.is_set() or now - self._looked > _LOOK_SECONDS:
            self._look()

    def _renew(self) -> None:
        """Extend the claims, and close the lanes of endpoints that are not ours any more."""
        self._renewed = time.monotonic()
        ours = {endpoint.account_id: endpoint for endpoint in self._outbox.renew(self._lanes.keys(), datetime.now(UTC))}
        for account_id, lane in self._lanes.items():
            if account_id in ours:
                lane.endpoint = replace(
                    ours[account_id], failing_since=lane.outlook.failing_since, failures=lane.outlook.failures
                )
            else:
                lane.close()

    def _settle(self, lane: _Lane) -> None:
        attempts, lane.attempts = lane.attempts, []
        lane.settled = time.monotonic()
        if attempts:
            self._outbox.settle(lane.endpoint.account_id, attempts, lane.outlook)

    def _leave(self, lane: _Lane) -> None:
        self._outbox.release([lane.endpoint.account_id])
        self._lanes.pop(lane.endpoint.account_id, None)
        self._report(lane)

    def _report(self, lane: _Lane) -> None:
        self._delivered += lane.delivered
        if lane.delivered or lane.failed:
            structlog.get_logger().info(
                Event.WEBHOOK_DELIVERED,
                account=lane.endpoint.account,
                delivered=lane.delivered,
                failed=lane.failed,
                seconds=round(time.monotonic() - lane.began, 3),
            )

    def _wind_up(self) -> None:
        """Let what is being sent end, for a moment; what does not is sent again later."""
        until = time.monotonic() + _FAREWELL_SECONDS
        for lane in self._lanes.values():
            lane.close()
        while self._busy and (left := until - time.monotonic()) > 0:
            self._collect(left)
        for lane in list(self._lanes.values()):
            self._settle(lane)
            self._leave(lane)


def _runs(found: list[list[Delivery]]) -> list[list[list[Delivery]]]:
    """Put chains together into runs of a few events."""
    runs: list[list[list[Delivery]]] = []
    room = 0
    for chain in found:
        if room <= 0:
            runs.append([])
            room = _MOST_OF_RUN
        runs[-1].append(chain)
        room -= len(chain)
    return runs
