"""Carries what was committed from SQLite's write-ahead log into its file, beside the work on the next batch."""

import threading
from contextlib import suppress

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError


class Checkpointer:
    """One checkpoint at a time, on a thread of its own that lives as long as there is something to do.

    Nothing depends on it: SQLite makes one itself when the log has grown, within a commit and while that commit waits.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = threading.Thread()

    def soon(self) -> None:
        """Begin one unless one is under way. Not for two threads at once."""
        if not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="checkpoint", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Wait for the one that is under way."""
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        with suppress(SQLAlchemyError, self._engine.dialect.loaded_dbapi.Error):
            connection = self._engine.raw_connection()
            try:
                connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)").close()
            finally:
                connection.close()
