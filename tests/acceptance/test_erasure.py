"""R29 at work in the installed command: afterwards nothing in the raw files names the person."""

from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from tests.harness.installation import Dropbox
from tests.harness.letters import letter
from tests.servers.dovecot import Dovecot, DovecotSettings

JANE = "jane@acme.example"
DORA, DORAS_OTHER = "dora.klein@client.example", "dora@home.example"
CARL = "carl@client.example"
FORWARD = f"""For the file.

---------- Forwarded message ---------
From: Dora <{DORA}>
Date: Tue, 3 Nov 2026 at 10:00
Subject: Re: Our offer
To: <{JANE}>

Agreed.
"""


@pytest.fixture
def dropbox(dropbox_on: Callable[[str], Dropbox], url: str) -> Dropbox:
    """An installation on each kind of database."""
    return dropbox_on(url)


def people_write(dropbox: Dropbox) -> None:
    """File mail with Dora in every place, and mail of Carl alone."""
    address = dropbox.add_user(JANE)
    dropbox.admin("contact", "import", str(contacts(dropbox)))
    encoded = f"=?utf-8?b?{b64encode(DORA.encode()).decode()}?="
    quoted = "=?utf-8?q?" + DORA.replace("@", "=40").replace(".", "=2E") + "?="
    for raw in (
        letter(address, to=DORA),
        letter(address, to=DORA.upper()),
        letter(address, to=f"Carl <{CARL}>, Dora <{DORA}>", subject="Both of you"),
        letter(address, to=CARL, Cc=DORAS_OTHER),
        letter(address, to=f"{encoded} <{DORA}>"),
        letter(address, to=f"{quoted} <{DORA}>"),
        letter(address, to=address, subject="Fwd: Our offer", body=FORWARD),
        letter(address, to=CARL, subject="Carl alone", Message_ID="<alone@acme.example>"),
        letter(address, to=CARL, body=f"Ask {DORA} about it.\n", Message_ID="<mention@acme.example>"),
        letter(address, sender="stranger@elsewhere.example", to=DORA),
        letter(address, sender=f'"{encoded}" <{DORA}>', to=CARL),
        letter(None, sender=DORA, to="drop@drop.example.com"),
    ):
        dropbox.deliver(raw)
    dropbox.poll()
    dropbox.deliver(letter(address, to=DORA, subject="Still in the queue"))


def contacts(dropbox: Dropbox) -> Path:
    file = Path(dropbox.dovecot.mail) / f"{dropbox.mailbox}.csv"
    file.write_text(f"last_name,email,secondary_email\nDora,{DORA},{DORAS_OTHER}\nCarl,{CARL},\n")
    return file


def stored_texts(dropbox: Dropbox) -> bytes:
    """Read all that the database holds: SQLite's files byte for byte, PostgreSQL's rows and statistics."""
    kind, _, place = dropbox.database_url.partition(":///")
    if kind == "sqlite":
        return b"".join(file.read_bytes() for file in Path(place).parent.glob(f"{Path(place).name}*"))
    engine = create_engine(dropbox.database_url)
    with engine.connect() as connection:
        tables = connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars().all()
        tables = [*tables, "pg_stats"]
        rows = [str(row) for table in tables for row in connection.execute(text(f'SELECT * FROM "{table}"'))]
    engine.dispose()
    return "\n".join(rows).encode()


def traces_of(address: str, content: bytes) -> list[bytes]:
    plain = address.encode()
    spellings = [plain, b64encode(plain).rstrip(b"="), plain.replace(b"@", b"=40").replace(b".", b"=2E")]
    lowered = content.lower()
    return [each for each in spellings if each.lower() in lowered]


def in_mailbox(dropbox: Dropbox) -> dict[str, int]:
    folders = {name: dropbox.folder(name) for name in (None, "Associated", "Rejected", "Quarantine")}
    return {
        name or "queue": sum(bool(traces_of(DORA, raw) or traces_of(DORAS_OTHER, raw)) for raw in messages)
        for name, messages in folders.items()
    }


def erase(dropbox: Dropbox, *options: str, address: str = DORA) -> dict[str, Any]:
    found = dropbox.ok("erase", address, "--yes", "--json", *options).json
    assert isinstance(found, dict)
    return found


