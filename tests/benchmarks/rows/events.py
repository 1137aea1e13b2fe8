"""Events to a receiver on this machine: how fast a backlog goes, and that one that hangs keeps no mail waiting."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from tests.benchmarks.finding import Finding, per_second
from tests.benchmarks.instance import Post, Service
from tests.benchmarks.rows.arrival import from_arrival
from tests.benchmarks.stage import Stage
from tests.events.receiver import SECRET
from worker.domain.events import RecordFacts, record_created
from worker.domain.permissions import Module
from worker.store.database import Database
from worker.store.event_log import write_events
from worker.store.inserts import allocate, insert_rows
from worker.store.tables import AccountRow, WebhookRow

LEAST = 500
_PATIENCE = 900


class _Receiver:
    """The tests' receiver as a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.port = int(self._line())

    def counts(self) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        counts: dict[str, Any] = json.loads(self._line())
        return counts

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@contextmanager
def _receiving(behaviour: str) -> Iterator[_Receiver]:
    command = [sys.executable, "-m", "tests.events.receiver", behaviour]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield _Receiver(process)
    finally:
        process.kill()
        process.communicate()


def _connect(url: str, port: int, events: int = 0) -> None:
    """Give every account this receiver, and the first one a backlog of events."""
    now = datetime.now(UTC)
    database = Database.open(url, statement_seconds=600)
    with database.begin() as connection:
        accounts = list(connection.scalars(select(col(AccountRow.id)).order_by(col(AccountRow.id))))
        for account, number in zip(accounts, allocate(connection, WebhookRow, len(accounts)), strict=True):
            row = {"account_id": account, "id": number, "url": f"http://127.0.0.1:{port}/", "secret": SECRET}
            more = {"state": "active", "pause_told": True, "failures": 0, "created_at": now}
            insert_rows(connection, WebhookRow, [{**row, **more}])
        for first in range(0, events, 10_000):
            records = range(first + 1, min(first + 10_000, events) + 1)
            facts = [RecordFacts(record, Module.CONTACT, f"c{record}@client.example") for record in records]
            happened = [record_created(accounts[0], fact, owner="ana@acme.example", source="bench") for fact in facts]
            write_events(connection, happened, now)
    database.close()


def drain(stage: Stage) -> Finding:
    """Let the running service deliver a backlog of events, each of another record."""
    url, user, events = stage.database("sqlite"), stage.mailbox(), stage.effort.events
    with _receiving("answers") as receiver:
        _connect(url, receiver.port, events)
        stage.settle()
        with Service(Post(stage.dovecot.imap, user, url), {"POLL_SECONDS": "60"}):
            until = time.monotonic() + _PATIENCE
            while (counts := receiver.counts())["events"] < events and time.monotonic() < until:
                time.sleep(0.5)
    stage.remove_mailbox(user)
    stage.remove_database(url)
    rate = counts["events"] / counts["seconds"]
    return Finding(
        row="events",
        what=f"delivering {events:,} events to a receiver that verifies them, sqlite",
        target=f"≥ {LEAST} events/s",
        result=per_second(rate).replace("messages", "events"),
        yardstick="the receiver is a Python process on the same cores",
        passed=counts["events"] == events and not counts["refused"] and rate >= LEAST,
        figures=counts,
    )


def hanging(stage: Stage) -> Finding:
    """Measure the arrival row beside a receiver that takes every request and never answers."""
    url = stage.database("sqlite")
    with _receiving("hangs") as receiver:
        _connect(url, receiver.port)
        return from_arrival(stage, "arrival-hanging", ", the webhook's receiver hangs", url)
