"""How much is measured: the whole table as the targets state it, or a small share of it in under two minutes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """Counts are messages unless named otherwise."""

    pairs: int
    backlog: int
    history: int
    """Contacts, and as many stored emails, that are already there."""
    near_backlog: int
    """On a connection without delay: round trips are counted."""
    far_backlog: int
    """On a connection with delay."""
    one_by_one: int
    rejected: int
    oversize: int
    arrivals: int
    polled_arrivals: int
    poll_seconds: int
    events: int
    """Events that wait for a receiver."""
    idle_polls: int
    idle_seconds: int
    memory_backlog: int
    long_backlog: int
    large_messages: int
    sized: int
    imported: int
    """Contacts in a file."""
    starts: int


FULL = Effort(
    pairs=3,
    backlog=10_000,
    history=1_000_000,
    near_backlog=5_000,
    far_backlog=5_000,
    one_by_one=200,
    rejected=2_000,
    oversize=40,
    arrivals=200,
    polled_arrivals=20,
    poll_seconds=5,
    events=100_000,
    idle_polls=60,
    idle_seconds=120,
    memory_backlog=10_000,
    long_backlog=50_000,
    large_messages=200,
    sized=2_000,
    imported=1_000_000,
    starts=11,
)
QUICK = Effort(
    pairs=3,
    backlog=1_000,
    history=20_000,
    near_backlog=1_000,
    far_backlog=800,
    one_by_one=20,
    rejected=200,
    oversize=4,
    arrivals=6,
    polled_arrivals=2,
    poll_seconds=2,
    events=3_000,
    idle_polls=4,
    idle_seconds=4,
    memory_backlog=1_500,
    long_backlog=2_500,
    large_messages=8,
    sized=500,
    imported=50_000,
    starts=5,
)
