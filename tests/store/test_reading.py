"""The views for reading are a promise: a column's name or type that changes fails here (R27)."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import zstandard
from sqlalchemy import inspect, text
from sqlalchemy.exc import ProgrammingError

from tests.harness.crm import NOW, Mail, Rows, User, file
from tests.servers.postgres import Postgres
from worker.domain.permissions import SearchPattern
from worker.store.database import Database
from worker.store.poll_store import PollStore
from worker.store.schema import VIEWS

DOCUMENT = (Path(__file__).parents[2] / "config" / "reading.md").read_text()
ID, TEXT, ARRAY, FLAG, TIME, OCTETS = ("bigint", "text", "json", "boolean", "timestamp with time zone", "bytea")
PROMISE = {
    "v1_record": {
        "account_id": ID,
        "account": TEXT,
        "record_id": ID,
        "module": TEXT,
        "external_id": TEXT,
        "email": TEXT,
        "addresses": ARRAY,
        "last_name": TEXT,
        "first_name": TEXT,
        "owner": TEXT,
        "source": TEXT,
        "created_at": TIME,
        "changed_at": TIME,
    },
    "v1_email": {
        "account_id": ID,
        "account": TEXT,
        "email_id": ID,
        "message_id": TEXT,
        "thread_id": TEXT,
        "subject": TEXT,
        "sender": TEXT,
        "recipients": ARRAY,
        "attachments": ARRAY,
        "snippet": TEXT,
        "sent_at": TIME,
        "arrived_at": TIME,
        "stored_at": TIME,
        "size": ID,
        "verified": FLAG,
        "owners": ARRAY,
    },
    "v1_record_email": {
        "account_id": ID,
        "record_id": ID,
        "email_id": ID,
        "list": TEXT,
        "created": FLAG,
        "claimed": FLAG,
    },
    "v1_original": {"account_id": ID, "email_id": ID, "encoding": TEXT, "original": OCTETS},
    "v1_unmatched": {"account_id": ID, "email_id": ID, "address": TEXT, "list": TEXT, "claimed": FLAG},
}
ON_SQLITE = {ID: int, TEXT: str, ARRAY: str, FLAG: int, TIME: str, OCTETS: bytes}


@pytest.fixture
def joe(crm: Rows) -> User:
    return crm.user(crm.account(), "joe@acme.example")


def rows(database: Database, query: str, **parameters: Any) -> list[dict[str, Any]]:
    with database.read() as connection:
        return [dict(row) for row in connection.execute(text(query), parameters).mappings()]


def from_json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def test_the_views_have_the_promised_columns_of_the_promised_types(
    database: Database, crm: Rows, store: PollStore, joe: User
) -> None:
    eve = crm.user(joe.account_id, "eve@acme.example", SearchPattern.CONTACTS_THEN_LEADS_ONLY)
    crm.record(joe.account_id, "k@client.example", external_id="K", owner_id=joe.id, changed_at=NOW)
    file(store, Mail(1, joe.token, joe.login, ["k@client.example"]), Mail(2, eve.token, eve.login))
    assert sorted(VIEWS) == sorted(PROMISE)
    for view, columns in PROMISE.items():
        if database.is_sqlite:
            (row, *_) = rows(database, f"SELECT * FROM {view}")
            assert list(row) == list(columns)
            assert {name: type(value) for name, value in row.items()} == {
                name: ON_SQLITE[kind] for name, kind in columns.items()
            }, view
        else:
            query = (
                "SELECT column_name AS name, data_type AS type FROM information_schema.columns"
                " WHERE table_name = :view ORDER BY ordinal_position"
            )
            assert {row["name"]: row["type"] for row in rows(database, query, view=view)} == columns, view


def test_each_column_is_documented_in_its_place() -> None:
    documented = {
        view: re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
        for view, section in re.findall(r"^## (v1_\w+)\n(.*?)(?=^## |\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    }
    assert documented == {view: list(columns) for view, columns in PROMISE.items()}


def test_the_documented_questions_are_answered(database: Database, crm: Rows, store: PollStore, joe: User) -> None:
    crm.record(joe.account_id, "k@client.example", external_id="K-17")
    file(store, *(Mail(uid, joe.token, joe.login, ["k@client.example"], body=b"%d" % uid) for uid in (1, 2, 3)))
    of_contact, original = re.findall(r"```sql\n(SELECT.*?)```", DOCUMENT, re.DOTALL)
    found = rows(database, of_contact, account_id=joe.account_id, key="K-17")
    assert [(row["email_id"], row["list"]) for row in found] == [(n, "Sent Emails from CRM") for n in (3, 2, 1)]
    assert from_json(found[0]["owners"]) == ["joe@acme.example"]
    assert from_json(found[0]["recipients"]) == ["k@client.example"]
    [row] = rows(database, original, account_id=joe.account_id, email_id=found[0]["email_id"])
    assert (row["encoding"], bytes(row["original"])) == ("plain", b"3")


def test_a_compressed_original_comes_out_byte_for_byte(
    database: Database, crm: Rows, store: PollStore, joe: User
) -> None:
    long = b"Subject: long\r\n\r\n" + b"many words " * 1000
    file(store, Mail(1, joe.token, joe.login, body=long))
    [row] = rows(database, "SELECT * FROM v1_original")
    assert row["encoding"] == "zstd"
    assert zstandard.ZstdDecompressor().decompress(bytes(row["original"])) == long


def test_a_record_shows_all_its_addresses(database: Database, crm: Rows, joe: User) -> None:
    crm.record(joe.account_id, "k@client.example", addresses=["k@home.example"])
    [record] = rows(database, "SELECT * FROM v1_record")
    assert from_json(record["addresses"]) == ["k@client.example", "k@home.example"]


def test_the_documented_role_reads_the_views_and_nothing_else(postgres: Postgres, migrated_template: str) -> None:
    name = postgres.create_database(template=migrated_template)
    [grants] = re.findall(r"```sql\n(CREATE ROLE.*?)```", DOCUMENT, re.DOTALL)
    owner = Database.open(postgres.url(name))
    with owner.begin() as connection:
        connection.exec_driver_sql(grants)
    with owner.engine.connect() as connection:
        connection.exec_driver_sql("SET ROLE crm_reader")
        for view in VIEWS:
            connection.exec_driver_sql(f"SELECT * FROM {view}")
        for forbidden in ("SELECT * FROM email", "SELECT secret FROM webhook", "DELETE FROM v1_record_email"):
            with pytest.raises(ProgrammingError, match="permission denied"), connection.begin_nested():
                connection.exec_driver_sql(forbidden)
        connection.rollback()
        connection.exec_driver_sql("RESET ROLE")
        connection.exec_driver_sql("DROP OWNED BY crm_reader")
        connection.exec_driver_sql("DROP ROLE crm_reader")
        connection.commit()
    owner.close()
    postgres.drop_database(name)


def test_views_are_no_tables_of_the_schema(database: Database) -> None:
    with database.read() as connection:
        assert set(inspect(connection).get_view_names()) == set(VIEWS)
