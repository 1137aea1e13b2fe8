"""Outages for days leave the worker as small as it was."""

import itertools
import subprocess
import sys

from tests.outages.between import CutHere
from tests.outages.conftest import InFrontOf
from tests.outages.ledger import Ledger

LETTERS, TURNS, WARM = 20, 120, 40
MOST_GROWTH = 3 * 1024 * 1024  # a body that is kept at each turn comes to four


class CutAtEachPlace:
    """Breaks each connection in the midst of a body: of the first, of the second, and so on in turn."""

    def __init__(self) -> None:
        self._places = itertools.cycle(range(LETTERS))
        self._left = next(self._places)

    def __call__(self, line: bytes, literal: bytes) -> tuple[bytes, bytes]:
        if b"BODY[] {" in line:
            if not self._left:
                self._left = next(self._places)
                raise CutHere(line + literal[: len(literal) // 2])
            self._left -= 1
        return line, literal


def test_memory_stays_flat_over_hundreds_of_fetches_that_break_off(ledger: Ledger, in_front_of: InFrontOf) -> None:
    ledger.deliver(LETTERS, size=50_000)
    in_front_of(ledger, CutAtEachPlace())
    ledger.installation.write()
    command = [sys.executable, "-m", "tests.outages.cycling", str(ledger.installation.env_file), str(TURNS)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    sizes, cut_short = zip(*(map(int, line.split()) for line in ran.stdout.splitlines()), strict=True)
    assert all(cut_short)
    assert max(sizes[WARM:]) - max(sizes[:WARM]) < MOST_GROWTH
    assert (ledger.outcomes(), ledger.count("attempt"), len(ledger.folder())) == ({}, 0, LETTERS)
