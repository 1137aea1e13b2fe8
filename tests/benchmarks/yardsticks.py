"""What the worker is measured against, each in a process of its own: clients that only fetch.

``python -m tests.benchmarks.yardsticks bulk|single PORT USER PASSWORD`` prints what it did as JSON.
"""

import json
import sys
import time
from collections.abc import Iterator

from imapclient import IMAPClient

AT_ONCE = 200


def bulk(client: IMAPClient) -> tuple[int, int]:
    """Fetch all bodies, two hundred at a time."""
    return _fetched(client, AT_ONCE)


def single(client: IMAPClient) -> tuple[int, int]:
    """Fetch all bodies, one at a time, as most fetching clients do; it does not even move them."""
    return _fetched(client, 1)


KINDS = {"bulk": bulk, "single": single}


def _fetched(client: IMAPClient, at_once: int) -> tuple[int, int]:
    messages = octets = 0
    for uids in _chunks(client.search("ALL"), at_once):
        for found in client.fetch(uids, ["BODY.PEEK[]"]).values():
            messages += 1
            octets += len(found[b"BODY[]"])
    return messages, octets


def _chunks(uids: list[int], size: int) -> Iterator[list[int]]:
    return (uids[start : start + size] for start in range(0, len(uids), size))


def main(kind: str, port: str, user: str, password: str) -> None:
    """Connect, select, search, fetch; the time runs from the connecting on, as it does for the worker's poll."""
    started = time.perf_counter()
    with IMAPClient("127.0.0.1", port=int(port), ssl=False, timeout=120) as client:
        client.login(user, password)
        client.select_folder("INBOX", readonly=True)
        messages, octets = KINDS[kind](client)
        seconds = time.perf_counter() - started
    json.dump({"messages": messages, "octets": octets, "seconds": seconds}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
