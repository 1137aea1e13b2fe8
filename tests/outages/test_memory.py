"""Outages for days leave the worker as small as it was."""

import subprocess
import sys

import pytest

from tests.outages.between import CutHere
from tests.outages.conftest import InFrontOf
from tests.outages.ledger import Ledger

LETTERS, TURNS, WARM = 3, 60, 25
MOST_GROWTH = 3 * 1024 * 1024  # a body that is kept at each turn comes to eight


def cut_within_the_body(line: bytes, literal: bytes) -> tuple[bytes, bytes]:
    if b"BODY[] {" in line:
        raise CutHere(line + literal[: len(literal) // 2])
    return line, literal


@pytest.mark.timeout(300)
def test_memory_stays_flat_over_hundreds_of_fetches_that_break_off(ledger: Ledger, in_front_of: InFrontOf) -> None:
    ledger.deliver_letters(LETTERS, size=500_000)
    in_front_of(ledger, cut_within_the_body)
    ledger.write()
    command = [sys.executable, "-m", "tests.outages.cycling", str(ledger.env_file), str(TURNS)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    sizes, cut_short = zip(*(map(int, line.split()) for line in ran.stdout.splitlines()), strict=True)
    assert all(cut_short)
    assert max(sizes[WARM:]) - max(sizes[:WARM]) < MOST_GROWTH
    assert (ledger.outcomes(), len(ledger.folder())) == ({}, LETTERS)
    assert [strikes for _, strikes, _ in ledger.blamed()] == [0] * LETTERS
