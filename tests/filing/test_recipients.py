"""R14, R18: who counts as a recipient, and what the trace says of the others."""

import pytest

from tests.domain.made import JANES_TOKEN, JOHNS_TOKEN, NOW, owner
from tests.filing.made import World, raw_mail, world_of
from worker.domain.outcomes import Outcome, Reason
from worker.domain.patterns import Module, SearchPattern
from worker.domain.records import AccountView, NewRecord, Record
from worker.domain.verdicts import RecipientResult, Verdict

ANN = "ann@sales.example"
"""A colleague."""
LEFT_OPEN = "angle bracket left open"


def made(verdict: Verdict) -> list[str]:
    return [found.record.address.key for found in verdict.associations if isinstance(found.record, NewRecord)]


def skipped(verdict: Verdict) -> dict[str, str]:
    return {t.address: t.why for t in verdict.trace.recipients if t.result is RecipientResult.SKIPPED}


def test_to_and_cc_count_in_order_each_once_and_groups_are_flattened() -> None:
    raw = raw_mail(
        to='"Smith, Bob" <bob@client.example>, Team: carol@client.example, dave@client.example;',
        extra="Cc: BOB@client.example, erin@client.example\nBcc: secret@client.example\n",
    )
    assert made(World().verdict(raw)) == [f"{name}@client.example" for name in ("bob", "carol", "dave", "erin")]


def test_the_dropboxs_own_addresses_never_count() -> None:
    to = f"drop@drop.example, Drop+{JOHNS_TOKEN}@DROP.example, drop+{JANES_TOKEN}@drop.example, bob@client.example"
    verdict = World().verdict(raw_mail(to=to))
    assert made(verdict) == ["bob@client.example"]
    assert set(skipped(verdict).values()) == {"a dropbox address"}


def test_the_owners_own_senders_never_count_whatever_their_case() -> None:
    verdict = world_of(owner(senders=("jane@sales.example", "jane@home.example"))).verdict(
        raw_mail(to="Jane@Home.Example, bob@client.example")
    )
    assert made(verdict) == ["bob@client.example"]
    assert skipped(verdict) == {"Jane@home.example": "the owner's own address"}


def test_an_address_that_the_owner_has_not_proven_yet_is_the_owners_all_the_same() -> None:
    mine = owner(senders=("jane@sales.example",), unproven=("jane@home.example",))
    verdict = world_of(mine).verdict(raw_mail(to="jane@home.example, bob@client.example"))
    assert made(verdict) == ["bob@client.example"]
    assert skipped(verdict) == {"jane@home.example": "the owner's own address"}


def test_the_never_log_list_holds_addresses_and_domains() -> None:
    view = AccountView(never_log=frozenset({"lawyer@client.example", "private.example"}))
    verdict = world_of(owner(), view).verdict(
        raw_mail(to="Lawyer@client.example, x@private.example, y@sub.private.example, bob@client.example")
    )
    assert made(verdict) == ["y@sub.private.example", "bob@client.example"]
    assert skipped(verdict) == {
        "Lawyer@client.example": "on the never-log list",
        "x@private.example": "private.example is on the never-log list",
    }


def test_a_colleague_is_never_made_a_record() -> None:
    view = AccountView(colleagues=frozenset({ANN}))
    verdict = world_of(owner(), view).verdict(raw_mail(to=f"{ANN}, bob@client.example"))
    assert made(verdict) == ["bob@client.example"]
    assert "colleague" in skipped(verdict)[ANN]


def test_a_colleague_who_is_a_record_already_still_matches() -> None:
    ann = Record(5, Module.CONTACT, None, NOW)
    view = AccountView(records={ANN: (ann,)}, colleagues=frozenset({ANN}))
    verdict = world_of(owner(), view).verdict(raw_mail(to=ANN))
    assert [found.record for found in verdict.associations] == [ann]


