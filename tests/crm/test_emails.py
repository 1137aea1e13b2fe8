"""Stored emails as people see them (R18 to R20)."""

import pytest

from tests.crm.conftest import BEN, CARL, JANE
from tests.harness.crm import NOW, Arrive
from worker.crm import accounts, emails, sender_addresses, users
from worker.crm.emails import EmailFilter
from worker.crm.work import Crm
from worker.domain.errors import Refused
from worker.domain.permissions import Module


def test_an_email_is_listed_on_its_record_with_owner_and_origin(crm: Crm, jane: str, arrive: Arrive) -> None:
    arrive(jane, subject="Our offer")
    arrive(jane, to=["dora@client.example"])
    [email] = emails.list_emails(crm, EmailFilter(Module.CONTACT, "CARL@client.example"), limit=None)
    assert (email.subject, email.sender, email.owners) == ("Our offer", JANE, (JANE,))
    assert [(r.module, r.email, r.created) for r in email.records] == [(Module.CONTACT, CARL, True)]


def test_a_record_nobody_wrote_to_has_an_empty_list(crm: Crm, jane: str, arrive: Arrive) -> None:
    arrive(jane)
    assert emails.list_emails(crm, EmailFilter(Module.LEAD, CARL), limit=None) == []


def test_an_email_of_two_owners_is_listed_once_and_found_by_either(crm: Crm, ben: str, arrive: Arrive) -> None:
    sender_addresses.add_sender(crm, ben, JANE, proven_at=NOW)
    arrive(JANE, message_id="<same@acme.example>")
    arrive(BEN, sender=JANE, message_id="<same@acme.example>")
    [email] = emails.list_emails(crm, EmailFilter(), limit=None)
    assert email.owners == (JANE, BEN)
    assert emails.list_emails(crm, EmailFilter(owner=BEN), limit=None) == [email]


def test_the_newest_come_first_up_to_the_limit(crm: Crm, jane: str, arrive: Arrive) -> None:
    for number in range(3):
        arrive(jane, subject=str(number))
    assert [e.subject for e in emails.list_emails(crm, EmailFilter(), limit=2)] == ["2", "1"]


def test_one_email_is_shown_in_full_with_who_is_waited_for(crm: Crm, jane: str, arrive: Arrive) -> None:
    users.set_pattern(crm, jane, "contacts-then-leads-only")
    arrive(jane)
    [summary] = emails.list_emails(crm, EmailFilter(), limit=None)
    email = emails.show_email(crm, summary.id)
    assert email.summary == summary
    assert email.recipients == [CARL]
    assert email.unmatched == (CARL,)


def test_the_original_is_given_octet_for_octet(crm: Crm, jane: str, arrive: Arrive) -> None:
    arrive(jane, body=b"\x00\xff\r\nany octets\n")
    [email] = emails.list_emails(crm, EmailFilter(), limit=None)
    assert emails.original_of(crm, email.id) == b"\x00\xff\r\nany octets\n"


def test_an_email_of_another_account_does_not_exist(crm: Crm, jane: str, arrive: Arrive) -> None:
    arrive(jane)
    [email] = emails.list_emails(crm, EmailFilter(), limit=None)
    accounts.add_account(crm, "Other", now=NOW)
    other = Crm(crm.database, "Other")
    assert emails.list_emails(other, EmailFilter(), limit=None) == []
    for look in (emails.show_email, emails.original_of):
        with pytest.raises(Refused, match=f"no email {email.id} in account Other"):
            look(other, email.id)
