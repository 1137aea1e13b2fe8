"""The worker's command under a wall clock that a file sets: `python -m tests.service.skewed FILE ARGUMENTS`.

libfaketime does not serve: with it, Python's sleeps hang.
"""

import datetime as dt
import sys
import time
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any


def skew(file: Path) -> None:
    """Set the clock of this process. To be called before anything else is imported."""
    real = time.time

    def skewed() -> float:
        return real() + float(file.read_text())

    class Meta(type(datetime)):  # type: ignore[misc]
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, datetime)

    class Skewed(datetime, metaclass=Meta):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.fromtimestamp(skewed(), tz)

    time.time = skewed
    dt.datetime = Skewed  # type: ignore[misc]


if __name__ == "__main__":
    skew(Path(sys.argv.pop(1)))
    from worker.cli import main

    main()
