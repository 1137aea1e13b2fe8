"""A CRM that sends all its contacts each night, while mail arrives (R16, R24, R25)."""

import csv
import io
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import select
from sqlmodel import col

from tests.harness.crm import NOW, Mail, Rows, User, file
from worker.cli.record_files import open_records
from worker.crm.record_import import ImportPlan, import_records
from worker.crm.work import By, Crm
from worker.domain.permissions import Module
from worker.store.database import Database
from worker.store.poll_store import PollStore
from worker.store.tables import AssociationRow, EmailRow, RecordRow

NIGHTS = 10


@dataclass(frozen=True)
class Size:
    records: int
    changes: int
    mails: int


SIZES = [
    pytest.param(Size(1000, 50, 20), id="a thousand"),
    pytest.param(Size(50_000, 500, 200), id="fifty thousand", marks=[pytest.mark.soak, pytest.mark.timeout(0)]),
]


@dataclass
class Company:
    """The CRM's own contacts, by its keys, and the addresses at which each was ever known."""

    random: Random
    emails: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    known_at: dict[str, str] = field(default_factory=dict)
    """By address: the key of the contact that has it, or had it before."""
    strangers: list[str] = field(default_factory=list)
    """Addresses that mail went to before the CRM knew them."""

    def add(self, email: str) -> None:
        key = f"K{len(self.emails) + 1}"
        self.emails[key], self.names[key] = email, f"Name {key}"
        self.known_at[email] = key

    def live_a_day(self, night: int, changes: int) -> None:
        for number, key in enumerate(self.random.sample(sorted(self.emails), changes)):
            if number % 3:
                self.names[key] = f"Name {key} of night {night}"
            else:
                self.emails[key] = f"{key}.{night}@moved.example"
        for stranger in self.strangers:
            self.add(stranger)
        self.strangers.clear()
        self.add(f"new{night}@client.example")

    def remember(self) -> None:
        """The night is over: each contact is known at its address."""
        self.known_at.update({email: key for key, email in self.emails.items()})

    def export(self, path: Path) -> Path:
        text = io.StringIO()
        rows = csv.writer(text)
        rows.writerow(["external_id", "email", "last_name"])
        rows.writerows([key, email, self.names[key]] for key, email in self.emails.items())
        path.write_text(text.getvalue())
        return path


def synchronise(crm: Crm, path: Path) -> Counter[str]:
    counts: Counter[str] = Counter()
    with open_records(path) as records:
        for done in import_records(crm, ImportPlan(Module.CONTACT), records.rows(None), By(None, NOW)):
            assert done.bad == []
            counts.update(done.counts)
    return counts


@pytest.mark.parametrize("size", SIZES)
def test_ten_nights_lose_no_record_make_none_twice_and_file_each_mail_on_the_right_one(
    url: str,
    database: Database,
    store: PollStore,
    open_database: Callable[[str], Database],
    tmp_path: Path,
    size: Size,
) -> None:
    rows, nightly = Rows(database), Crm(open_database(url))
    joe = rows.user(rows.account(), "joe@acme.example")
    company = Company(Random(20261102))
    for number in range(size.records):
        company.add(f"person{number}@client.example")
    assert synchronise(nightly, company.export(tmp_path / "people.csv"))["created"] == size.records
    sent: dict[str, str] = {}
    for night in range(1, NIGHTS + 1):
        company.live_a_day(night, size.changes)
        path = company.export(tmp_path / "people.csv")
        to = company.random.sample(sorted(set(company.known_at) - {f"new{night}@client.example"}), size.mails)
        met = f"stranger{night}@client.example"
        with ThreadPoolExecutor(1) as thread:
            import_ = thread.submit(synchronise, nightly, path)
            for number, address in enumerate([*to, met]):
                sent |= arrive(store, joe, f"<{night}.{number}@mail>", address)
            counts = import_.result()
        assert counts["created"] == 1, "the stranger of the night before has a record already"
        company.remember()
        company.strangers.append(met)
    expected = {message_id: company.known_at.get(address) for message_id, address in sent.items()}
    assert found(database) == expected
    keys = [row["external_id"] for row in rows.rows(RecordRow)]
    assert Counter(keys) == Counter([*company.emails, None])  # the last stranger, whom the CRM does not know yet
    assert {
        row["external_id"]: (row["email"], row["last_name"]) for row in rows.rows(RecordRow) if row["external_id"]
    } == {key: (email, company.names[key]) for key, email in company.emails.items()}


def arrive(store: PollStore, joe: User, message_id: str, address: str) -> dict[str, str]:
    night, number = message_id.strip("<>").split("@")[0].split(".")
    uid = int(night) * 100_000 + int(number) + 1
    file(store, Mail(uid, joe.token, joe.login, [address], message_id=message_id))
    return {message_id: address}


def found(database: Database) -> dict[str, str | None]:
    """Return by Message-ID the key of the one record that the email is on."""
    query = select(col(EmailRow.message_id), col(RecordRow.external_id)).join_from(AssociationRow, EmailRow)
    with database.read() as connection:
        pairs = [(row[0], row[1]) for row in connection.execute(query.join(RecordRow))]
    assert len(pairs) == len({message_id for message_id, _ in pairs})
    return dict(pairs)
