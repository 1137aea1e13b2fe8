"""How long a command takes to start."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from tests.benchmarks.finding import Finding
from tests.benchmarks.instance import Post
from tests.benchmarks.stage import Stage

MOST_HELP = 0.3
MOST_READING = 0.60
GOAL_OF_READING = "≤ 0.35 s"
"""Loading SQLModel alone takes about as long."""


def help_page(stage: Stage) -> Finding:
    return _start(stage, "start-help", ["--help"], MOST_HELP)


def status(stage: Stage) -> Finding:
    return _start(stage, "start-status", ["status"], MOST_READING, GOAL_OF_READING)


def users(stage: Stage) -> Finding:
    return _start(stage, "start-users", ["user", "list"], MOST_READING, GOAL_OF_READING)


def _start(stage: Stage, row: str, arguments: list[str], most: float, goal: str = "") -> Finding:
    program = str(Path(sys.executable).with_name("bcc-dropbox"))
    url = stage.database("sqlite", stage.effort.history)
    user = stage.mailbox(stage.letters(min(100, stage.effort.backlog)))
    environment = Post(stage.dovecot.imap, user, url).environment({})
    _seconds([program, *arguments], environment)  # the first one compiles
    bare: list[float] = []
    library: list[float] = []
    found: list[float] = []
    for _ in range(stage.effort.starts):
        bare.append(_seconds([sys.executable, "-c", "pass"], environment))
        library.append(_seconds([sys.executable, "-c", "import sqlmodel"], environment))
        found.append(_seconds([program, *arguments], environment))
    stage.remove_mailbox(user)
    stage.remove_database(url)
    seconds = median(found)
    return Finding(
        row=row,
        what=f"start of bcc-dropbox {' '.join(arguments)}",
        target=f"≤ {most:.2f} s",
        result=f"{seconds:.2f} s",
        yardstick=f"python -c pass: {median(bare):.2f} s; import sqlmodel: {median(library):.2f} s",
        passed=seconds <= most,
        goal=goal,
        figures={"seconds": found, "bare": bare, "library": library},
    )


def _seconds(command: Sequence[str], environment: dict[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.perf_counter() - started
