"""What people and imports change of a record, and what the record is afterwards (R24, R25)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, TypeVar

from worker.domain.addresses import Address

_V = TypeVar("_V")


class Unset(Enum):
    """A column that a file does not have, or an option that was not given."""

    UNSET = 0


UNSET: Final = Unset.UNSET


@dataclass(frozen=True, slots=True)
class RecordState:
    """Everything of a record that people can change. ``others`` are addresses that it also matches by."""

    external_id: str | None = None
    last_name: str = ""
    first_name: str = ""
    owner_id: int | None = None
    source: str = ""
    email: Address | None = None
    secondary_email: Address | None = None
    others: tuple[Address, ...] = ()

    def addresses(self) -> Iterator[Address]:
        """Give every address, the primary one first."""
        if self.email:
            yield self.email
        if self.secondary_email:
            yield self.secondary_email
        yield from self.others

    def is_written_as(self, other: "RecordState") -> bool:
        """Tell whether nothing has to be written: also the spelling of each address is the same."""
        return self == other and (self is other or self.spelling() == other.spelling())

    def spelling(self) -> list[tuple[str, str]]:
        """Return key and text of each address: addresses are equal by their keys alone."""
        return [(address.key, address.text) for address in self.addresses()]


@dataclass(frozen=True, slots=True)
class RecordChange:
    """The columns of one row of a file, or the options of a command: what is unset stays, what is empty is cleared."""

    external_id: str | Unset | None = UNSET
    last_name: str | Unset = UNSET
    first_name: str | Unset = UNSET
    owner: str | Unset | None = UNSET
    """A login."""
    source: str | Unset = UNSET
    email: Address | Unset | None = UNSET
    secondary_email: Address | Unset | None = UNSET
    add: tuple[Address, ...] = ()
    remove: tuple[Address, ...] = ()
    line: int = 0
    """Of the file, counted from 1."""


def changed(state: RecordState, change: RecordChange, owner_id: int | Unset | None) -> RecordState:
    """Return the record after the change. A changed address keeps matching (R25); a cleared one does not.

    A record without a name is named by its email, else by its external ID.
    """
    email = _chosen(change.email, state.email)
    secondary = _chosen(change.secondary_email, state.secondary_email)
    if secondary == email:
        secondary = None
    external_id = _chosen(change.external_id, state.external_id)
    last_name = _chosen(change.last_name, state.last_name)
    return RecordState(
        external_id,
        last_name or (email.text if email else external_id or ""),
        _chosen(change.first_name, state.first_name),
        _chosen(owner_id, state.owner_id),
        _chosen(change.source, state.source),
        email,
        secondary,
        _others(state, change, (email, secondary)),
    )


def merged(state: RecordState, gone: RecordState) -> RecordState:
    """Return the record after another was merged into it: it gets the addresses, and the key if it has none."""
    kept = list(state.addresses())
    moved = [address for address in gone.addresses() if address not in kept]
    return replace(state, external_id=state.external_id or gone.external_id, others=(*state.others, *moved))


def _chosen(new: _V | Unset, old: _V) -> _V:
    if new is UNSET:
        return old
    return new


def _others(state: RecordState, change: RecordChange, present: tuple[Address | None, ...]) -> tuple[Address, ...]:
    if (state.email is None or state.email in present) and not (state.secondary_email or state.others or change.add):
        return ()  # nearly always
    replaced = [
        old
        for old, new in ((state.email, change.email), (state.secondary_email, change.secondary_email))
        if old and new and not isinstance(new, Unset)
    ]
    kept = dict.fromkeys((*state.others, *replaced, *change.add))
    return tuple(address for address in kept if address not in present and address not in change.remove)
