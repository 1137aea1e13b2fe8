"""What years of use leave in the database: contacts and stored emails by the million, written in bulk.

None of the contacts is a recipient of the mix, so that filing it is the same work as in an empty database. The
originals of the stored emails are a line each: a benchmark need not fill the disk with 22 GB.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from random import Random
from typing import Any

from sqlalchemy import Connection, Table, text
from sqlmodel import SQLModel

from tests.benchmarks.company import FOUNDED
from worker.domain.outcomes import Outcome
from worker.domain.permissions import Module
from worker.domain.records import PRIMARY
from worker.store.database import Database
from worker.store.inserts import allocate
from worker.store.tables import (
    AssociationRow,
    DecisionRow,
    EmailContentRow,
    EmailOwnerRow,
    EmailRow,
    MailboxRow,
    RecordAddressRow,
    RecordRow,
    UserRow,
    VerdictRow,
)

_PRIME = 10_000_019
"""Scatters the contacts' addresses over their index, as life does."""
_SECONDS_BETWEEN = 20
_AT_ONCE = 50_000

Row = dict[str, Any]


@dataclass(frozen=True)
class _Past:
    account: int
    users: list[int]
    mailbox: int
    records: list[int]
    emails: list[int]
    decisions: list[int]


def remember(database: Database, count: int) -> None:
    """Write ``count`` contacts and as many emails, each with owner, association, decision and verdict."""
    with database.begin() as connection:
        _put_off_checks(connection)
        account = connection.scalar(text("SELECT id FROM account"))
        past = _Past(
            account=int(account or 0),
            users=list(connection.scalars(text(f"SELECT id FROM {UserRow.__tablename__}"))),
            mailbox=allocate(connection, MailboxRow, 1)[0],
            records=allocate(connection, RecordRow, count),
            emails=allocate(connection, EmailRow, count),
            decisions=allocate(connection, DecisionRow, count),
        )
        _write(connection, MailboxRow, [{"id": past.mailbox, "name": "earlier@imap.example/INBOX", "backlog": 0}], 1)
        for row, make in _TABLES.items():
            _write(connection, row, (make(past, place) for place in range(count)), count)
    if database.is_sqlite:
        return  # nothing shows its planner the tables in production either
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def _record(past: _Past, place: int) -> Row:
    scattered = place * 7919 % _PRIME
    address = f"someone{scattered:08d}@elsewhere{scattered % 50_021:05d}.example"
    return {
        "account_id": past.account,
        "id": past.records[place],
        "module": Module.CONTACT.value,
        "last_name": address,
        "first_name": "",
        "email": address,
        "owner_id": past.users[place % len(past.users)],
        "source": "BCC Dropbox",
        "made_for": address,
        "created_at": FOUNDED - timedelta(days=400),
    }


def _address(past: _Past, place: int) -> Row:
    address = _record(past, place)["email"]
    return {
        "account_id": past.account,
        "record_id": past.records[place],
        "position": PRIMARY,
        "address_key": address,
        "address": address,
    }


def _email(past: _Past, place: int) -> Row:
    sent = FOUNDED - timedelta(seconds=_SECONDS_BETWEEN * (len(past.emails) - place))
    digest = Random(place).randbytes(20)
    return {
        "account_id": past.account,
        "id": past.emails[place],
        "fingerprint": int(sent.timestamp()).to_bytes(4, "big") + digest,
        "message_id": _message_id(place),
        "thread_id": _message_id(place - place % 3),
        "subject": f"Earlier mail {place}",
        "sender": "user001@company.example",
        "recipients": [f"someone{place * 7919 % _PRIME:08d}@elsewhere.example"],
        "attachments": [],
        "snippet": "Dear customer, this is one of many earlier mails.",
        "sent_at": sent,
        "arrived_at": sent,
        "stored_at": sent,
        "size": 22_000,
    }


def _content(past: _Past, place: int) -> Row:
    return {"account_id": past.account, "email_id": past.emails[place], "original": b"Subject: earlier mail\r\n\r\n"}


def _owner(past: _Past, place: int) -> Row:
    user = past.users[place % len(past.users)]
    return {"account_id": past.account, "email_id": past.emails[place], "user_id": user}


def _association(past: _Past, place: int) -> Row:
    return {
        "account_id": past.account,
        "email_id": past.emails[place],
        "record_id": past.records[place],
        "created": True,
    }


def _decision(past: _Past, place: int) -> Row:
    decided = FOUNDED - timedelta(seconds=_SECONDS_BETWEEN * (len(past.emails) - place))
    return {
        "id": past.decisions[place],
        "mailbox_id": past.mailbox,
        "uidvalidity": 1,
        "uid": place + 1,
        "outcome": Outcome.ASSOCIATED.value,
        "message_id": _message_id(place),
        "sender": "user001@company.example",
        "subject": f"Earlier mail {place}",
        "recipients": [f"someone{place * 7919 % _PRIME:08d}@elsewhere.example"],
        "size": 22_000,
        "arrived_at": decided,
        "decided_at": decided,
    }


def _verdict(past: _Past, place: int) -> Row:
    return {
        "decision_id": past.decisions[place],
        "ordinal": 0,
        "account_id": past.account,
        "user_id": past.users[place % len(past.users)],
        "outcome": Outcome.ASSOCIATED.value,
        "email_id": past.emails[place],
        "trace": {"route": {"header": "Delivered-To", "token": "abcd…"}, "recipients": []},
    }


def _message_id(place: int) -> str:
    return f"<{place * 104_729 % _PRIME:09d}.earlier@company.example>"


_TABLES: dict[type[SQLModel], Callable[[_Past, int], Row]] = {
    RecordRow: _record,
    RecordAddressRow: _address,
    EmailRow: _email,
    EmailContentRow: _content,
    EmailOwnerRow: _owner,
    AssociationRow: _association,
    DecisionRow: _decision,
    VerdictRow: _verdict,
}


def _put_off_checks(connection: Connection) -> None:
    """Trust the references: checking millions of them takes longer than writing them."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("SET LOCAL statement_timeout = 0"))


def _write(connection: Connection, row: type[SQLModel], rows: Iterator[Row] | list[Row], count: int) -> None:
    """Hand the rows to the driver itself, prepared as the columns' types ask."""
    table: Table = SQLModel.metadata.tables[str(row.__tablename__)]
    sample, rest = _first(iter(rows))
    columns = [table.c[name] for name in sample]
    bind = [column.type.dialect_impl(connection.dialect).bind_processor(connection.dialect) for column in columns]
    prepared = (
        tuple(value if process is None else process(value) for process, value in zip(bind, found.values(), strict=True))
        for found in rest
    )
    names = ", ".join(column.name for column in columns)
    cursor: Any = connection.connection.cursor()
    if connection.dialect.name == "postgresql":
        with cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
            for values in prepared:
                copy.write_row(values)
    else:
        marks = ", ".join("?" * len(columns))
        for _ in range(0, count, _AT_ONCE):
            cursor.executemany(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", islice(prepared, _AT_ONCE))
    cursor.close()


def _first(rows: Iterator[Row]) -> tuple[Row, Iterator[Row]]:
    sample = next(rows)

    def all_of_them() -> Iterator[Row]:
        yield sample
        yield from rows

    return sample, all_of_them()
