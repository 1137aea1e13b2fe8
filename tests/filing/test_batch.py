"""R6, R17, R19: several owners, several copies, several messages at once."""

from dataclasses import replace

import pytest

from tests.domain.made import FORGED_TOKEN, JANES_TOKEN, JOHNS_TOKEN, NOW, issued, owner
from tests.filing.made import World, raw_mail
from worker.domain.addresses import Address
from worker.domain.outcomes import Folder, Outcome, Reason
from worker.domain.permissions import Module, SearchPattern
from worker.domain.records import AccountView, NewRecord, Record, StoredEmail
from worker.domain.text import masked
from worker.filing import wanted
from worker.mime import read_content

JANE = owner(1)
JOHN = owner(2, senders=("john@sales.example", "jane@sales.example"))
STRANGER = owner(3, account=2, senders=("jane@sales.example",))
BOB = Record(5, Module.CONTACT, None, NOW)
BOTH = World(issued((JANES_TOKEN, JANE), (JOHNS_TOKEN, JOHN)), {1: AccountView(records={"bob@client.example": (BOB,)})})


def test_a_mail_with_two_tokens_is_decided_for_each_owner_and_stored_once() -> None:
    # R6, R19
    (filing,) = BOTH.file(raw_mail(JANES_TOKEN, JOHNS_TOKEN))
    first, second = filing.verdicts
    assert (first.owner, second.owner) == (JANE, JOHN)
    assert (first.outcome, second.outcome) == (Outcome.ASSOCIATED, Outcome.ASSOCIATED)
    assert first.email == second.email
    assert [found.record for found in first.associations] == [BOB]
    assert second.associations == ()


def test_it_is_associated_if_any_owner_ends_so() -> None:
    world = World(issued((JANES_TOKEN, JANE), (JOHNS_TOKEN, replace(JOHN, enabled=False))))
    (filing,) = world.file(raw_mail(JOHNS_TOKEN, JANES_TOKEN, FORGED_TOKEN))
    assert {verdict.outcome for verdict in filing.verdicts} == {Outcome.ASSOCIATED, Outcome.REJECTED}
    assert filing.folder is Folder.ASSOCIATED


def test_no_owner_learns_of_another() -> None:
    # R6
    of_jane, of_john = BOTH.file(raw_mail(JANES_TOKEN, JOHNS_TOKEN))[0].verdicts
    assert (of_jane.trace.token, of_john.trace.token) == (masked(JANES_TOKEN), masked(JOHNS_TOKEN))
    for verdict, other, token in ((of_jane, JOHN, JOHNS_TOKEN), (of_john, JANE, JANES_TOKEN)):
        assert other.login not in repr(verdict.trace)
        assert masked(token) not in repr(verdict.trace)


def test_owners_of_two_accounts_share_nothing() -> None:
    world = World(issued((JANES_TOKEN, JANE), (JOHNS_TOKEN, STRANGER)), BOTH.views)
    first, second = world.file(raw_mail(JANES_TOKEN, JOHNS_TOKEN))[0].verdicts
    assert first.email != second.email
    assert first.associations[0].record is BOB
    assert isinstance(second.associations[0].record, NewRecord)


def test_a_second_copy_in_the_same_poll_is_a_duplicate() -> None:
    # R19
    first, second = BOTH.file(raw_mail(), raw_mail())
    assert first.deciding.outcome is Outcome.ASSOCIATED
    assert second.deciding.outcome is Outcome.DUPLICATE
    assert second.deciding.email == first.deciding.email
    assert second.folder is Folder.ASSOCIATED


def test_a_copy_that_is_stored_already_is_a_duplicate_for_its_owner() -> None:
    stored = StoredEmail(9, owners=frozenset({1}), records=frozenset({5}))
    view = AccountView(records={"bob@client.example": (BOB,)}, emails={read_content(raw_mail()).fingerprint: stored})
    verdict = World(issued((JANES_TOKEN, JANE)), {1: view}).verdict(raw_mail())
    assert (verdict.outcome, verdict.email) == (Outcome.DUPLICATE, stored)


@pytest.mark.parametrize("is_stored", [False, True], ids=["in one poll", "in a later poll"])
def test_a_mail_merge_under_one_message_id_gives_each_recipient_the_email(is_stored: bool) -> None:
    # R19
    to_bob, to_carol = raw_mail(), raw_mail(to="carol@client.example")
    stored = StoredEmail(9, owners=frozenset({1}), records=frozenset({5}))
    emails = {read_content(to_bob).fingerprint: stored} if is_stored else {}
    world = World(issued((JANES_TOKEN, JANE)), {1: replace(BOTH.views[1], emails=emails)})
    first, second, again = (filing.deciding for filing in world.file(to_bob, to_carol, to_carol))
    assert first.outcome is (Outcome.DUPLICATE if is_stored else Outcome.ASSOCIATED)
    assert (second.outcome, second.email) == (Outcome.ASSOCIATED, first.email)
    assert [found.record for found in second.associations] == [
        NewRecord(1, Module.CONTACT, Address.parse("carol@client.example"), 1)
    ]
    assert (again.outcome, again.associations) == (Outcome.DUPLICATE, ())


