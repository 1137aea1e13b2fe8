"""A whole day: 5 users, all patterns, 500 mixed messages; both databases come to the same decisions."""

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.acceptance.dropbox import Dropbox
from tests.acceptance.letters import letter

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
    assert sqlite == postgresql
    outcomes = Counter(outcome for outcome, *_ in sqlite.values())
    assert outcomes["associated"] > MESSAGES / 2
    assert outcomes["rejected"] > MESSAGES / 20
    assert outcomes["duplicate"] > 0


def _the_day(dropbox: Dropbox, name: str) -> dict[str, tuple[str, str | None, str | None, str]]:
    """By Message-ID and turn: outcome, reason, owner, and each recipient's result."""
    dropbox.mailbox = f"{dropbox.mailbox}-{name}"
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
    return {f"{story['uid']} {story['message_id']}": _essence(story) for story in stories}


def _essence(story: dict[str, object]) -> tuple[str, str | None, str | None, str]:
    trace = story["trace"]
    assert isinstance(trace, dict)
    recipients = [(row["address"], row["result"], row["module"]) for row in trace["recipients"]]
    return str(story["outcome"]), story["reason"], story["owner"], json.dumps(recipients)  # type: ignore[return-value]


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
