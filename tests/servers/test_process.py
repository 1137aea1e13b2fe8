"""A server never outlives the test run that started it, however that run ends."""

import subprocess
import sys
from pathlib import Path

from tests.harness.running import await_true

ROOT = Path(__file__).parents[2]
START_AND_DIE = """
import os, signal
from tests.servers.process import ServerProcess, new_folder

folder = new_folder("orphan")
server = ServerProcess("orphan", ["sleep", "600"], folder, ready=lambda: True)
server.start()
print(server.pid, folder, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def runs(pid: str) -> bool:
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())  # empty for what only waits for init
    except FileNotFoundError:
        return False


def test_a_server_ends_and_cleans_up_when_the_test_run_is_killed() -> None:
    killed = subprocess.run(
        [sys.executable, "-c", START_AND_DIE], cwd=ROOT, capture_output=True, text=True, check=False
    )
    pid, folder = killed.stdout.split()
    await_true(lambda: not runs(pid) and not Path(folder).exists())
