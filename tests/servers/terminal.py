"""A command as a person starts it: on a terminal, which a pseudo-terminal stands for."""

import os
import pty
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.secrecy import judge


def run_on_terminal(command: list[str | Path], environment: Mapping[str, str], columns: int = 60) -> tuple[int, bytes]:
    """Run the command to its end; gives the exit code and every octet that the terminal was sent."""
    screen, terminal = pty.openpty()
    with subprocess.Popen(
        command,
        env={**environment, "TERM": "xterm", "COLUMNS": str(columns)},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    ) as process:
        os.close(terminal)
        shown = bytearray()
        try:
            while chunk := os.read(screen, 65536):
                shown += chunk
        except OSError:  # how Linux says that the other side is closed
            pass
    os.close(screen)
    judge(command, shown.decode(errors="replace"))
    return process.returncode, bytes(shown)
