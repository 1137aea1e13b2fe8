"""The five addresses that a user may send from (R11)."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest
from sqlalchemy import Connection

from tests.crm.conftest import JANE
from tests.harness.crm import NOW
from worker.crm import sender_addresses
from worker.crm.sender_addresses import sender_rows
from worker.crm.work import Crm, User
from worker.domain.errors import Refused


def add(crm: Crm, address: str) -> bool:
    try:
        sender_addresses.add_sender(crm, JANE, address, proven_at=NOW)
    except Refused:
        return False
    return True


def addresses(crm: Crm) -> list[str]:
    return [sender.address for sender in sender_addresses.list_senders(crm, JANE)]


def test_a_sixth_address_is_refused_and_nothing_changes(crm: Crm, jane: str) -> None:
    assert all(add(crm, f"jane{number}@home.example") for number in range(4))
    before = addresses(crm)
    with pytest.raises(Refused, match="five sender addresses"):
        sender_addresses.add_sender(crm, jane, "jane5@home.example", proven_at=NOW)
    assert addresses(crm) == before


def test_of_many_who_race_for_the_slots_four_get_one(crm: Crm, jane: str) -> None:
    with ThreadPoolExecutor(8) as threads:
        added = list(threads.map(lambda number: add(crm, f"jane{number}@home.example"), range(8)))
    assert added.count(True) == 4
    assert len(addresses(crm)) == 5


def test_an_address_is_registered_once_in_any_case(crm: Crm, jane: str) -> None:
    with pytest.raises(Refused, match="already"):
        sender_addresses.add_sender(crm, jane, "JANE@acme.example", proven_at=NOW)


def test_what_is_no_address_is_refused(crm: Crm, jane: str) -> None:
    with pytest.raises(Refused, match="must be an e-mail address"):
        sender_addresses.add_sender(crm, jane, "jane at home", proven_at=NOW)


def test_the_login_may_be_replaced(crm: Crm, jane: str) -> None:
    add(crm, "jane@home.example")
    sender_addresses.remove_sender(crm, jane, "Jane@ACME.example")
    assert addresses(crm) == ["jane@home.example"]
    add(crm, "jane@web.example")
    assert addresses(crm) == ["jane@web.example", "jane@home.example"]


def test_the_last_address_stays(crm: Crm, jane: str) -> None:
    with pytest.raises(Refused, match="is the last sender"):
        sender_addresses.remove_sender(crm, jane, jane)
    assert addresses(crm) == [jane]


def test_of_two_who_remove_the_last_two_one_is_refused(crm: Crm, jane: str, monkeypatch: pytest.MonkeyPatch) -> None:
    add(crm, "jane@home.example")
    both_have_read = Barrier(2)

    def read_and_meet(connection: Connection, user: User) -> Any:
        rows = sender_rows(connection, user)
        with suppress(BrokenBarrierError):  # who waits for the other's lock never comes
            both_have_read.wait(timeout=0.5)
        return rows

    def remove(address: str) -> bool:
        try:
            sender_addresses.remove_sender(crm, jane, address)
        except Refused:
            return False
        return True

    monkeypatch.setattr(sender_addresses, "sender_rows", read_and_meet)
    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(remove, [jane, "jane@home.example"])) == [False, True]
    assert len(addresses(crm)) == 1


def test_an_address_that_is_not_registered_cannot_be_removed(crm: Crm, jane: str) -> None:
    with pytest.raises(Refused, match=f"there are {JANE}"):
        sender_addresses.remove_sender(crm, jane, "other@home.example")


def test_two_users_may_share_an_address(crm: Crm, ben: str) -> None:
    assert add(crm, ben)
