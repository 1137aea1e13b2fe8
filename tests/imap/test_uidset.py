"""UID sets: as short as they can be, and never too long for a server."""

from hypothesis import given
from hypothesis import strategies as st

from worker.imap.folders import members, uid_sets


def test_consecutive_uids_are_written_as_a_range() -> None:
    assert list(uid_sets([7, 1, 2, 3, 9, 3])) == ["1:3,7,9"]


def test_no_uids_are_no_set() -> None:
    assert list(uid_sets([])) == []


def test_a_set_that_would_be_too_long_for_a_command_is_split() -> None:
    scattered = range(1_000_000_000, 1_000_010_000, 2)
    sets = list(uid_sets(scattered))
    assert max(map(len, sets)) <= 6000
    assert [uid for one in sets for uid in members(one)] == list(scattered)


def test_a_backlog_without_gaps_is_one_short_set_whatever_its_size() -> None:
    assert list(uid_sets(range(1, 1_000_001))) == ["1:1000000"]


@given(st.sets(st.integers(1, 2**32 - 1)))
def test_what_is_written_names_the_same_uids(uids: set[int]) -> None:
    assert [uid for one in uid_sets(uids, 40) for uid in members(one)] == sorted(uids)
