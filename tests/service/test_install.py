"""`make install` and `make uninstall`, below a folder of the test's own."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACES = {
    "etc/bcc-dropbox/worker.env": 0o640,
    "etc/bcc-dropbox/worker.env.example": 0o644,
    "etc/systemd/system/bcc-dropbox.service": 0o644,
    "etc/systemd/system/bcc-dropbox@.service": 0o644,
    "usr/lib/sysusers.d/bcc-dropbox.conf": 0o644,
    "usr/local/bin/bcc-dropbox": 0o755,
}


def make(target: str, destination: Path) -> None:
    """Run it without the virtual environment, which takes long and a package index."""
    environment = {**os.environ, "WITHOUT_VENV": "1"}
    command = ["make", "--no-print-directory", "-C", str(ROOT), target, f"DESTDIR={destination}"]
    subprocess.run(command, env=environment, check=True, capture_output=True)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    make("install", tmp_path)
    return tmp_path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_everything_is_put_in_its_place(installed: Path) -> None:
    found = {str(path.relative_to(installed)): mode(path) for path in installed.rglob("*") if path.is_file()}
    assert found == PLACES
    assert mode(installed / "var/lib/bcc-dropbox") == 0o700
    assert mode(installed / "etc/bcc-dropbox") == 0o2750  # what root puts there is of the group that may read it


def test_installing_again_upgrades_and_keeps_the_settings(installed: Path) -> None:
    settings = installed / "etc/bcc-dropbox/worker.env"
    settings.write_text("BCC_DROPBOX_ADDRESS=ours@drop.example.com\n")
    unit = installed / "etc/systemd/system/bcc-dropbox.service"
    unit.write_text("old")
    make("install", installed)
    assert settings.read_text() == "BCC_DROPBOX_ADDRESS=ours@drop.example.com\n"
    assert unit.read_text() == (ROOT / "config/bcc-dropbox.service").read_text()


def test_uninstalling_leaves_settings_and_data(installed: Path) -> None:
    data = installed / "var/lib/bcc-dropbox/bcc-dropbox.sqlite3"
    data.write_text("mail")
    make("uninstall", installed)
    left = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    assert left == {"etc/bcc-dropbox/worker.env", "var/lib/bcc-dropbox/bcc-dropbox.sqlite3"}
