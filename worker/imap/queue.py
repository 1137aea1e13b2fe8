"""Read the queue folder: its UIDs, and FETCHes in which one bad message does not stop the others."""

from collections.abc import Callable, Collection, Sequence

from worker.domain.errors import Unavailable, Withheld
from worker.imap.answers import Answer
from worker.imap.errors import ConnectionLost, SaidNo, Unreadable
from worker.imap.session import Session
from worker.imap.uidset import uid_sets

_WIDEST = 50_000
"""Messages per SEARCH: imaplib accepts lines up to one megabyte, and a UID takes up to eleven bytes."""
_MOST_FAILURES = 100
"""FETCHes that may fail in one call before the server counts as broken."""
_MOST_LOST = 20
"""Lost connections per call: enough to find one message among thousands at which the server hangs up."""


def uids_above(session: Session, above: int, most: int) -> list[int]:
    """Return the first ``most`` UIDs above ``above``; searches by sequence numbers, which have no gaps.

    Raises:
        Unavailable: the mail server is down, or does not do what it should.
    """
    found: list[int] = []
    first, width = 1, min(most, _WIDEST)
    while first <= session.present() and len(found) < most:
        floor = found[-1] if found else above
        last = first + width - 1
        window = f"{first}:{last}" if last < session.present() else f"{first}:*"
        told = session.expunged()
        # floor + 1:* always names the last message, also when its UID is lower (RFC 9051 §9, seq-range).
        answer = session.search([window, "UID", f"{floor + 1}:*"] if floor else [window])
        found += [uid for uid in answer if uid > floor]
        first = max(1, last + 1 - (session.expunged() - told))  # later messages have moved up
        width = min(width * 2, _WIDEST)
    return found[:most]


def fetch_each(session: Callable[[], Session], uids: Collection[int], items: str) -> dict[int, Answer]:
    """Fetch all with one FETCH; if that fails, halve the set again and again until the bad message is alone.

    The bad message is absent from the result. ``session`` returns a live session with the queue selected.

    Raises:
        Withheld: when the server refuses or hangs up and sends nothing at all.
    """
    answers: dict[int, Answer] = {}
    failures = lost = 0
    waiting: list[Sequence[int]] = [sorted(set(uids))] if uids else []
    while waiting:
        part = waiting.pop()
        failure = _fetch(session(), part, items, answers)
        if failure is None:
            continue
        failures += 1
        lost += isinstance(failure, ConnectionLost)
        if failures > _MOST_FAILURES or lost > _MOST_LOST:
            raise failure
        rest = [uid for uid in part if uid not in answers]
        if 0 < len(rest) < len(part):
            waiting.append(rest)
        elif len(rest) > 1:
            waiting += [rest[len(rest) // 2 :], rest[: len(rest) // 2]]
        elif rest and not waiting and not answers and isinstance(failure, Withheld):
            raise failure
    return answers


def _fetch(session: Session, uids: Sequence[int], items: str, answers: dict[int, Answer]) -> Unavailable | None:
    wanted = set(uids)
    refused: SaidNo | None = None
    for uid_set in uid_sets(uids):
        try:
            fetched = session.fetch(uid_set, items)
        except (Unreadable, ConnectionLost) as error:
            return error
        # Other UIDs are unsolicited answers.
        answers.update((uid, answer) for uid, answer in fetched.answers.items() if uid in wanted)
        refused = refused or fetched.refused
    return refused
