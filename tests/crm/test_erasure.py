"""R29 on both databases: what goes with a person or a user, what stays, and that a crash at any step is harmless."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count

import pytest
from sqlalchemy import Connection, select, update
from sqlmodel import SQLModel, col

from tests.crm.conftest import BEN, CARL, JANE
from tests.harness.crm import NOW, Arrive, Rows
from worker.crm.emails import EmailFilter, list_emails
from worker.crm.record_life import add_record, edit_record, merge_records
from worker.crm.record_lists import RecordFilter, list_records
from worker.crm.removal import Options, erase, erase_user, hand_over, plan_erasure
from worker.crm.sender_addresses import list_senders
from worker.crm.users import add_user, list_users, show_dropbox
from worker.crm.work import By, Crm
from worker.domain.addresses import Address
from worker.domain.erasure import Person, WantedMail
from worker.domain.errors import Refused
from worker.domain.events import RecordFacts, record_updated
from worker.domain.permissions import Module
from worker.domain.records import RecordChange
from worker.domain.tokens import IssuedToken
from worker.store.columns import to_json
from worker.store.database import Database
from worker.store.event_log import write_events
from worker.store.poll_store import PollStore
from worker.store.tables import VerdictRow

DORA, DORAS_OTHER = "dora@client.example", "dora@home.example"
CONTACTS = RecordFilter(Module.CONTACT)
CLEAN = Options(never_logs=False)


class Died(BaseException):
    """The process ends here."""


def everything(crm: Crm) -> str:
    """Return all rows of all tables, with their compressed texts as they are read."""
    tables = SQLModel.metadata.sorted_tables
    with crm.database.read() as connection:
        rows = [connection.execute(select(table).order_by(*table.primary_key)).all() for table in tables]
    return "\n".join(map(str, rows))


def dora_is_known(crm: Crm, arrive: Arrive, user: str) -> None:
    change = RecordChange(last_name="Klein", email=Address.parse(DORA), add=(Address.parse(DORAS_OTHER),))
    add_record(crm, Module.CONTACT, change, By(None, NOW))
    arrive(user, to=[DORA])
    arrive(user, to=[CARL, DORAS_OTHER])
    arrive(user, to=[DORA], sender="stranger@elsewhere.example")


def dies_at(step: int, act: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> bool:
    """Act, and crash at the end of this transaction, before it is committed; tell whether there was one."""
    begin, begun = Database.begin, count(1)

    @contextmanager
    def dying(database: Database) -> Iterator[Connection]:
        with begin(database) as connection:
            yield connection
            if next(begun) == step:
                raise Died

    with monkeypatch.context() as patch:
        patch.setattr(Database, "begin", dying)
        try:
            act()
        except Died:
            return True
    return False


def test_each_step_can_be_the_last_and_the_same_call_finishes(
    crm: Crm, jane: str, arrive: Arrive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def act() -> object:
        return erase(crm, DORA, None, CLEAN, NOW)

    for step in count(1):
        dora_is_known(crm, arrive, jane)
        died = dies_at(step, act, monkeypatch)
        act()
        left = everything(crm)
        assert DORA not in left, step
        assert DORAS_OTHER not in left, step
        if not died:
            assert step > 4, "decisions, events, emails and records go in transactions of their own"
            return


def test_an_event_that_names_the_person_goes_also_when_it_is_about_another_record(crm: Crm, jane: str) -> None:
    with crm.begin() as work:
        for address in (DORA, CARL):
            facts = RecordFacts(99, Module.CONTACT, address)
            write_events(work.connection, [record_updated(work.account.id, facts, ["email"])], NOW)
    assert DORA in everything(crm)
    assert erase(crm, DORA, None, CLEAN, NOW).tables["event"] == 1
    assert DORA not in everything(crm)
    assert CARL in everything(crm)


@pytest.mark.parametrize("column", ["trace", "packed"])
def test_a_decision_goes_of_which_only_the_trace_names_the_person(
    crm: Crm, jane: str, arrive: Arrive, column: str
) -> None:
    arrive(jane, to=[CARL])
    arrive(jane, to=[CARL])
    trace = {"recipients": [{"address": DORA, "result": "skipped", "why": {"code": "never_log"}}]}
    with crm.begin() as work:
        named = {"trace": trace, "packed": None} if column == "trace" else {"packed": to_json(trace)}
        work.connection.execute(update(VerdictRow).where(col(VerdictRow.decision_id) == 1).values(named))
    assert DORA in everything(crm)
    erased = erase(crm, DORA, None, CLEAN, NOW)
    assert (erased.tables["decision"], erased.tables["email"]) == (1, 0)
    assert DORA not in everything(crm)


@pytest.mark.parametrize(
    "remove",
    [
        lambda crm, user: hand_over(crm, user, into=JANE, now=NOW),
        lambda crm, user: erase_user(crm, user, None, NOW),
    ],
    ids=["hand_over", "erase"],
)
def test_each_step_of_a_users_removal_can_be_the_last_too(
    crm: Crm, jane: str, arrive: Arrive, remove: Callable[[Crm, str], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def act() -> object:
        return remove(crm, BEN)

    for step in count(1):
        token = token_of(crm, add_user(crm, BEN, profile=None, now=NOW).user.login)
        arrive(BEN, to=[CARL, DORA])
        arrive(BEN, to=[DORA], message_id=f"<{step}@acme.example>")
        if died := dies_at(step, act, monkeypatch):
            act()
        assert [user.login for user in list_users(crm, limit=None)] == [jane]
        assert issued(crm, token).owner.senders == frozenset()
        assert {email.owners for email in list_emails(crm, EmailFilter(), limit=None)} <= {(jane,)}
        assert {record.owner for record in list_records(crm, CONTACTS, limit=None)} <= {jane}
        if not died:
            assert step > 3
            return


def test_mail_that_is_filed_during_the_erasure_is_found_too(crm: Crm, jane: str, arrive: Arrive) -> None:
    dora_is_known(crm, arrive, jane)

    class Arriving:
        mails = 2

        def count(self, _wanted: WantedMail) -> Mapping[str, int]:
            return {}

        def remove(self, _wanted: WantedMail) -> Mapping[str, int]:
            if self.mails:
                self.mails -= 1
                arrive(jane, to=[DORA, CARL])
            return {}

    erased = erase(crm, DORA, Arriving(), Options(), NOW)
    assert erased.is_complete
    assert erased.tables["email"] == 4
    assert everything(crm).count(DORA) == 1, "the never-log entry"


def test_a_plan_counts_exactly_what_goes_and_changes_nothing(crm: Crm, jane: str, arrive: Arrive) -> None:
    dora_is_known(crm, arrive, jane)
    arrive(jane, to=[CARL])
    before = everything(crm)
    plan = plan_erasure(crm, DORA.upper(), None, CLEAN)
    assert everything(crm) == before
    erased = erase(crm, DORA, None, CLEAN, NOW)
    assert erased.tables == plan.tables
    assert erased.tables["email"] == 2
    assert [email.waiting or email.records for email in plan.shared] != []
    assert len(list_emails(crm, EmailFilter(Module.CONTACT, CARL), limit=None)) == 1


def test_an_address_that_others_have_too_does_not_lead_to_their_mail(crm: Crm, jane: str, arrive: Arrive) -> None:
    office = Address.parse("office@client.example")
    for email, last_name in ((DORA, "Klein"), (CARL, "Carl")):
        change = RecordChange(last_name=last_name, email=Address.parse(email), add=(office,))
        add_record(crm, Module.CONTACT, change, By(None, NOW))
    arrive(jane, to=[CARL])
    erased = erase(crm, DORA, None, CLEAN, NOW)
    assert erased.addresses == (DORA,)
    assert [record.email for record in list_records(crm, CONTACTS, limit=None)] == [CARL]


def test_records_that_have_the_address_no_more_do_not_name_it_either(crm: Crm, jane: str) -> None:
    by, contact = By(None, NOW), Module.CONTACT
    renamed = add_record(crm, contact, RecordChange(last_name=DORA, email=Address.parse(DORA)), by).record.summary.id
    moved = RecordChange(email=Address.parse(CARL), remove=(Address.parse(DORA),))
    edit_record(crm, contact, str(renamed), moved, by)
    for key in (DORA, "K1"):
        add_record(crm, contact, RecordChange(last_name=key, external_id=key, email=Address.parse(BEN)), by)
    merge_records(crm, contact, f"external:{DORA}", by, into="external:K1")
    erase(crm, DORA, None, CLEAN, NOW)
    assert DORA not in everything(crm)
    assert [record.last_name for record in list_records(crm, CONTACTS, limit=None)] == ["K1", "[erased]"]


def test_other_accounts_keep_what_they_have(crm: Crm, jane: str, arrive: Arrive) -> None:
    rows = Rows(crm.database)
    beta = rows.account("Beta")
    rows.record(beta, DORA)
    acme = Crm(crm.database, "Default")
    arrive(jane, at=acme, to=[DORA])
    erase(acme, DORA, None, CLEAN, NOW)
    beta_records = list_records(Crm(crm.database, "Beta"), CONTACTS, limit=None)
    assert [record.email for record in beta_records] == [DORA]
    assert list_records(acme, CONTACTS, limit=None) == []


@pytest.mark.parametrize("text", ["jane@acme.example", "JANE@Acme.example"])
def test_an_address_of_a_user_is_refused(crm: Crm, jane: str, text: str) -> None:
    with pytest.raises(Refused, match="is an address of the user") as refused:
        erase(crm, text, None, Options(), NOW)
    assert refused.value.values == {"login": jane}


@pytest.mark.parametrize(
    "text",
    [
        DORA.upper(),
        f'"Dora, K." <{DORA}>',
        f"=?utf-8?q?{DORA.replace('@', '=40')}?= <other@home.example>",
        f"mailto:{DORA}",
        f"wrote '{DORA}':",
    ],
)
def test_an_address_is_found_in_every_spelling(text: str) -> None:
    assert Person(frozenset({DORA})).is_named_in([text])


@pytest.mark.parametrize("text", [f"pan{DORA}", f"{DORA}.au", f"{DORA}s", "dora", "", f"x.{DORA}"])
def test_an_address_is_not_found_within_another_one(text: str) -> None:
    assert not Person(frozenset({DORA})).is_named_in([text])


def token_of(crm: Crm, login: str) -> str:
    token = show_dropbox(crm, login).token
    assert token
    return token


def issued(crm: Crm, token: str) -> IssuedToken:
    return PollStore(crm.database).issued([token])[token]


def test_records_and_emails_go_to_another_user(crm: Crm, jane: str, ben: str, arrive: Arrive) -> None:
    token = token_of(crm, ben)
    arrive(ben, to=[CARL])
    arrive(ben, to=[DORA], message_id="<both@acme.example>")
    arrive(jane, to=[DORA], sender=jane)
    removed = hand_over(crm, ben, into=jane, now=NOW)
    assert removed.tables == {"record": 2, "email_owner": 2}
    assert {email.owners for email in list_emails(crm, EmailFilter(), limit=None)} == {(jane,)}
    assert {record.owner for record in list_records(crm, CONTACTS, limit=None)} == {jane}
    _is_gone(crm, ben, token)


def test_a_users_records_and_emails_are_erased(crm: Crm, jane: str, ben: str, arrive: Arrive) -> None:
    token = token_of(crm, ben)
    arrive(ben, to=[CARL])
    arrive(jane, to=[DORA])
    removed = erase_user(crm, ben, None, NOW)
    assert (removed.tables["record"], removed.tables["email"]) == (1, 1)
    assert [record.email for record in list_records(crm, CONTACTS, limit=None)] == [DORA]
    assert len(list_emails(crm, EmailFilter(), limit=None)) == 1
    _is_gone(crm, ben, token)
    assert CARL not in everything(crm)


def _is_gone(crm: Crm, login: str, token: str) -> None:
    """The token is known as revoked; the login is free, and gets another token."""
    assert login not in [user.login for user in list_users(crm, limit=None)]
    valid_until = issued(crm, token).valid_until
    assert valid_until is not None
    assert valid_until <= NOW
    add_user(crm, login, profile=None, now=NOW)
    assert token_of(crm, login) != token
    assert [sender.address for sender in list_senders(crm, login)] == [login]


def test_a_user_cannot_be_removed_into_the_same_user(crm: Crm, jane: str) -> None:
    with pytest.raises(Refused, match="into the same user"):
        hand_over(crm, jane, into=jane, now=NOW)
    assert [user.enabled for user in list_users(crm, limit=None)] == [True]


def test_a_removed_user_has_no_senders(crm: Crm, ben: str) -> None:
    token = token_of(crm, ben)
    erase_user(crm, ben, None, NOW)
    owner = issued(crm, token).owner
    assert owner.senders == frozenset()
    assert not owner.enabled


def test_the_number_of_passes_has_an_end(crm: Crm, jane: str) -> None:
    class Flagged:
        """A mail server without UIDPLUS, where somebody else has flagged mail."""

        def count(self, _wanted: WantedMail) -> Mapping[str, int]:
            return {"queue": 1}

        remove = count

    erased = erase(crm, DORA, Flagged(), CLEAN, NOW)
    assert not erased.is_complete
