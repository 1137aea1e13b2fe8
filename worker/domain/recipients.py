"""The people whom a message was sent to, and the record of each (R14 to R18)."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import groupby
from operator import attrgetter

from worker.domain.address_lists import Fault
from worker.domain.addresses import Address
from worker.domain.messages import Head
from worker.domain.outcomes import Code, Detail, detail
from worker.domain.permissions import Module, Search
from worker.domain.records import AccountView, NewRecord, Record, best_match
from worker.domain.text import address_without_tokens, clean, without_anything_like_tokens
from worker.domain.tokens import DropboxAddress, Owner
from worker.domain.verdicts import RecipientResult, RecipientTrace

MOST_NAMED = 200
"""How many recipients beyond the limit the trace names. The rest is counted."""

_MOST_OF_ENTRY = 100
"""Characters of an entry that cannot be read."""

_NOT_ON_THE_INTERNET = frozenset({"internal", "invalid", "local", "localdomain", "localhost"})
"""Top-level domains that are never delegated (RFC 6761, RFC 6762, ICANN)."""
_EXCHANGE_INTERNAL = re.compile(
    r"imcea[a-z0-9]*-"  # an address of another kind, encapsulated: IMCEAEX-_O=ACME_OU=…, IMCEAFAX-…
    r"|/[a-z0-9.]+="  # a distinguished name: /O=ACME/OU=…, /C=US/A=…
    r"|(?:health|system|discoverysearch)mailbox[{0-9a-f]"
    r"|(?:federatedemail|migration|systemmailbox)[.{][0-9a-f]{8}-"
    r"|microsoftexchange[0-9a-f]{32}$"
)
_RECIPIENTS = (
    *("recipient", "destinata", "empfanger", "empfaenger", "ontvanger", "mottagar", "mottaker", "modtager"),
    *("odbiorc", "prijemc", "cimzett", "vastaanottaj", "получател"),
)
"""*Recipients* in the languages of mail programs, without accents."""
_UNDISCLOSED = (
    *("undisclos", "notdisclos", "unlisted", "unspecif", "notspecif", "suppress", "hidden", "notshown", "unknown"),
    *("verborgen", "versteckt", "ungenannt", "unbekannt", "nichtoffen", "nichtgenannt", "nietnader", "onbekend"),
    *("inconnu", "divulg", "masque", "cache", "revel", "ocult", "desconocid", "desconhecid", "especificad"),
    *("nascost", "sconosciut", "specificat", "rivelat", "dold", "hemlig", "okand", "skjult", "oplyst", "opplyst"),
    *("ukryt", "ukryc", "ujawn", "skryt", "nezverejn", "rejtett", "salat", "piilot", "julkaisemat", "скрыт"),
)
"""*Undisclosed* in the same languages."""


@dataclass(slots=True)
class Allowance:
    """The number of records that one owner's mail may still make today (R13)."""

    limit: int
    made: int = 0

    def take(self) -> bool:
        """Count one more record; False where the limit is reached."""
        if self.made >= self.limit:
            return False
        self.made += 1
        return True


@dataclass(frozen=True, slots=True)
class Recipients:
    """The recipients that count, and why the others do not."""

    counted: tuple[Address, ...]
    skipped: tuple[RecipientTrace, ...]


def recipients_of(head: Head, owner: Owner, dropbox: DropboxAddress, view: AccountView, most: int) -> Recipients:
    """Return which recipients of a message count, and which do not, or cannot be read (R14)."""
    found = head.addressees
    unread = tuple(_unread(found.faults[:MOST_NAMED]))
    counting = counting_among(found.addresses, owner, dropbox, view, most)
    return replace(counting, skipped=(*unread, *counting.skipped)) if unread else counting


def counting_among(
    addresses: Iterable[Address], owner: Owner, dropbox: DropboxAddress, view: AccountView, most: int
) -> Recipients:
    """Return who counts: the first ``most`` without dropbox addresses, the owner's own, the never-log list."""
    counted: list[Address] = []
    skipped: list[RecipientTrace] = []
    beyond = 0
    for address in addresses:
        if why := _exclusion(address, owner, dropbox, view):
            skipped.append(_skipped(address_without_tokens(address.text), why))
        elif len(counted) < most:
            counted.append(address)
        else:
            beyond += 1
            if beyond <= MOST_NAMED:
                skipped.append(_skipped(address.text, detail(Code.BEYOND_LIMIT, limit=most)))
    if beyond > MOST_NAMED:
        skipped.append(_skipped("", detail(Code.MORE_BEYOND_LIMIT, count=beyond - MOST_NAMED, limit=most)))
    return Recipients(tuple(counted), tuple(skipped))


