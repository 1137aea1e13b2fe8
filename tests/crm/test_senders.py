"""The five addresses that a user may send from (R11)."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest
from sqlalchemy import Connection

from tests.crm.conftest import JANE
from tests.store.crm import NOW
from worker.crm import senders
from worker.crm.members import Member
from worker.crm.office import Office
from worker.crm.sender_rows import sender_rows
from worker.domain.errors import Refused


def add(office: Office, address: str) -> bool:
    try:
        senders.add_sender(office, JANE, address, proven_at=NOW)
    except Refused:
        return False
    return True


def addresses(office: Office) -> list[str]:
    return [sender.address for sender in senders.list_senders(office, JANE)]


def test_a_sixth_address_is_refused_and_nothing_changes(office: Office, jane: str) -> None:
    assert all(add(office, f"jane{number}@home.example") for number in range(4))
    before = addresses(office)
    with pytest.raises(Refused, match="five sender addresses"):
        senders.add_sender(office, jane, "jane5@home.example", proven_at=NOW)
    assert addresses(office) == before


def test_of_many_who_race_for_the_slots_four_get_one(office: Office, jane: str) -> None:
    with ThreadPoolExecutor(8) as threads:
        added = list(threads.map(lambda number: add(office, f"jane{number}@home.example"), range(8)))
    assert added.count(True) == 4
    assert len(addresses(office)) == 5


def test_an_address_is_registered_once_in_any_case(office: Office, jane: str) -> None:
    with pytest.raises(Refused, match="already"):
        senders.add_sender(office, jane, "JANE@acme.example", proven_at=NOW)


def test_what_is_no_address_is_refused(office: Office, jane: str) -> None:
    with pytest.raises(Refused, match="must be an e-mail address"):
        senders.add_sender(office, jane, "jane at home", proven_at=NOW)


def test_the_login_may_be_replaced(office: Office, jane: str) -> None:
    add(office, "jane@home.example")
    senders.remove_sender(office, jane, "Jane@ACME.example")
    assert addresses(office) == ["jane@home.example"]
    add(office, "jane@web.example")
    assert addresses(office) == ["jane@web.example", "jane@home.example"]


def test_the_last_address_stays(office: Office, jane: str) -> None:
    with pytest.raises(Refused, match="another one first"):
        senders.remove_sender(office, jane, jane)
    assert addresses(office) == [jane]


def test_of_two_who_remove_the_last_two_one_is_refused(
    office: Office, jane: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(office, "jane@home.example")
    both_have_read = Barrier(2)

    def read_and_meet(connection: Connection, member: Member) -> Any:
        rows = sender_rows(connection, member)
        with suppress(BrokenBarrierError):  # who waits for the other's lock never comes
            both_have_read.wait(timeout=0.5)
        return rows

    def remove(address: str) -> bool:
        try:
            senders.remove_sender(office, jane, address)
        except Refused:
            return False
        return True

    monkeypatch.setattr(senders, "sender_rows", read_and_meet)
    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(remove, [jane, "jane@home.example"])) == [False, True]
    assert len(addresses(office)) == 1


def test_an_address_that_is_not_registered_cannot_be_removed(office: Office, jane: str) -> None:
    with pytest.raises(Refused, match=f"there are {JANE}"):
        senders.remove_sender(office, jane, "other@home.example")


def test_two_users_may_share_an_address(office: Office, ben: str) -> None:
    assert add(office, ben)
