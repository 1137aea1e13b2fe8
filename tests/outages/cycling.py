"""A worker that takes turn after turn without a pause and tells its size: `python -m tests.outages.cycling ENV N`."""

import gc
import os
import sys
from contextlib import closing
from pathlib import Path

import structlog

from worker.bootstrap import compose
from worker.service.turns import Turns
from worker.settings import Settings


def resident() -> int:
    """Octets of this process's memory that are in use."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main(env_file: str, turns: str) -> None:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with closing(compose(Settings.load_for_mailbox(Path(env_file)))) as parts:
        worker = Turns(parts)
        worker.prepare()
        for _ in range(int(turns)):
            report = worker.take()
            cut_short = report is not None and report.outage is not None
            sys.stdout.write(f"{resident()} {int(cut_short)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
