"""The demonstration as a newcomer runs it: no settings, no server, nothing left behind."""

import os
import subprocess
from pathlib import Path

from tests.harness.command import COMMAND


def test_the_demo_tells_its_whole_story_without_any_setting(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    told = subprocess.run([COMMAND, "demo"], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    shown = told.stdout + told.stderr
    for part in ("message.associated", "Sent Emails from CRM", "sender_not_registered", "revoked_token", "what to do"):
        assert part in shown, part
    received = told.stdout.partition("receiver.py verified and printed:")[2]
    assert "email.associated" in received
    assert "Shall we meet?" in received
    assert "whsec_" not in shown
    assert "INBOX        0" in told.stdout, "the queue is emptied"
    assert "Traceback" not in shown
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"
