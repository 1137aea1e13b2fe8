"""R10, R15: what each pattern searches and makes, for each set of permissions."""

import pytest

from tests.domain.made import NOW, owner
from tests.filing.made import raw_mail, world_of
from worker.domain.outcomes import Outcome, Reason
from worker.domain.permissions import DEFAULT_PATTERN, Module, Permission, SearchPattern
from worker.domain.records import AccountView, NewRecord, Record

BOB = "bob@client.example"
LEAD, CONTACT = Module.LEAD, Module.CONTACT
A_LEAD = Record(11, LEAD, 1, NOW)
A_CONTACT = Record(22, CONTACT, 1, NOW)
ALL = frozenset({Permission.BCC_DROPBOX, Permission.LEADS, Permission.CONTACTS})
NO_LEADS = ALL - {Permission.LEADS}
NO_CONTACTS = ALL - {Permission.CONTACTS}
ONLY_CONTACTS, ONLY_LEADS, THEN_LEAD, THEN_CONTACT, NONE_MADE = SearchPattern

UNMATCHED = "unmatched"
FORBIDDEN = "forbidden"
"""What is expected for: nobody known, a lead known, a contact known, both known."""
TABLE: list[tuple[SearchPattern, frozenset[Permission], tuple[object, object, object, object]]] = [
    (ONLY_CONTACTS, ALL, (CONTACT, CONTACT, A_CONTACT, A_CONTACT)),
    (ONLY_LEADS, ALL, (LEAD, A_LEAD, LEAD, A_LEAD)),
    (THEN_LEAD, ALL, (LEAD, A_LEAD, A_CONTACT, A_CONTACT)),
    (THEN_CONTACT, ALL, (CONTACT, A_LEAD, A_CONTACT, A_CONTACT)),
    (NONE_MADE, ALL, (UNMATCHED, A_LEAD, A_CONTACT, A_CONTACT)),
    (ONLY_CONTACTS, NO_LEADS, (CONTACT, CONTACT, A_CONTACT, A_CONTACT)),
    (ONLY_LEADS, NO_LEADS, (FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN)),
    (THEN_LEAD, NO_LEADS, (UNMATCHED, UNMATCHED, A_CONTACT, A_CONTACT)),
    (THEN_CONTACT, NO_LEADS, (CONTACT, CONTACT, A_CONTACT, A_CONTACT)),
    (NONE_MADE, NO_LEADS, (UNMATCHED, UNMATCHED, A_CONTACT, A_CONTACT)),
    (ONLY_CONTACTS, NO_CONTACTS, (FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN)),
    (ONLY_LEADS, NO_CONTACTS, (LEAD, A_LEAD, LEAD, A_LEAD)),
    (THEN_LEAD, NO_CONTACTS, (LEAD, A_LEAD, LEAD, A_LEAD)),
    (THEN_CONTACT, NO_CONTACTS, (UNMATCHED, A_LEAD, UNMATCHED, A_LEAD)),
    (NONE_MADE, NO_CONTACTS, (UNMATCHED, A_LEAD, UNMATCHED, A_LEAD)),
]
KNOWN: dict[str, tuple[Record, ...]] = {
    "nobody": (),
    "a lead": (A_LEAD,),
    "a contact": (A_CONTACT,),
    "both": (A_LEAD, A_CONTACT),
}


@pytest.mark.parametrize(
    ("pattern", "permissions", "known", "expected"),
    [
        pytest.param(
            pattern,
            permissions,
            KNOWN[known],
            expected[place],
            id=f"{pattern}, {' '.join(sorted(permissions - {Permission.BCC_DROPBOX}))}, {known} known",
        )
        for pattern, permissions, expected in TABLE
        for place, known in enumerate(KNOWN)
    ],
)
def test_a_pattern_searches_and_makes_what_its_owner_may(
    pattern: SearchPattern, permissions: frozenset[Permission], known: tuple[Record, ...], expected: object
) -> None:
    whose = owner(pattern=pattern, permissions=permissions)
    verdict = world_of(whose, AccountView(records={BOB: known})).verdict(raw_mail(to=BOB))
    if expected is FORBIDDEN:
        assert verdict.reason is Reason.MODULE_FORBIDDEN
        return
    assert verdict.outcome is Outcome.ASSOCIATED
    if expected is UNMATCHED:
        assert [address.key for address in verdict.unmatched] == [BOB]
        assert not verdict.associations
        return
    (association,) = verdict.associations
    if isinstance(expected, Module):
        assert association.created
        assert isinstance(association.record, NewRecord)
        assert association.record.module is expected
    else:
        assert not association.created
        assert association.record is expected


def test_contacts_then_leads_or_new_contact_is_the_default() -> None:
    assert DEFAULT_PATTERN.value == "contacts-then-leads-or-new-contact"
    assert len(SearchPattern) == 5


def test_a_created_record_has_the_recipients_address_and_the_dropboxs_owner() -> None:
    # R17
    verdict = world_of(owner(7)).verdict(raw_mail(to="Bob <Bob@Client.example>"))
    record = verdict.associations[0].record
    assert isinstance(record, NewRecord)
    assert (record.address.text, record.owner_id, record.account_id) == ("Bob@client.example", 7, 1)
