"""The settings of the interpreter that a poll borrows."""

import gc
import sys

import pytest

from worker.service.supervisor import at_work


def pace() -> tuple[float, tuple[int, int, int]]:
    return sys.getswitchinterval(), gc.get_threshold()


def fail_at_work() -> None:
    with at_work():
        raise ValueError("poison")


def test_a_poll_that_failed_gives_back_what_it_changed() -> None:
    before = pace()
    with at_work():
        assert pace() != before
    with pytest.raises(ValueError, match="poison"):
        fail_at_work()
    assert pace() == before
    assert gc.get_freeze_count() == 0


def test_of_two_polls_in_one_process_the_last_gives_it_back() -> None:
    before = pace()
    first, second = at_work(), at_work()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert pace() != before
    second.__exit__(None, None, None)
    assert pace() == before
    assert gc.get_freeze_count() == 0