@pytest.mark.parametrize("pattern", SearchPattern)
def test_a_mail_to_colleagues_only_has_no_recipients(pattern: SearchPattern) -> None:
    """Whatever the pattern: a colleague is not waited for, either."""
    view = AccountView(colleagues=frozenset({ANN}))
    verdict = world_of(owner(pattern=pattern), view).verdict(raw_mail(to=ANN))
    assert verdict.reason is Reason.NO_RECIPIENTS


def test_the_first_fifty_count_and_the_rest_are_named() -> None:
    to = ", ".join(f"c{number}@client.example" for number in range(1, 52))
    verdict = World().verdict(raw_mail(to=to))
    assert len(verdict.associations) == 50
    assert skipped(verdict) == {"c51@client.example": "beyond the first 50 recipients"}


def test_those_who_do_not_count_do_not_use_up_the_fifty() -> None:
    to = ", ".join(["drop@drop.example", *(f"c{number}@client.example" for number in range(50))])
    assert len(World().verdict(raw_mail(to=to)).associations) == 50


def test_a_thousand_recipients_beyond_the_limit_are_counted_not_listed() -> None:
    to = ", ".join(f"c{number}@client.example" for number in range(1050))
    verdict = World().verdict(raw_mail(to=to))
    assert skipped(verdict)["800 more"] == "beyond the first 50 recipients"
    assert len(verdict.trace.recipients) == 50 + 200 + 1


@pytest.mark.parametrize(
    ("to", "told"),
    [
        ("bob at client.example", {"bob at client.example": "space within an address"}),
        ("<bob@client.example> Bob", {"<bob@client.example> Bob": "text after the address"}),
        ("Bob <>", {"Bob <>": "empty angle brackets"}),
        ("bob at x.example, Bob <bob@x", {"bob at x.example": "space within an address", "Bob <bob@x": LEFT_OPEN}),
        ("Team: bob b@x.example;", {"Team: bob b@x.example": "space within an address"}),
        ("Team: ann@x.example, b >b@x.example;", {"b >b@x.example": "stray >; space within an address"}),
        ("b@b@x.example", {"b@b@x.example": "not an e-mail address: 'b@b@x.example'"}),
        ("Bob\t  b, c d", {"Bob b": "space within an address", "c d": "space within an address"}),
        (f"{'l' * 5000} b", {"l" * 100: "space within an address"}),
        ("=?utf-8?q?B=C3=B6b?= at x.example", {"… at x.example": "space within an address"}),
    ],
)
def test_a_recipient_that_cannot_be_read_is_named_as_it_was_written(to: str, told: dict[str, str]) -> None:
    verdict = World().verdict(raw_mail(to=f"carol@client.example, {to}"))
    assert made(verdict)[0] == "carol@client.example"
    assert skipped(verdict) == {entry: f"cannot be read whole: {why}" for entry, why in told.items()}


def test_one_record_gets_one_association_however_many_of_its_addresses_are_named() -> None:
    """R18: email and secondary email."""
    bob = Record(5, Module.CONTACT, None, NOW)
    view = AccountView(records={"bob@client.example": (bob,), "bob@home.example": (bob,)})
    verdict = world_of(owner(), view).verdict(raw_mail(to="bob@client.example, bob@home.example"))
    assert [found.record for found in verdict.associations] == [bob]
    assert verdict.outcome is Outcome.ASSOCIATED


def test_the_trace_tells_of_each_recipient_why() -> None:
    view = AccountView(records={"bob@client.example": (Record(5, Module.CONTACT, 1, NOW),)})
    verdict = world_of(owner(), view).verdict(raw_mail(to="bob@client.example, new@client.example"))
    assert [(t.address, t.result, t.why) for t in verdict.trace.recipients] == [
        ("bob@client.example", RecipientResult.MATCHED, "the owner's own contact with this address"),
        ("new@client.example", RecipientResult.CREATED, "nobody among contacts or leads: new contact"),
    ]
