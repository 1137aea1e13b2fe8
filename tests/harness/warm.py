"""Run a command as a process of its own without the half second that imports take.

As a program this has imported the worker, and forks a process for each command on its standard input: the process has
its own environment, output, signals and exit code, and ends as the installed command does.
"""

import gc
import io
import os
import pickle
import pkgutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from queue import Empty, SimpleQueue
from tempfile import TemporaryDirectory

REPOSITORY = Path(__file__).parents[2]
_free: SimpleQueue["subprocess.Popen[bytes]"] = SimpleQueue()
"""Programs that wait for a command. They end when this process does, because their standard input closes."""


@dataclass(frozen=True)
class Order:
    """One command, and the files that its process writes to."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: str
    out: str
    err: str
    seconds: int


def run_warm(
    arguments: Sequence[str], environment: Mapping[str, str], timeout: float
) -> "subprocess.CompletedProcess[bytes]":
    """Run the command line to its end; from any thread.

    Raises:
        TimeoutExpired: it was still running after these seconds, and was killed.
    """
    with TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        order = Order(arguments, dict(environment), str(Path.cwd()), str(out), str(err), max(1, round(timeout)))
        code = _ordered(order)
        if code == -signal.SIGALRM:
            raise subprocess.TimeoutExpired(list(arguments), timeout, out.read_bytes(), err.read_bytes())
        return subprocess.CompletedProcess(list(arguments), code, out.read_bytes(), err.read_bytes())


def _ordered(order: Order) -> int:
    """Give the order to a program that is free and return the exit code of the process."""
    try:
        program = _free.get_nowait()
    except Empty:
        program = subprocess.Popen(
            [sys.executable, "-m", __name__], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
    assert program.stdin
    assert program.stdout
    pickle.dump(order, program.stdin)
    program.stdin.flush()
    code = int(program.stdout.readline())
    _free.put(program)
    return code


def _next_order() -> Order | None:
    """Fork a process for each order and return the order in that process; None when there are no more orders."""
    while True:
        try:
            order: Order = pickle.load(sys.stdin.buffer)
        except EOFError:
            return None
        process = os.fork()
        if not process:
            return order
        _, status = os.waitpid(process, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _become(order: Order) -> None:
    """Take on what a new process would be started with."""
    signal.alarm(order.seconds)
    write, create = os.O_WRONLY, os.O_CREAT
    for descriptor, opened in enumerate(
        (os.open(os.devnull, os.O_RDONLY), os.open(order.out, write | create), os.open(order.err, write | create))
    ):
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdin = io.TextIOWrapper(io.FileIO(0))
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w")))
    sys.stderr = io.TextIOWrapper(io.FileIO(2, "w"), errors="backslashreplace", write_through=True)
    os.environ.clear()
    os.environ.update(order.environment)
    time.tzset()
    os.chdir(order.folder)
    sys.argv = ["bcc-dropbox", *order.arguments]


def main() -> None:
    """Import the worker, then run the commands that are ordered."""
    import worker
    from worker.cli import main as run_command

    for module in pkgutil.walk_packages(worker.__path__, "worker."):
        if ".migrations" not in module.name and not module.name.endswith("__main__"):
            import_module(module.name)
    gc.freeze()
    if order := _next_order():
        _become(order)
        run_command()


if __name__ == "__main__":
    from tests.harness.warm import main as _main  # the orders are pickled under this name

    _main()
