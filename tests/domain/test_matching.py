"""R16: which of several records is the recipient's."""

from datetime import timedelta

from tests.domain.made import NOW
from worker.domain.permissions import Module
from worker.domain.records import Record, best_match

DAY = timedelta(days=1)
MINE, THEIRS = 1, 2


def contact(number: int, owner: int | None, age: int) -> Record:
    return Record(number, Module.CONTACT, owner, NOW - age * DAY)


def test_the_owners_own_record_comes_first_however_young() -> None:
    old, own = contact(1, THEIRS, age=100), contact(2, MINE, age=1)
    assert best_match((old, own), Module.CONTACT, MINE) is own


def test_then_the_oldest() -> None:
    young, old, orphan = contact(1, THEIRS, age=1), contact(2, THEIRS, age=9), contact(3, None, age=5)
    assert best_match((young, old, orphan), Module.CONTACT, MINE) is old


def test_of_several_own_records_the_oldest() -> None:
    young, old = contact(1, MINE, age=1), contact(2, MINE, age=9)
    assert best_match((young, old), Module.CONTACT, MINE) is old


def test_of_two_equally_old_the_one_made_first() -> None:
    second, first = contact(8, THEIRS, age=1), contact(7, THEIRS, age=1)
    assert best_match((second, first), Module.CONTACT, MINE) is first


def test_only_the_module_asked_for_counts() -> None:
    assert best_match((contact(1, MINE, age=1),), Module.LEAD, MINE) is None