def resolve(  # noqa: PLR0913, PLR0917 - what is known of one recipient
    address: Address, owner: Owner, search: Search, view: AccountView, made: Iterable[NewRecord], allowance: Allowance
) -> RecipientTrace:
    """Find the record of one recipient, or say which to make (R15 to R17).

    ``made`` are the records that earlier messages of the same batch make for this address. ``allowance`` bounds how
    many the owner's mail may make (R13).
    """
    made_by_module = {record.module: record for record in made}
    known = view.records.get(address.key, ())
    for module in search.modules:
        if existing := best_match(known, module, owner.id):
            return _matched(address, existing, owner)
        if new := made_by_module.get(module):
            return RecipientTrace(
                address.text, RecipientResult.MATCHED, detail(Code.JUST_MADE, module=module.value), new
            )
    if why := _no_customer(address, view):
        return _skipped(address.text, why)
    if search.makes is None:
        why = detail(Code.NOBODY_FOUND, searched=_named(search.modules))
        return RecipientTrace(address.text, RecipientResult.UNMATCHED, why)
    if not allowance.take():
        why = detail(Code.NEW_RECORDS_LIMIT, limit=allowance.limit)
        return RecipientTrace(address.text, RecipientResult.UNMATCHED, why)
    record = NewRecord(owner.account_id, search.makes, address, owner.id)
    why = detail(Code.NEW_RECORD, searched=_named(search.modules), module=search.makes.value)
    return RecipientTrace(address.text, RecipientResult.CREATED, why, record)


def _no_customer(address: Address, view: AccountView) -> Detail | None:
    """Return why no record is made of an address, or None. A record that exists still matches (R14)."""
    if address.key in view.colleagues:
        return detail(Code.COLLEAGUE)
    return _why_no_customer(address)


@lru_cache(maxsize=4096)
def _why_no_customer(address: Address) -> Detail | None:
    """Return why no customer can have this address, or None."""
    local, _, domain = address.key.rpartition("@")
    top = domain.rpartition(".")[2]
    if top == domain:
        return detail(Code.DOMAIN_WITHOUT_DOT)
    if top in _NOT_ON_THE_INTERNET or top.isdigit():  # an IPv4 address
        return detail(Code.DOMAIN_WITHIN_NETWORK, top=top)
    if _EXCHANGE_INTERNAL.match(local.lstrip('"')):
        return detail(Code.EXCHANGE_INTERNAL)
    letters = "".join(char for char in unicodedata.normalize("NFKD", local) if char.isalpha())
    if any(stem in letters for stem in _RECIPIENTS) and any(stem in letters for stem in _UNDISCLOSED):
        return detail(Code.UNDISCLOSED)
    return None


@cache
def _named(modules: tuple[Module, ...]) -> tuple[str, ...]:
    return tuple(module.value for module in modules)


def _matched(address: Address, record: Record, owner: Owner) -> RecipientTrace:
    code = Code.OWN_RECORD if record.owner_id == owner.id else Code.OLDEST_RECORD
    why = detail(code, module=record.module.value)
    return RecipientTrace(address.text, RecipientResult.MATCHED, why, record)


def _unread(faults: Iterable[Fault]) -> Iterator[RecipientTrace]:
    """Yield one line for each entry with a fault. An address that is whole within it still counts."""
    for entry, found in groupby(faults, key=attrgetter("entry")):
        whats = tuple(dict.fromkeys(fault.what for fault in found))
        shown = clean(without_anything_like_tokens(entry), _MOST_OF_ENTRY)
        yield _skipped(shown, detail(Code.ENTRY_UNREADABLE, faults=whats))


def _exclusion(address: Address, owner: Owner, dropbox: DropboxAddress, view: AccountView) -> Detail | None:
    """Return why an address does not count as a recipient, or None (R14)."""
    if dropbox.covers(address):
        return detail(Code.DROPBOX_ADDRESS)
    if owner.sends_as(address):
        return detail(Code.OWN_ADDRESS)
    if address.key in view.never_log:
        return detail(Code.NEVER_LOG)
    if address.domain in view.never_log:
        return detail(Code.NEVER_LOG_DOMAIN, domain=address.domain)
    return None


def _skipped(text: str, why: Detail) -> RecipientTrace:
    return RecipientTrace(text, RecipientResult.SKIPPED, why)
