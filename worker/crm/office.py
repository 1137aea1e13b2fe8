"""Where an administrator works: a database, and the account that was named, if any was."""

from dataclasses import dataclass

from worker.store.database import Database


@dataclass(frozen=True, slots=True)
class Office:
    """What each use case is about; without an account named it is the only one there is."""

    database: Database
    account: str | None = None
