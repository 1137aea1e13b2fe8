"""R14, R18: who counts as a recipient, and what the trace says of the others."""

import pytest

from tests.domain.made import JANES_TOKEN, JOHNS_TOKEN, NOW, owner
from tests.filing.made import World, raw_mail, world_of
from worker.cli.reasons import sentence
from worker.domain.address_lists import Syntax
from worker.domain.outcomes import Outcome, Reason
from worker.domain.permissions import Module, SearchPattern
from worker.domain.records import AccountView, NewRecord, Record
from worker.domain.verdicts import RecipientResult, Verdict

ANN = "ann@sales.example"
"""A colleague."""
LEFT_OPEN = "angle bracket left open"


def made(verdict: Verdict) -> list[str]:
    return [found.record.address.key for found in verdict.associations if isinstance(found.record, NewRecord)]


def skipped(verdict: Verdict) -> dict[str, str]:
    """Return the skipped addresses with the reasons that people read."""
    return {t.address: sentence(t.why) for t in verdict.trace.recipients if t.result is RecipientResult.SKIPPED}


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
    assert skipped(verdict)[""] == "800 more beyond the first 50 recipients"
    assert len(verdict.trace.recipients) == 50 + 200 + 1


@pytest.mark.parametrize(
    ("to", "told"),
    [
        ("bob at client.example", {"bob at client.example": "space within an address"}),
        ("<bob@client.example> Bob", {"<bob@client.example> Bob": "text after the address"}),
        ("Bob <>", {"Bob <>": "empty angle brackets"}),
        ("b at x.example, <b@x.example", {"b at x.example": "space within an address", "<b@x.example": LEFT_OPEN}),
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
    stored = [fault for found in verdict.trace.recipients for fault in found.why.values.get("faults", ())]  # type: ignore[union-attr]
    assert {fault.partition(":")[0] for fault in stored} <= set(Syntax)
    assert len(stored) >= len(told)


@pytest.mark.parametrize(
    "address",
    [
        f"drop%2B{JANES_TOKEN}@drop.example",
        f"drop%2b{JANES_TOKEN}@DROP.example",
        f"drop%252B{JANES_TOKEN}@drop.example",
        f"drop=2B{JANES_TOKEN}@drop.example",
        f'"drop+{JANES_TOKEN}"@drop.example',
        f"Dropbox <drop%2B{JANES_TOKEN.upper()}@drop.example>",
        f"=?utf-8?q?drop=2B{JANES_TOKEN}?=@drop.example",
        f"drop+{JANES_TOKEN}@drop.exmaple",
        f"drop-{JANES_TOKEN}@drop.example",
        f"{JANES_TOKEN}@drop.example",
        f"drop&#43;{JANES_TOKEN}@drop.example",
        f"drop.drop+{JANES_TOKEN}@drop.example",
        "drop+@drop.example",
        "drop%2Binbox@drop.example",
    ],
)
def test_the_dropboxs_own_address_makes_no_record_in_any_spelling(address: str) -> None:
    world = World()
    verdict = world.verdict(raw_mail(to=f"bob@client.example, {address}", extra=f"Cc: {address}\n"))
    assert made(verdict) == ["bob@client.example"]
    assert JANES_TOKEN[:20] not in repr(verdict.trace).lower()
    (filing,) = world.file(raw_mail(to=address))
    assert JANES_TOKEN[:20] not in repr(filing.recipients).lower()


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("Bob <IMCEAEX-_O=ACME_OU=EXCH_CN=RECIPIENTS_CN=BOB@acme.example>", "an Exchange-internal address"),
        ("imceaex-_o=acme_cn=bob@acme.example", "an Exchange-internal address"),
        ("IMCEAFAX-+2B49301234567@acme.example", "an Exchange-internal address"),
        ("IMCEANOTES-Bob_Acme+40ACME@acme.example", "an Exchange-internal address"),
        ("IMCEAINVALID-Bob@acme.example", "an Exchange-internal address"),
        (
            '"/O=ACME/OU=EXCHANGE ADMINISTRATIVE GROUP/CN=RECIPIENTS/CN=BOB"@acme.example',
            "an Exchange-internal address",
        ),
        ("/o=acme/ou=first/cn=recipients/cn=bob@acme.example", "an Exchange-internal address"),
        ("HealthMailboxd0c1b2a3948d4f4e9a8b7c6d5e4f3a2b@acme.example", "an Exchange-internal address"),
        ('"SystemMailbox{1f05a927-6b2b-4a5a-9f5d-000000000000}"@acme.example', "an Exchange-internal address"),
        ("FederatedEmail.4c1f4d8b-8179-4148-93bf-00a95fa1e042@acme.example", "an Exchange-internal address"),
        ("MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@acme.example", "an Exchange-internal address"),
        ("bob@localhost", "a domain without a dot"),
        ("Bob/Sales/Acme@ACME", "a domain without a dot"),
        ("bob@acme.local", "an address within a network (.local)"),
        ("bob@192.0.2.1", "an address within a network (.1)"),
        ("bob@acme.invalid", "an address within a network (.invalid)"),
        ('"Undisclosed.Recipients:"@mx.x.example', "undisclosed recipients"),
        ("undisclosed-recipients@x.example", "undisclosed recipients"),
        ("Undisclosed_Recipient@x.example", "undisclosed recipients"),
        ('"undisclosed recipients"@x.example', "undisclosed recipients"),
        ("<unlisted-recipients@x.example>", "undisclosed recipients"),
        ('"Recipient list suppressed"@x.example', "undisclosed recipients"),
        ('"Verborgene Empfänger"@x.example', "undisclosed recipients"),
        ("nicht-offengelegte-Empfaenger@x.example", "undisclosed recipients"),
        ("destinataires-inconnus@x.example", "undisclosed recipients"),
        ("destinatarios.ocultos@x.example", "undisclosed recipients"),
        ("destinatarios-nao-revelados@x.example", "undisclosed recipients"),
        ("destinatari_nascosti@x.example", "undisclosed recipients"),
        ("verborgen-ontvangers@x.example", "undisclosed recipients"),
        ("dolda-mottagare@x.example", "undisclosed recipients"),
        ("Скрытые-получатели@x.example", "undisclosed recipients"),
    ],
)
def test_no_record_is_made_of_what_no_customer_can_have(address: str, why: str) -> None:
    # R14
    verdict = World().verdict(raw_mail(to=f"{address}, carol@client.example"))
    assert made(verdict) == ["carol@client.example"]
    assert [text for text in skipped(verdict).values() if text.startswith(why)]
    only = world_of(owner(pattern=SearchPattern.CONTACTS_THEN_LEADS_ONLY)).verdict(raw_mail(to=address))
    assert (only.reason, only.unmatched) == (Reason.NO_RECIPIENTS, ())


