"""What a test needs of the machine: named when missing, skipped here, a failure under CI."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import pytest

SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def unavailable(reason: str) -> NoReturn:
    """Skip the test that asked, or fail it where every server has to be there (CI=true)."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def require(program: str, package: str, folders: Iterable[Path | str] = ()) -> Path:
    """Find a server's program in PATH, the system's folders, or the ones given first."""
    path = os.pathsep.join([*map(str, folders), os.environ.get("PATH", ""), *SYSTEM_FOLDERS])
    found = shutil.which(program, path=path)
    if found is None:
        unavailable(f"{program} is missing: apt-get install {package}")
    return Path(found)


def require_root(server: str) -> None:
    if os.geteuid() != 0:
        unavailable(f"{server} can only be started by root")
