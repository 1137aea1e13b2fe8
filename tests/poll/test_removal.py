"""Which messages of a mailbox go with a person (R29)."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.harness.crm import NOW, RULES
from tests.harness.letters import letter
from worker.domain.erasure import Person, WantedMail
from worker.domain.messages import Arrival
from worker.domain.outcomes import Decided, Folder, Outcome
from worker.poll.own_folders import MailboxCopies

DORA, CARL = "dora@client.example", "carl@client.example"
OURS, THEIRS, UNKNOWN = f"{1:026}", f"{2:026}", f"{3:026}"
ACCOUNTS = {OURS: frozenset({1}), THEIRS: frozenset({2})}


@dataclass
class Folders:
    """A mailbox in memory."""

    messages_in: dict[Folder | None, list[Arrival]] = field(default_factory=dict)

    def messages(self, folder: Folder | None) -> Iterator[Arrival]:
        yield from self.messages_in.get(folder, [])

    def remove(self, uids: list[int], folder: Folder | None) -> None:
        kept = [arrival for arrival in self.messages_in[folder] if arrival.uid not in uids]
        self.messages_in[folder] = kept


def mail(token: str | None = OURS, to: str = CARL, **fields: str) -> Arrival:
    raw = letter(f"drop+{token}@drop.example" if token else None, to=to, **fields)
    return Arrival(1, NOW, len(raw), raw.partition(b"\r\n\r\n")[0])


def removed(arrival: Arrival, *decided: Decided, kept: str = "", folder: Folder | None = Folder.ASSOCIATED) -> bool:
    """Tell whether the message goes."""
    folders = Folders({folder: [arrival]})
    copies = MailboxCopies(folders, RULES, 1, lambda token: ACCOUNTS.get(token, frozenset()))
    wanted = WantedMail(Person(frozenset({DORA})), decided, frozenset({kept} - {""}))
    counted = copies.count(wanted)
    assert folders.messages_in[folder] == [arrival]
    assert copies.remove(wanted) == counted
    return folders.messages_in[folder] == []


@pytest.mark.parametrize(
    "fields",
    [{"to": DORA}, {"Cc": f"Dora <{DORA}>"}, {"sender": DORA.upper()}, {"Reply_To": DORA}, {"Bcc": DORA}],
)
@pytest.mark.parametrize("folder", [None, *Folder])
def test_mail_with_the_person_in_an_address_field_goes(fields: dict[str, str], folder: Folder | None) -> None:
    assert removed(mail(**fields), folder=folder)


def test_mail_of_others_stays() -> None:
    assert not removed(mail())
    assert not removed(mail(to=f"pan{DORA}"))
    assert not removed(mail(subject=f"Ask {DORA}"))


@pytest.mark.parametrize(("token", "goes"), [(OURS, True), (UNKNOWN, True), (None, True), (THEIRS, False)])
def test_mail_through_the_dropbox_of_another_account_stays(token: str | None, goes: bool) -> None:
    assert removed(mail(token, to=DORA)) is goes


def test_the_message_of_a_decision_goes_by_its_message_id_and_size() -> None:
    forward = mail(Message_ID="<forward@acme.example>")
    decided = Decided(7, Outcome.ASSOCIATED, (), True, "<forward@acme.example>", forward.size, NOW)
    assert removed(forward, decided)
    assert not removed(mail(Message_ID="<forward@acme.example>", X_More="another size"), decided)


def test_a_message_of_an_email_that_stays_stays() -> None:
    assert not removed(mail(to=DORA, Message_ID="<both@acme.example>"), kept="<both@acme.example>")
