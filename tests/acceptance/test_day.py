"""A whole day: 5 users, all patterns, 500 mixed messages; both databases come to the same decisions."""

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.harness.installation import Dropbox
from tests.harness.letters import letter
from worker.domain.outcomes import Folder

USERS = {
    "ana@acme.example": "contacts-or-new-contact",
    "ben@acme.example": "leads-or-new-lead",
    "cleo@acme.example": "contacts-then-leads-or-new-lead",
    "dan@acme.example": "contacts-then-leads-or-new-contact",
    "eve@acme.example": "contacts-then-leads-only",
}
MESSAGES = 500


def test_a_day_of_mail_ends_the_same_on_both_databases(
    dropbox_on: Callable[[str], Dropbox], database_url: str, tmp_path: Path
) -> None:
    sqlite = _the_day(dropbox_on(f"sqlite:///{tmp_path / 'day.db'}"), "sqlite")
    postgresql = _the_day(dropbox_on(database_url), "postgresql")
    for what, found in sqlite.items():
        assert found == postgresql[what], what
    outcomes = Counter(decision[1] for decision in sqlite["decisions"])
    assert outcomes["associated"] > MESSAGES / 2
    assert outcomes["rejected"] > MESSAGES / 20
    assert outcomes["duplicate"] > 0
    assert any(len(decision[-1]) > 1 for decision in sqlite["decisions"]), "no message of two owners"


def _the_day(dropbox: Dropbox, name: str) -> dict[str, list[Any]]:
    """Return the outcome of each message, each email and each record, and the content of each folder."""
    dropbox.settings["imap_user"] = f"{dropbox.mailbox}-{name}"
    addresses = {login: dropbox.add_user(login) for login in USERS}
    for login, pattern in USERS.items():
        dropbox.admin("dropbox", "pattern", login, pattern)
    for number in range(6):
        dropbox.admin("contact", "add", f"contact{number}@client.example")
        dropbox.admin("lead", "add", f"lead{number}@client.example")
    dropbox.admin("never-log", "add", "private.example")
    for raw in _mail(addresses):
        dropbox.deliver(raw)
    counts = dropbox.ok("poll", "--json").json
    assert sum(counts.values()) == MESSAGES
    assert dropbox.folder() == []
    stories = dropbox.ok("explain", "--since", "1d", "--limit", "0", "--json").json
    assert len(stories) == MESSAGES
    emails = dropbox.ok("email", "list", "--limit", "0", "--json").json
    records = [row for noun in ("lead", "contact") for row in dropbox.ok(noun, "list", "--limit", "0", "--json").json]
    return {
        "decisions": sorted(_decision(story) for story in stories),
        "emails": sorted(_email(email) for email in emails),
        "records": sorted((row["email"], row["last_name"], str(row["owner"]), row["source"]) for row in records),
        "folders": [[_subject(raw) for raw in dropbox.folder(folder)] for folder in (None, *Folder)],
    }


def _decision(story: dict[str, Any]) -> tuple[Any, ...]:
    """Return the decision as a whole, and for each owner with each recipient."""
    verdicts = [
        (
            str(verdict["owner"]),
            verdict["outcome"],
            str(verdict["reason"]),
            verdict["unmatched"],
            [(row["address"], row["result"], str(row["module"]), row["why"]) for row in verdict["trace"]["recipients"]],
        )
        for verdict in story["verdicts"]
    ]
    return story["uid"], story["outcome"], story["message_id"], story["folder"], sorted(verdicts)


def _email(email: dict[str, Any]) -> tuple[Any, ...]:
    """The email and its associations."""
    records = [(record["email"], record["module"], record["created"]) for record in email["records"]]
    return email["message_id"], email["owner"], email["subject"], sorted(records)


def _subject(raw: bytes) -> bytes:
    return raw.partition(b"Subject: ")[2].partition(b"\r\n")[0]


def _mail(addresses: dict[str, str]) -> list[bytes]:
    chance = random.Random(23)
    people = [f"{kind}{number}@client.example" for kind in ("contact", "lead", "new") for number in range(12)]
    people += ["dentist@private.example", *USERS]
    logins = list(USERS)
    letters: list[bytes] = []
    while len(letters) < MESSAGES:
        number = len(letters)
        login = chance.choice(logins)
        fields = {"Message_ID": f"<{number}@acme.example>", "subject": f"Mail {number}"}
        to = ", ".join(chance.sample(people, chance.randint(1, 4)))
        kind = chance.random()
        if kind < 0.75:
            letters.append(letter(addresses[login], sender=login, to=to, **fields))
        elif kind < 0.80:
            letters.append(letter(addresses[login], sender="stranger@elsewhere.example", to=to, **fields))
        elif kind < 0.84:
            letters.append(letter("drop+guess@drop.example.com", sender=login, to=to, **fields))
        elif kind < 0.88:
            letters.append(letter(addresses[login], sender=login, to=to, Auto_Submitted="auto-replied", **fields))
        elif kind < 0.92:
            other = chance.choice(logins)
            letters.append(letter(f"{addresses[login]}, {addresses[other]}", sender=login, to=to, **fields))
        elif kind < 0.96 and letters:
            letters.append(chance.choice(letters))
        else:
            letters.append(b"\r\nno head at all\r\n")
    return letters
