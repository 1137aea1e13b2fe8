"""Migrations: they create what `tables.py` describes, once, even if several workers start at the same time."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.command import upgrade
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from tests.harness.crm import NOW, Mail, Rows, file, look
from tests.servers.postgres import Postgres
from worker.cli.reasons import sentence
from worker.domain.errors import Refused
from worker.domain.outcomes import Code
from worker.domain.records import Wanted
from worker.domain.verdicts import Trace
from worker.store import schema
from worker.store.database import Database
from worker.store.inserts import NUMBERED, allocate
from worker.store.poll_store import PollStore
from worker.store.tables import AssociationRow, EmailRow, RecordRow, UserRow, VerdictRow
from worker.store.traces import read_trace, stored_trace

MIGRATE = "import sys; from worker.store.schema import *; migrate(Database.open(sys.argv[1]))"


def differences(database: Database) -> list[object]:
    """Between what is there and what `tables.py` describes."""
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        found: list[object] = compare_metadata(context, schema.metadata_of(connection))  # type: ignore[arg-type]
        return found


def test_the_migrations_make_what_the_tables_describe(database: Database) -> None:
    assert differences(database) == []


def test_the_head_named_in_code_is_the_head_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.HEAD


EARLIER_ROWS = (
    "INSERT INTO account (id, name, name_key, created_at) VALUES (1, 'Acme', 'acme', :now)",
    (
        "INSERT INTO profile (account_id, id, name, name_key, bcc_dropbox, leads, contacts, manage_profiles)"
        " VALUES (1, 1, 'Standard', 'standard', TRUE, TRUE, TRUE, FALSE)"
    ),
    (
        "INSERT INTO dropbox_user (account_id, id, login, login_key, profile_id, pattern, enabled, created_at)"
        " VALUES (1, 1, 'joe@acme.example', 'joe@acme.example', 1, 'contacts-then-leads-or-new-contact', TRUE, :now)"
    ),
    (
        "INSERT INTO sender (account_id, user_id, slot, address, address_key, proven_at, code_tries)"
        " VALUES (1, 1, 1, 'joe@acme.example', 'joe@acme.example', :now, 0)"
    ),
    "INSERT INTO token (token, account_id, user_id, issued_at) VALUES ('token', 1, 1, :now)",
    # Made by mail; its email edited since; with a secondary email; with none.
    *(
        "INSERT INTO record (account_id, id, module, last_name, first_name, email, email_key, secondary_email,"
        " secondary_email_key, owner_id, source, made_for, created_at)"
        f" VALUES (1, {number}, 'contact', 'Name {number}', '', {email}, {email}, {secondary}, {secondary}, 1, '',"
        f" {made_for}, :now)"
        for number, (email, secondary, made_for) in enumerate(
            [
                ("'jane@client.example'", "NULL", "'jane@client.example'"),
                ("'k@new.example'", "NULL", "'kim@client.example'"),
                ("'lea@client.example'", "'lea@home.example'", "NULL"),
                ("NULL", "NULL", "NULL"),
            ],
            101,
        )
    ),
    (
        "INSERT INTO email (account_id, id, fingerprint, message_id, thread_id, subject, sender, recipients,"
        " attachments, snippet, arrived_at, stored_at, size)"
        " VALUES (1, 1001, :digest, '<1@x>', '', '', '', '[]', '[]', '', :now, :now, 9)"
    ),
    "INSERT INTO association (account_id, email_id, record_id, created) VALUES (1, 1001, 101, TRUE)",
)
MATCHES = {
    "jane@client.example": 101,
    "k@new.example": 102,
    "kim@client.example": 102,
    "lea@client.example": 103,
    "lea@home.example": 103,
}


@pytest.mark.parametrize("earlier", ["0001", "0002", "0003", "0004"])
def test_a_database_of_an_earlier_release_keeps_what_it_holds_and_becomes_as_a_new_one(
    empty_url: str, open_database: Callable[[str], Database], earlier: str
) -> None:
    database = open_database(empty_url)
    with database.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(schema.MIGRATIONS))
        upgrade(config, earlier)
        for row in EARLIER_ROWS:
            connection.execute(
                text(row), {"now": str(NOW), "digest": b"digest"} if ":digest" in row else {"now": str(NOW)}
            )
    assert differences(database) != []
    schema.migrate(database)
    assert differences(database) == []
    crm = Rows(database)
    assert [row["login"] for row in crm.rows(UserRow)] == ["joe@acme.example"]
    found = look(PollStore(database), {1: Wanted(frozenset(MATCHES), frozenset())})[1]
    assert {address: [record.id for record in records] for address, records in found.records.items()} == {
        address: [number] for address, number in MATCHES.items()
    }
    assert [(row["record_id"], row["created"]) for row in crm.rows(AssociationRow)] == [(101, True)]
    file(PollStore(database), Mail(2, "token", "joe@acme.example", [*MATCHES, "new@client.example"]))
    assert [crm.count(row) for row in (RecordRow, AssociationRow)] == [5, 1 + 3 + 1]


def told(why: str, result: str = "skipped", **more: object) -> dict[str, object]:
    return {"address": "x@y.example", "result": result, "why": why, "module": None, "record": None, **more}


OLD_TRACES: list[tuple[str, str | None, dict[str, object]]] = [
    (
        "associated",
        None,
        {
            "route": {"header": "Delivered-To", "token": "k7m2…"},
            "sender": {
                "address": "joe@acme.example",
                "check": "registered",
                "authentication": "DKIM passes for acme.example",
            },
            "recipients": [
                told("nobody among contacts or leads: new contact", "created", module="contact", record=101),
                told("the owner's own lead with this address", "matched", module="lead", record=102),
                told("the oldest contact with this address", "matched", module="contact", record=103),
                told("contact made by an earlier message of the same poll", "matched", module="contact", record=104),
                told("nobody among contacts, and the pattern or permissions make none", "unmatched"),
                *(told(why) for why in ("a dropbox address", "the owner's own address", "on the never-log list")),
                told("y.example is on the never-log list"),
                told("a colleague: never made a record, and none exists"),
                told("beyond the first 50 recipients"),
                told("beyond the first 50 recipients", address="800 more"),
                told("cannot be read whole: stray >; space within an address"),
            ],
            "note": None,
        },
    ),
    ("rejected", "sender_ambiguous", {"sender": {"check": "stray >; text after the address"}}),
    ("rejected", "sender_ambiguous", {"sender": {"check": "2 From fields"}}),
    ("rejected", "sender_missing", {"sender": {"check": "no mailbox in From; empty angle brackets"}}),
    ("rejected", "sender_unauthenticated", {"sender": {"check": "registered", "authentication": "DMARC fails"}}),
    ("rejected", "sender_unauthenticated", {"sender": {"authentication": "DMARC has several results"}}),
    ("rejected", "sender_not_registered", {"sender": {"check": "registered, not proven yet"}}),
    ("rejected", "attachments_too_large", {"note": "attachments of 11534336 octets, the limit is 10485760"}),
    ("rejected", "automatic", {"note": "Auto-Submitted: auto-replied"}),
    ("quarantined", None, {"note": "KeyError: x (html.py:3)"}),
    ("rejected", "no_recipients", {"sender": {"authentication": "a sentence of long ago"}}),
]
SENTENCES = [
    "registered",
    "DKIM passes for acme.example",
    "nobody among contacts or leads: new contact",
    "the owner's own lead with this address",
    "the oldest contact with this address",
    "contact made by an earlier message of the same poll",
    "nobody among contacts, and the pattern or permissions make none",
    "a dropbox address",
    "the owner's own address",
    "on the never-log list",
    "y.example is on the never-log list",
    "a colleague: never made a record, and none exists",
    "beyond the first 50 recipients",
    "800 more beyond the first 50 recipients",
    "cannot be read whole: stray >; space within an address",
    "From is not written plainly: stray >; text after the address",
    "2 From fields",
    "no mailbox in From: empty angle brackets",
    "registered",
    "DMARC fails",
    "our server's Authentication-Results fields disagree about dmarc",
    "registered, not proven yet",
    "attachments of 11534336 bytes, the limit is 10485760",
    "auto-submitted: auto-replied",
    "KeyError: x (html.py:3)",
    "a sentence of long ago",
]


def said(trace: Trace) -> Iterator[str]:
    parts = (trace.sender_check, trace.authentication, *(each.why for each in trace.recipients), trace.note)
    yield from (sentence(part) for part in parts if part)


def test_the_traces_of_an_earlier_release_are_read_as_codes(
    empty_url: str, open_database: Callable[[str], Database]
) -> None:
    database = open_database(empty_url)
    with database.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(schema.MIGRATIONS))
        upgrade(config, "0007")
        rows = (row for row in EARLIER_ROWS if "INTO record" not in row and "INTO association" not in row)
        mailbox = "INSERT INTO mailbox (id, name, backlog) VALUES (1, 'drop@mx.example/INBOX', 0)"
        for row in (*rows, mailbox):
            connection.execute(text(row), {"now": str(NOW), "digest": b"digest"} if "digest" in row else {"now": NOW})
        for number, (outcome, reason, trace) in enumerate(OLD_TRACES, 1):
            values = {"id": number, "outcome": outcome, "now": str(NOW), "reason": reason, "trace": json.dumps(trace)}
            email = "1001" if outcome == "associated" else "NULL"
            decision = (
                "INSERT INTO decision (id, mailbox_id, uidvalidity, uid, outcome, message_id, sender, subject,"
                " recipients, size, arrived_at, decided_at)"
                " VALUES (:id, 1, 1, :id, :outcome, '', '', '', '[]', 1, :now, :now)"
            )
            verdict = (
                "INSERT INTO verdict (decision_id, ordinal, account_id, user_id, outcome, reason, email_id, trace)"
                f" VALUES (:id, 0, 1, 1, :outcome, :reason, {email}, :trace)"
            )
            for row in (decision, verdict):
                connection.execute(text(row), values)
    schema.migrate(database)
    crm = Rows(database)
    stored = [row["trace"] for row in sorted(crm.rows(VerdictRow), key=lambda row: row["decision_id"])]
    traces = [read_trace(each) for each in stored]
    assert [line for trace in traces for line in said(trace)] == SENTENCES
    codes = [part.code for trace in traces for part in (trace.note, trace.authentication) if part]
    assert codes.count(Code.TEXT) == 1, "only of the sentence that nobody knows"
    assert [row["verified"] for row in crm.rows(EmailRow)] == [True]
    assert read_trace(json.loads(json.dumps(stored_trace(traces[0], {})))) == traces[0], "written and read alike"


def test_processes_that_migrate_at_once_do_it_once(empty_url: str, open_database: Callable[[str], Database]) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", MIGRATE, empty_url]) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    with open_database(empty_url).read() as connection:
        assert schema.revision_of(connection) == schema.HEAD


def test_a_database_newer_than_the_program_is_refused(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Refused, match="9999, newer than this program"):
        schema.migrate(database)


def test_a_migrated_database_needs_no_alembic_to_start(url: str) -> None:
    script = MIGRATE + "; assert 'alembic' not in sys.modules"
    subprocess.run([sys.executable, "-c", script, url], check=True)


def test_numbers_are_handed_out_once(database: Database) -> None:
    with database.begin() as connection:
        first = allocate(connection, RecordRow, 3)
        second = allocate(connection, RecordRow, 2)
        assert allocate(connection, RecordRow, 0) == []
        assert allocate(connection, EmailRow, 1) == [1]
    assert len({*first, *second}) == 5
    assert first + second == sorted(first + second)


def test_every_number_that_is_handed_out_has_its_sequence_on_a_server(
    postgres: Postgres, migrated_template: str, open_database: Callable[[str], Database]
) -> None:
    with open_database(postgres.url(migrated_template)).read() as connection:
        known = inspect(connection).get_sequence_names()
    assert set(known) == {f"{name}_id" for name in NUMBERED}


def test_an_original_is_stored_as_it_came_because_compressing_it_costs_more(
    postgres: Postgres, migrated_template: str, open_database: Callable[[str], Database]
) -> None:
    query = "SELECT attstorage FROM pg_attribute WHERE attrelid = 'email_content'::regclass AND attname = 'original'"
    with open_database(postgres.url(migrated_template)).read() as connection:
        assert connection.scalar(text(query)) in {"e", b"e"}