def test_afterwards_nothing_names_the_person(dropbox: Dropbox) -> None:
    people_write(dropbox)
    plan = dropbox.run("erase", DORA, "--json")
    assert plan.code == 1
    assert plan.err.splitlines()[-1] == "nothing was changed: give --yes to erase all this"
    erased = erase(dropbox, "--no-never-log")
    assert erased["tables"] == plan.json["tables"]
    assert erased["folders"] == plan.json["folders"]
    assert erased["addresses"] == [DORA, DORAS_OTHER]
    assert erased["never_log"] == []
    assert erased["folders"] == {"queue": 1, "Associated": 7, "Rejected": 3}
    assert (erased["tables"]["email"], erased["tables"]["record"]) == (7, 1)
    stored = stored_texts(dropbox)
    assert traces_of(DORA, stored) == []
    assert traces_of(DORAS_OTHER, stored) == []
    left = in_mailbox(dropbox)
    assert left == {"queue": 0, "Associated": 1, "Rejected": 0, "Quarantine": 0}, "only the mail that mentions her"
    kept = {email["message_id"] for email in dropbox.sent_emails("contact", CARL)}
    assert kept == {"<alone@acme.example>", "<mention@acme.example>"}
    again = erase(dropbox, "--no-never-log")
    assert (again["tables"], again["folders"]) == ({}, {})


def test_a_never_log_entry_is_all_that_stays_and_keeps_the_person_away(dropbox: Dropbox) -> None:
    people_write(dropbox)
    assert erase(dropbox)["never_log"] == [DORA, DORAS_OTHER]
    entries = dropbox.admin("never-log", "list", "--json").json
    assert entries == [{"entry": DORA}, {"entry": DORAS_OTHER}]
    for entry in (DORA, DORAS_OTHER):
        dropbox.admin("never-log", "remove", entry)
    assert erase(dropbox, "--no-never-log")["tables"] == {}
    assert traces_of(DORA, stored_texts(dropbox)) == []


def test_shared_emails_stay_where_that_is_asked_for(dropbox: Dropbox) -> None:
    people_write(dropbox)
    erased = erase(dropbox, "--keep-shared")
    assert {email["subject"] for email in erased["shared"]} == {"Both of you", "Our offer"}
    subjects = {email["subject"] for email in dropbox.sent_emails("contact", CARL)}
    assert subjects == {"Both of you", "Our offer", "Carl alone"}
    assert dropbox.run("contact", "show", DORA).code == 1
    assert in_mailbox(dropbox)["Associated"] == 3
    assert erase(dropbox, "--keep-shared")["tables"] == {}


def test_the_log_and_the_events_say_what_was_erased_and_not_whose(dropbox: Dropbox) -> None:
    people_write(dropbox)
    ran = dropbox.ok("erase", DORA, "--yes", log_format="json")
    [line] = [event for event in ran.events if event["event"] == "person.erased"]
    assert (line["emails"], line["records"], line["messages"]) == (7, 1, 11)
    assert "dora" not in str(line)
    types = [event["type"] for event in dropbox.admin("event", "list", "--limit", "0", "--json").json]
    assert types.count("email.erased") == 7
    assert types.count("record.deleted") == 1


def test_a_user_is_refused(dropbox: Dropbox) -> None:
    dropbox.add_user(JANE)
    ran = dropbox.run("erase", JANE, "--yes")
    assert (ran.code, ran.out) == (1, "")
    assert "user remove jane@acme.example" in ran.err


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_user_who_leaves_takes_the_messages_along_and_frees_the_login(dropbox: Dropbox) -> None:
    jane = dropbox.add_user(JANE)
    ben = dropbox.add_user("ben@acme.example")
    dropbox.deliver(letter(jane, to=CARL, subject="Of Jane"))
    dropbox.deliver(letter(ben, sender="ben@acme.example", to=DORA, subject="Of Ben"))
    assert dropbox.poll() == {"associated": 2}
    removed = dropbox.ok("user", "remove", "ben@acme.example", "--erase", "--json").json
    assert removed["folders"] == {"Associated": 1}
    assert (removed["tables"]["email"], removed["tables"]["record"]) == (1, 1)
    assert in_mailbox(dropbox)["Associated"] == 0
    assert [user["user"] for user in dropbox.admin("user", "list", "--json").json] == [JANE]
    assert dropbox.add_user("ben@acme.example") != ben
    dropbox.deliver(letter(ben, sender="ben@acme.example", to=DORA))
    assert dropbox.poll() == {"rejected": 1}
    [decided] = dropbox.admin("explain", "--to", DORA, "--json").json
    assert decided["reason"] == "revoked_token"


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_server_without_uidplus_removes_the_messages_too(
    dovecot_with: Callable[[DovecotSettings], Dovecot], mailbox_user: str, url: str
) -> None:
    server = dovecot_with(DovecotSettings(without=frozenset({"UIDPLUS", "MOVE"})))
    dropbox = Dropbox(server, mailbox_user, url)
    dropbox.deliver(letter(dropbox.add_user(JANE), to=DORA))
    assert dropbox.poll() == {"associated": 1}
    assert erase(dropbox)["folders"] == {"Associated": 1}
    assert in_mailbox(dropbox)["Associated"] == 0
