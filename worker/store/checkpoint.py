"""Checkpoints SQLite's write-ahead log on a thread of its own, beside the work on the next batch."""

import threading
from contextlib import suppress

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError


class Checkpointer:
    """Runs one checkpoint at a time on a thread that ends with it.

    Nothing depends on it: SQLite checkpoints by itself when the log has grown, but then a commit waits for it.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = threading.Thread()

    def soon(self) -> None:
        """Start a checkpoint unless one is running. Call it from one thread only."""
        if not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="checkpoint", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Wait for a running checkpoint to end."""
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        with suppress(SQLAlchemyError, self._engine.dialect.loaded_dbapi.Error):
            connection = self._engine.raw_connection()
            try:
                connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)").close()
            finally:
                connection.close()
