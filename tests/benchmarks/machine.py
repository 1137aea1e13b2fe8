"""How busy the machine is: the worker, the servers and the system together."""

import os
from pathlib import Path

CORES = os.cpu_count() or 1
_IDLE = slice(3, 5)
"""Idle, and waiting for a disk: all else is work (proc(5))."""


def busy_seconds() -> float:
    """Processor seconds since the machine was started, of all cores together."""
    first, *_ = Path("/proc/stat").read_text().splitlines()
    ticks = [int(number) for number in first.split()[1:8]]
    return (sum(ticks) - sum(ticks[_IDLE])) / os.sysconf("SC_CLK_TCK")