@pytest.mark.parametrize(
    "to",
    ["undisclosed-recipients:;", "Undisclosed recipients: ;", "<Undisclosed-Recipient:;>", "Empfänger:;", ":;", ""],
)
def test_a_list_that_names_nobody_has_no_recipients(to: str) -> None:
    assert World().verdict(raw_mail(to=to)).reason is Reason.NO_RECIPIENTS


@pytest.mark.parametrize("address", ["bob@localhost", "undisclosed-recipients@x.example", "imceaex-_o=x@x.example"])
def test_such_an_address_matches_a_record_that_exists(address: str) -> None:
    """The CRM says that it is somebody's."""
    bob = Record(5, Module.CONTACT, None, NOW)
    verdict = world_of(owner(), AccountView(records={address: (bob,)})).verdict(raw_mail(to=address))
    assert [found.record for found in verdict.associations] == [bob]


@pytest.mark.parametrize(
    "address",
    [
        *("imcea@x.example", "imceaexpert@x.example", "recipients@x.example", "hidden@x.example"),
        *(
            "o=acme@x.example",
            "mailbox@x.example",
            "migration@x.example",
            "local@local.example",
            "bob@internal.example",
        ),
        *("a/b=c@x.example", "01arz3ndektsv4rrffq69g5fav@reply.example", "drop@client.example", "bob%2Bx@x.example"),
    ],
)
def test_an_address_that_a_customer_can_have_makes_a_record(address: str) -> None:
    assert made(World().verdict(raw_mail(to=address))) == [address.lower()]


def test_one_record_gets_one_association_however_many_of_its_addresses_are_named() -> None:
    """Match by email and by secondary email (R18)."""
    bob = Record(5, Module.CONTACT, None, NOW)
    view = AccountView(records={"bob@client.example": (bob,), "bob@home.example": (bob,)})
    verdict = world_of(owner(), view).verdict(raw_mail(to="bob@client.example, bob@home.example"))
    assert [found.record for found in verdict.associations] == [bob]
    assert verdict.outcome is Outcome.ASSOCIATED


def test_the_trace_tells_of_each_recipient_why() -> None:
    view = AccountView(records={"bob@client.example": (Record(5, Module.CONTACT, 1, NOW),)})
    verdict = world_of(owner(), view).verdict(raw_mail(to="bob@client.example, new@client.example"))
    assert [(t.address, t.result, sentence(t.why)) for t in verdict.trace.recipients] == [
        ("bob@client.example", RecipientResult.MATCHED, "the owner's own contact with this address"),
        ("new@client.example", RecipientResult.CREATED, "nobody among contacts or leads: new contact"),
    ]
