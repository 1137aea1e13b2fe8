"""Time and memory of an import of all contacts, into an empty database and once more with nothing changed."""

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks.finding import Finding, megabytes, per_second
from tests.benchmarks.instance import wait
from tests.benchmarks.stage import Stage

LEAST = 20_000
"""Rows a second."""
MOST = 150_000_000
"""Bytes of memory."""
_PRIME = 1_000_003
"""Scatters the addresses over their index, as life does."""


def new(stage: Stage) -> Finding:
    return _import(stage, "import-new", again=False)


def unchanged(stage: Stage) -> Finding:
    return _import(stage, "import-again", again=True)


def _import(stage: Stage, row: str, *, again: bool) -> Finding:
    count = stage.effort.imported
    file = _contacts(stage.folder / "contacts.csv", count)
    url = stage.database("sqlite")
    seconds, peak = _run(file, url)
    if again:
        seconds, peak = _run(file, url)
    stage.remove_database(url)
    rate = count / seconds
    return Finding(
        row=row,
        what=f"import of {count:,} contacts, {'nothing changed' if again else 'into an empty SQLite'}",
        target=f"≥ {per_second(LEAST)}, ≤ {megabytes(MOST)}",
        result=f"{per_second(rate)}, {megabytes(peak)}",
        yardstick="rows of the file; most memory of the process",
        passed=rate >= LEAST and peak <= MOST,
        figures={"seconds": seconds, "peak": peak},
    )


def _contacts(path: Path, count: int) -> Path:
    with path.open("w", encoding="utf-8") as file:
        file.write("external_id,email,last_name,first_name\n")
        for number in range(count):
            place = number * 7919 % _PRIME
            address = f"someone{place:07d}@elsewhere{place % 50_021:05d}.example"
            file.write(f"CRM-{number:07d},{address},Client {number},Person\n")
    return path


def _run(file: Path, url: str) -> tuple[float, int]:
    """Import the file by the installed command; gives the seconds, and the most memory that the process had."""
    program = str(Path(sys.executable).with_name("bcc-dropbox"))
    environment = {**os.environ, "BCC_DROPBOX_ADDRESS": "drop@drop.example", "BCC_DROPBOX_DATABASE_URL": url}
    started = time.perf_counter()
    process = subprocess.Popen([program, "contact", "import", str(file)], env=environment, stdout=subprocess.DEVNULL)
    _, peak = wait(process)
    assert process.returncode == 0
    return time.perf_counter() - started, peak
