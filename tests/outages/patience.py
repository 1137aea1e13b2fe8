"""Wait for a condition, and read what the log says about it."""

import time
from collections.abc import Callable

from tests.harness.running import PATIENCE, Running
from tests.outages.ledger import Ledger


def await_true(question: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait until the answer is true."""
    end = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < end, f"not within {seconds} seconds"
        time.sleep(0.05)


def await_balance(ledger: Ledger, mails: list[bytes], seconds: float = PATIENCE) -> None:
    """Wait until each mail is filed and moved; says what is still wrong when the time is up."""
    end = time.monotonic() + seconds
    while (wrong := ledger.differences(mails)) and time.monotonic() < end:
        time.sleep(0.1)
    assert wrong == []


def outages_told(service: Running) -> list[str]:
    """Return the log events about connections, in order."""
    return [name for name in service.names if name.startswith(("mailbox.", "database."))]