def test_a_further_copy_adds_a_recipient_that_waits_for_a_record() -> None:
    only = replace(JANE, pattern=SearchPattern.CONTACTS_THEN_LEADS_ONLY)
    world = World(issued((JANES_TOKEN, only)))
    filings = world.file(raw_mail(), raw_mail(to="carol@client.example"), raw_mail(to="bob@client.example"))
    assert [[address.key for address in filing.deciding.unmatched] for filing in filings] == [
        ["bob@client.example"],
        ["carol@client.example"],
        [],
    ]
    assert filings[2].deciding.outcome is Outcome.DUPLICATE


def test_a_further_copy_to_nobody_who_counts_is_a_duplicate() -> None:
    first, second = BOTH.file(raw_mail(), raw_mail(to="jane@sales.example"))
    assert (first.deciding.outcome, second.deciding.outcome) == (Outcome.ASSOCIATED, Outcome.DUPLICATE)


def test_the_second_owners_copy_adds_only_what_is_missing() -> None:
    # R19
    stored = StoredEmail(9, owners=frozenset({1}), records=frozenset({5}))
    view = AccountView(records={"bob@client.example": (BOB,)}, emails={read_content(raw_mail()).fingerprint: stored})
    raw = raw_mail(JOHNS_TOKEN)
    verdict = World(issued((JOHNS_TOKEN, JOHN)), {1: view}).verdict(raw)
    assert (verdict.outcome, verdict.email, verdict.associations) == (Outcome.ASSOCIATED, stored, ())
    carol = Record(6, Module.LEAD, 2, NOW)
    view = replace(view, records={"bob@client.example": (carol,)})
    verdict = World(issued((JOHNS_TOKEN, JOHN)), {1: view}).verdict(raw)
    assert [found.record for found in verdict.associations] == [carol]


def test_an_unmatched_recipient_is_kept_once_per_email() -> None:
    only = SearchPattern.CONTACTS_THEN_LEADS_ONLY
    owners = issued((JANES_TOKEN, replace(JANE, pattern=only)), (JOHNS_TOKEN, replace(JOHN, pattern=only)))
    first, second = World(owners).file(raw_mail(JANES_TOKEN, JOHNS_TOKEN))[0].verdicts
    assert [address.key for address in first.unmatched] == ["bob@client.example"]
    assert (second.outcome, second.unmatched) == (Outcome.ASSOCIATED, ())


@pytest.mark.parametrize(
    "other",
    [
        raw_mail(subject="Another offer"),
        raw_mail(body="Hello Bob, once more\n"),
        raw_mail(sender="jane@sales.example"),
        raw_mail().replace(b"Date: Mon, 23 Nov 2026 09:00", b"Date: Mon, 23 Nov 2026 09:01"),
        raw_mail(message_id="<2@sales.example>"),
    ],
    ids=["subject", "body", "From", "Date", "Message-ID"],
)
def test_a_reused_message_id_does_not_swallow_a_different_mail(other: bytes) -> None:
    """Message-ID, From, Date, Subject and body together identify a mail (R19)."""
    first, second = BOTH.file(raw_mail(), other)
    assert second.deciding.outcome is Outcome.ASSOCIATED
    assert second.deciding.email != first.deciding.email
    assert [found.record for found in second.deciding.associations] == [BOB]


def test_another_way_through_the_servers_makes_no_other_mail() -> None:
    """Delivery fields, line ends and folding do not identify a mail (R19)."""
    other = raw_mail(top="X-Spam: no\n", subject="Offer").replace(b"\n", b"\r\n") + b"\r\n"
    first, second = BOTH.file(raw_mail(), other.replace(b"Subject: Offer", b"Subject:\r\n Offer"))
    assert second.deciding.outcome is Outcome.DUPLICATE
    assert first.deciding.outcome is Outcome.ASSOCIATED


def test_two_mails_to_one_new_address_make_one_record() -> None:
    # R17
    world = World(issued((JANES_TOKEN, JANE), (JOHNS_TOKEN, JOHN)))
    first, second = world.file(
        raw_mail(to="new@client.example"), raw_mail(JOHNS_TOKEN, to="NEW@client.example", message_id="<2@x.example>")
    )
    assert first.deciding.associations[0].created
    assert not second.deciding.associations[0].created
    assert first.deciding.associations[0].record == second.deciding.associations[0].record


def test_a_mail_without_message_id_is_filed_too() -> None:
    (filing,) = BOTH.file(raw_mail().replace(b"Message-ID: <1@sales.example>\n", b""))
    assert (filing.deciding.outcome, filing.message_id) == (Outcome.ASSOCIATED, "")


def test_the_store_is_asked_only_for_what_can_be_accepted() -> None:
    accepted = BOTH.candidate(raw_mail(to="Bob@client.example, x@private.example"))
    rejected = BOTH.candidate(raw_mail(FORGED_TOKEN, to="nobody@client.example"))
    assert rejected.judgement.rejected[0].reason is Reason.UNKNOWN_TOKEN
    asked = wanted([accepted, rejected])
    assert asked[1].addresses == {"bob@client.example", "x@private.example"}
    assert asked[1].domains == {"client.example", "private.example"}
    assert asked[1].fingerprints == {accepted.content.fingerprint}
