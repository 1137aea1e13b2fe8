"""What must be unique is refused by the database itself, however many ask at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel

from tests.harness.crm import NOW, QUEUE, Mail, Rows, User, file
from worker.domain.errors import Conflict
from worker.store.database import Database
from worker.store.poll_store import PollStore
from worker.store.tables import (
    AssociationRow,
    DecisionRow,
    EmailRow,
    RecordRow,
    SenderRow,
    TokenRow,
    UserRow,
    VerdictRow,
)


@pytest.fixture
def joe(crm: Rows) -> User:
    return crm.user(crm.account(), "joe@acme.example")


def first(crm: Rows, row: type[SQLModel], **changed: Any) -> dict[str, Any]:
    return {**crm.rows(row)[0], **changed}


def at_once(crm: Rows, row: type[SQLModel], rows: list[dict[str, Any]]) -> int:
    """Insert each from a thread of its own; gives how many were taken."""
    together = Barrier(len(rows))

    def insert(values: dict[str, Any]) -> bool:
        together.wait()
        try:
            crm.insert(row, values)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(len(rows)) as threads:
        return sum(threads.map(insert, rows))


def test_of_racing_requests_for_the_fifth_sender_one_is_taken(crm: Rows, joe: User) -> None:
    for slot in (2, 3, 4):
        crm.sender(joe, f"joe{slot}@acme.example", slot)
    fifth = first(crm, SenderRow, slot=5)
    racing = [{**fifth, "address_key": f"new{number}@acme.example"} for number in range(4)]
    assert at_once(crm, SenderRow, racing) == 1
    assert crm.count(SenderRow) == 5


@pytest.mark.parametrize("slot", [0, 6])
def test_there_is_no_sixth_slot_for_a_sender(crm: Rows, joe: User, slot: int) -> None:
    with pytest.raises(IntegrityError):
        crm.sender(joe, "sixth@acme.example", slot)


def test_a_sender_stands_once_on_a_user_list(crm: Rows, joe: User) -> None:
    with pytest.raises(Conflict):
        crm.sender(joe, joe.login, slot=2)


def test_a_token_is_never_given_to_a_second_user_not_even_of_another_account(crm: Rows, joe: User) -> None:
    other = crm.user(crm.account("Other"), "ann@other.example")
    crm.token(joe, "revoked", valid_until=NOW)
    with pytest.raises(Conflict):
        crm.token(other, "revoked", valid_until=NOW)


def test_a_user_has_one_present_token(crm: Rows, joe: User) -> None:
    crm.token(joe, "revoked", valid_until=NOW)
    with pytest.raises(Conflict):
        crm.token(joe, "second")
    assert at_once(crm, TokenRow, [first(crm, TokenRow, token=f"t{n}", valid_until=None) for n in range(3)]) == 0


def test_a_login_is_used_once_in_an_account_and_again_in_another(crm: Rows, joe: User) -> None:
    with pytest.raises(Conflict):
        crm.user(joe.account_id, joe.login)
    crm.user(crm.account("Other"), joe.login)
    assert crm.count(UserRow) == 2


def test_an_account_name_is_used_once(crm: Rows, joe: User) -> None:
    with pytest.raises(Conflict):
        crm.account()


@pytest.mark.parametrize(
    ("row", "changed"),
    [
        (EmailRow, {"id": 999}),
        (AssociationRow, {}),
        (DecisionRow, {"id": 999}),
        (VerdictRow, {}),
        (RecordRow, {"id": 999, "email": "other@client.example"}),
    ],
)
def test_what_a_mail_left_stands_once(
    database: Database, crm: Rows, joe: User, row: type[SQLModel], changed: dict[str, Any]
) -> None:
    file(PollStore(database), Mail(1, joe.token, joe.login))
    with pytest.raises(Conflict):
        crm.insert(row, first(crm, row, **changed))
    assert crm.count(row) == 1


def test_the_same_uid_under_a_new_uidvalidity_is_another_message(database: Database, crm: Rows, joe: User) -> None:
    file(PollStore(database), Mail(1, joe.token, joe.login))
    crm.insert(DecisionRow, first(crm, DecisionRow, id=999, uidvalidity=QUEUE.uidvalidity + 1))
    assert crm.count(DecisionRow) == 2


def test_an_email_never_stands_on_a_record_of_another_account(database: Database, crm: Rows, joe: User) -> None:
    file(PollStore(database), Mail(1, joe.token, joe.login))
    foreign = crm.record(crm.account("Other"), "jane@client.example")
    with pytest.raises(Conflict, match=r"(?i)foreign key"):
        crm.insert(AssociationRow, first(crm, AssociationRow, record_id=foreign))


def test_records_typed_in_by_people_may_share_an_address(crm: Rows, joe: User) -> None:
    for _ in range(2):
        crm.record(joe.account_id, "jane@client.example")
    assert crm.count(RecordRow) == 2


def test_a_write_that_fails_leaves_the_connection_of_use(
    url: str, open_database: Callable[[str], Database], joe: User
) -> None:
    again = Rows(open_database(url))
    for _ in range(10):
        with pytest.raises(Conflict):
            again.sender(joe, joe.login, slot=2)
    again.sender(joe, "new@acme.example", slot=2)
