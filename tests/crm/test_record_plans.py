"""The databases find records by an index, whatever is asked: nothing grows with what is stored (R16, R24)."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from tests.crm.conftest import CARL, JANE
from tests.harness.crm import NOW, look
from worker.crm import emails, record_life, record_lists
from worker.crm.emails import EmailFilter
from worker.crm.record_import import ImportPlan, Key, import_records
from worker.crm.record_lists import RecordFilter
from worker.crm.work import By, Crm
from worker.domain.addresses import Address
from worker.domain.permissions import Module
from worker.domain.records import RecordChange, Wanted
from worker.store.poll_store import PollStore

BY = By(None, NOW)
CONTACT = Module.CONTACT
OF_RECORDS = ("record", "record_address", "association", "unmatched", "email", "former_record")
_READS_ALL = re.compile(rf"\b(?:SCAN|Seq Scan on) (?:{'|'.join(OF_RECORDS)})(?:_\d+)?\b")

Asked = tuple[str, Any]


@contextmanager
def asked_of(crm: Crm) -> Iterator[list[Asked]]:
    """Note the statements that read, with their parameters."""
    found: list[Asked] = []

    def note(_connection: Connection, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE", "WITH")) and not isinstance(parameters, list):
            found.append((statement, parameters))

    event.listen(crm.database.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(crm.database.engine, "before_cursor_execute", note)


def plan_of(crm: Crm, asked: Asked) -> str:
    """Explain a statement; PostgreSQL reads a whole table here only where it has no other way."""
    statement, parameters = asked
    explain = "EXPLAIN QUERY PLAN " if crm.database.is_sqlite else "EXPLAIN "
    with crm.database.begin() as connection:
        if not crm.database.is_sqlite:
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        rows = connection.exec_driver_sql(explain + statement, parameters)
        return "\n".join(str(row[-1]) for row in rows)


ASKED: dict[str, Callable[[Crm], object]] = {
    "list": lambda crm: record_lists.list_records(crm, RecordFilter(CONTACT), limit=5),
    "list --email": lambda crm: record_lists.list_records(crm, RecordFilter(CONTACT, CARL), limit=5),
    "list --owner": lambda crm: record_lists.list_records(crm, RecordFilter(CONTACT, owner=JANE), limit=5),
    "show ADDRESS": lambda crm: record_lists.show_record(crm, CONTACT, CARL),
    "show external:KEY": lambda crm: record_lists.show_record(crm, CONTACT, "external:K1"),
    "edit": lambda crm: record_life.edit_record(crm, CONTACT, CARL, RecordChange(last_name="C"), BY),
    "import by key": lambda crm: imported(crm, ImportPlan(CONTACT)),
    "import by email": lambda crm: imported(crm, ImportPlan(CONTACT, Key.EMAIL)),
    "merge": lambda crm: record_life.merge_records(crm, CONTACT, "d@client.example", BY, into=CARL),
    "delete": lambda crm: record_life.delete_record(crm, CONTACT, CARL, BY),
    "email list --contact": lambda crm: emails.list_emails(crm, EmailFilter(CONTACT, CARL), limit=5),
    "unmatched list": lambda crm: emails.list_unmatched(crm, limit=5),
    "a mail": lambda crm: look(PollStore(crm.database), {1: Wanted(frozenset({CARL}), frozenset())}),
}


def imported(crm: Crm, plan: ImportPlan) -> object:
    row = RecordChange(external_id="K1", email=Address.parse(CARL), last_name=plan.key or "C", line=2)
    return list(import_records(crm, plan, [row], BY))


def test_a_plan_that_reads_the_whole_table_is_told_from_the_others(crm: Crm, jane: str) -> None:
    by_name = "SELECT id FROM record WHERE last_name = 'C'", ()
    assert _READS_ALL.search(plan_of(crm, by_name))


@pytest.mark.parametrize("asked", ASKED)
def test_a_record_is_found_by_an_index(crm: Crm, jane: str, asked: str) -> None:
    change = RecordChange(external_id="K1", email=Address.parse(CARL))
    record_life.add_record(crm, CONTACT, change, BY)
    record_life.add_record(crm, CONTACT, RecordChange(email=Address.parse("d@client.example")), BY)
    with asked_of(crm) as found:
        ASKED[asked](crm)
    assert found
    for statement in found:
        plan = plan_of(crm, statement)
        assert not _READS_ALL.search(plan), f"{statement[0]}\n{plan}"
