"""What the worker removes after its polls, in the mailbox and in the database (R30)."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from tests.harness.installation import Dropbox
from tests.harness.letters import letter
from worker.store.database import Database

JANE = "jane@acme.example"
STRANGER = "drop+zzzzzzzzzzzzzzzzzzzzzzzzzz@drop.example.com"
DAY = 86_400


def execute(dropbox: Dropbox, statement: str) -> list[tuple[object, ...]]:
    database = Database.open(dropbox.database_url)
    with database.begin() as connection:
        done = connection.execute(text(statement), {"then": str(datetime.now(UTC) - timedelta(days=100))[:19]})
        rows = [tuple(row) for row in done] if done.returns_rows else []
    database.close()
    return rows


def deliver_long_ago(dropbox: Dropbox, raw: bytes) -> None:
    dropbox.deliver(raw, arrived=time.time() - 101 * DAY)


def message_ids(dropbox: Dropbox) -> list[object]:
    return [message_id for (message_id,) in execute(dropbox, "SELECT message_id FROM decision ORDER BY id")]


def test_an_old_rejection_goes_from_folder_and_database_and_a_young_one_can_be_replayed(
    dropbox_on: Callable[[str], Dropbox],
    url: str,
) -> None:
    dropbox = dropbox_on(url)
    dropbox.add_user(JANE)
    for message_id in ("<old@x>", "<young@x>"):
        deliver_long_ago(dropbox, letter(STRANGER, Message_ID=message_id))
    assert dropbox.poll() == {"rejected": 2}
    execute(dropbox, "UPDATE decision SET decided_at = :then WHERE message_id = '<old@x>'")
    ran = dropbox.ok("poll", "--json")
    [removed] = [event for event in ran.events if event["event"] == "retention.removed"]
    assert (removed["messages"], removed["decisions"]) == (1, 1)
    assert message_ids(dropbox) == ["<young@x>"]
    [left] = dropbox.folder("Rejected")
    assert b"<young@x>" in left
    assert dropbox.ok("replay", "--rejected", "unknown_token", "--json").json["restored"] == 1
    assert dropbox.poll() == {"rejected": 1}


def test_quarantined_mail_of_an_owner_stays_until_a_person_looks_after_it(dropbox: Dropbox) -> None:
    address = dropbox.add_user(JANE)
    for message_id, to in (("<owned@x>", address), ("<strange@x>", STRANGER)):
        deliver_long_ago(dropbox, letter(to, Message_ID=message_id, Auto_Submitted="auto-replied"))
    assert dropbox.poll() == {"rejected": 2}
    for folder_mail in dropbox.folder("Rejected"):
        dropbox.dovecot.deliver(dropbox.mailbox, folder_mail, "Quarantine", arrived=time.time() - 101 * DAY)
    execute(dropbox, "UPDATE decision SET decided_at = :then, outcome = 'quarantined'")
    execute(dropbox, "UPDATE verdict SET outcome = 'quarantined'")
    dropbox.poll()
    assert message_ids(dropbox) == ["<owned@x>"]
    [left] = dropbox.folder("Quarantine")
    assert b"<owned@x>" in left


def test_old_emails_go_only_where_a_bound_is_set(dropbox: Dropbox) -> None:
    address = dropbox.add_user(JANE)
    deliver_long_ago(dropbox, letter(address))
    assert dropbox.poll() == {"associated": 1}
    execute(dropbox, "UPDATE decision SET decided_at = :then")
    execute(dropbox, "UPDATE email SET stored_at = :then")
    dropbox.poll()
    assert (len(dropbox.folder("Associated")), len(message_ids(dropbox))) == (1, 1)
    dropbox.settings["keep_emails_days"] = "99"
    dropbox.poll()
    assert (dropbox.folder("Associated"), message_ids(dropbox)) == ([], [])
    assert dropbox.admin("email", "list", "--json").json == []
    assert dropbox.admin("contact", "list", "--json").json != []


def test_old_events_go_after_their_days(dropbox: Dropbox) -> None:
    address = dropbox.add_user(JANE)
    dropbox.deliver(letter(address))
    dropbox.poll()
    assert dropbox.admin("event", "list", "--json").json != []
    execute(dropbox, "UPDATE event SET created_at = :then")
    dropbox.settings["keep_events_days"] = "never"
    dropbox.poll()
    assert dropbox.admin("event", "list", "--json").json != []
    dropbox.settings["keep_events_days"] = "30"
    dropbox.poll()
    assert dropbox.admin("event", "list", "--json").json == []
