"""The people a message was sent to, and what becomes of each (R14 to R18)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from operator import attrgetter

from worker.domain.addresses import Address
from worker.domain.mailboxes import Fault
from worker.domain.masking import without_anything_like_tokens, without_tokens
from worker.domain.messages import Head
from worker.domain.owners import Owner
from worker.domain.patterns import Module, Search
from worker.domain.records import AccountView, NewRecord, Record, best_match
from worker.domain.text import clean
from worker.domain.tokens import DropboxAddress
from worker.domain.verdicts import RecipientResult, RecipientTrace

MOST_NAMED = 200
"""How many of the recipients beyond the limit the trace names; the rest it counts."""

_MOST_OF_ENTRY = 100
"""Characters of an entry that cannot be read."""


@dataclass(frozen=True, slots=True)
class Recipients:
    """Those that count, and why the others do not."""

    counted: tuple[Address, ...]
    skipped: tuple[RecipientTrace, ...]


def recipients_of(head: Head, owner: Owner, dropbox: DropboxAddress, view: AccountView, most: int) -> Recipients:
    """R14: not the dropbox's own addresses, the owner's senders or the never-log list; the first ``most`` count."""
    found = head.addressees
    counted: list[Address] = []
    skipped = list(_unread(found.faults[:MOST_NAMED]))
    beyond = 0
    for address in found.addresses:
        if why := _exclusion(address, owner, dropbox, view):
            skipped.append(_skipped(without_tokens(address.text), why))
        elif len(counted) < most:
            counted.append(address)
        else:
            beyond += 1
            if beyond <= MOST_NAMED:
                skipped.append(_skipped(address.text, f"beyond the first {most} recipients"))
    if beyond > MOST_NAMED:
        skipped.append(_skipped(f"{beyond - MOST_NAMED} more", f"beyond the first {most} recipients"))
    return Recipients(tuple(counted), tuple(skipped))


def resolve(
    address: Address, owner: Owner, search: Search, view: AccountView, made: Iterable[NewRecord]
) -> RecipientTrace:
    """R15 to R17: the record of one recipient: found, made by this batch already, to be made, or none.

    ``made`` are the records of that address which earlier messages of the same batch make.
    """
    made_by_module = {record.module: record for record in made}
    known = view.records.get(address.key, ())
    for module in search.modules:
        if existing := best_match(known, module, owner.id):
            return _matched(address, existing, owner)
        if new := made_by_module.get(module):
            return RecipientTrace(
                address.text,
                RecipientResult.MATCHED,
                f"{module} made by an earlier message of the same poll",
                new,
            )
    if address.key in view.colleagues:
        return _skipped(address.text, "a colleague: never made a record, and none exists")
    where = _named(search.modules)
    if search.makes is None:
        return RecipientTrace(
            address.text,
            RecipientResult.UNMATCHED,
            f"nobody among {where}, and the pattern or permissions make none",
        )
    record = NewRecord(owner.account_id, search.makes, address, owner.id)
    return RecipientTrace(address.text, RecipientResult.CREATED, f"nobody among {where}: new {search.makes}", record)


@cache
def _named(modules: tuple[Module, ...]) -> str:
    return " or ".join(f"{module}s" for module in modules) or "no module"


def _matched(address: Address, record: Record, owner: Owner) -> RecipientTrace:
    whose = "the owner's own" if record.owner_id == owner.id else "the oldest"
    return RecipientTrace(address.text, RecipientResult.MATCHED, f"{whose} {record.module} with this address", record)


def _unread(faults: Iterable[Fault]) -> Iterator[RecipientTrace]:
    """One line for each entry that is not written as it should be; an address that is plain within it counts."""
    for entry, found in groupby(faults, key=attrgetter("entry")):
        why = "; ".join(dict.fromkeys(fault.what for fault in found))
        yield _skipped(
            clean(without_anything_like_tokens(entry), _MOST_OF_ENTRY), f"cannot be read whole: {without_tokens(why)}"
        )


def _exclusion(address: Address, owner: Owner, dropbox: DropboxAddress, view: AccountView) -> str | None:
    if dropbox.covers(address):
        return "a dropbox address"
    if address.key in owner.senders or address.key in owner.unproven_senders:
        return "the owner's own address"
    if address.key in view.never_log:
        return "on the never-log list"
    if address.domain in view.never_log:
        return f"{address.domain} is on the never-log list"
    return None


def _skipped(text: str, why: str) -> RecipientTrace:
    return RecipientTrace(text, RecipientResult.SKIPPED, why)
