"""Hostile mail through the whole: mail server, poll, database, every command that lists or shows it, the log.

`pytest tests/acceptance/test_hostile.py -s` prints what each letter takes.
"""

import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.hostile import letters_of_size, letters_of_text
from tests.harness.command import COMMAND, Ran
from tests.harness.installation import Dropbox
from tests.harness.letters import letter
from tests.raw import RAW
from tests.servers.terminal import run_on_terminal

JANE = "jane@acme.example"
LISTINGS = ["email list", "contact list", "lead list", "explain --since 1d", "status"]
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
MOST_SECONDS = 10.0
"""Of one processor, for one letter, the start of the command included."""
MOST_MEMORY = 400
"""MB of the whole process."""


def list_all(dropbox: Dropbox) -> Iterator[tuple[str, Ran]]:
    """Every command that shows anything."""
    shown = [f"email show {email['id']}" for email in dropbox.admin("email", "list", "--json").json]
    for line in [*LISTINGS, *shown]:
        yield line, dropbox.admin(*line.split())
        json = dropbox.admin(*line.split(), "--json")
        assert json.out.isascii()
        yield f"{line} --json", json


def test_no_text_of_a_sender_reaches_a_log_a_pipe_or_a_terminal_raw(
    dropbox_on: Callable[[str], Dropbox], url: str
) -> None:
    dropbox = dropbox_on(url)
    sent = letters_of_text(dropbox.add_user(JANE))
    for raw in sent.values():
        dropbox.deliver(raw)
    polled = dropbox.ok("poll", "--json")
    assert polled.json["associated"] == len(sent)
    others = ["sender_auth.off", "poll.finished"]
    assert [line["event"] for line in polled.events if line["event"] != "message.associated"] == others
    assert len(polled.err.splitlines()) == len(sent) + len(others)
    assert RAW.search(polled.err) is None
    for line, ran in list_all(dropbox):
        assert RAW.search(ran.out + ran.err) is None, line


def test_nothing_but_colours_moves_a_terminal(dropbox: Dropbox) -> None:
    for raw in letters_of_text(dropbox.add_user(JANE)).values():
        dropbox.deliver(raw)
    for line in ["poll", "email list", "contact list", "explain --since 1d"]:
        code, octets = run_on_terminal([COMMAND, *line.split()], dropbox.environment, columns=200)
        shown = COLOURS.sub("", octets.decode()).replace("\r\n", "\n")
        assert code == 0, shown
        assert RAW.search(shown) is None, line


def test_html_is_text_and_never_markup(dropbox: Dropbox) -> None:
    html = "<style>p{}</style><script>alert(1)</script><p>Hello <b>[bold]you[/bold]</b> &lt;i&gt;</p>"
    dropbox.deliver(letter(dropbox.add_user(JANE), body=html, Content_Type="text/html"))
    dropbox.poll()
    [email] = dropbox.ok("email", "list", "--json").json
    shown = dropbox.ok("email", "show", str(email["id"]), "--json").json
    assert shown["snippet"] == "Hello [bold]you[/bold] <i>"
    _, octets = run_on_terminal([COMMAND, "email", "show", str(email["id"])], dropbox.environment)
    assert "Hello [bold]you[/bold] <i>" in octets.decode()
    assert b"\x1b" not in octets


def test_an_export_writes_only_where_it_is_told(
    dropbox: Dropbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the subject nor the name of an attachment names a file."""
    body = '--b\nContent-Disposition: attachment; filename="../escaped.txt"\n\nz\n--b--\n'
    raw = letter(
        dropbox.add_user(JANE), subject="../escaped.eml", body=body, Content_Type="multipart/mixed; boundary=b"
    )
    dropbox.deliver(raw)
    dropbox.poll()
    [email] = dropbox.ok("email", "list", "--json").json
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    assert dropbox.ok("email", "export", str(email["id"])).out.encode() == raw
    dropbox.ok("email", "export", str(email["id"]), "-o", "copy.eml")
    assert [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*")] == [Path("b"), Path("b/copy.eml")]


@pytest.mark.timeout(300)
def test_each_letter_takes_bounded_time_and_memory(dropbox: Dropbox) -> None:
    table = []
    for name, raw in letters_of_size(dropbox.add_user(JANE)).items():
        dropbox.deliver(raw)
        began = time.monotonic()
        ran, took = dropbox.measured("poll")
        [end] = [event for event in ran.events if event["event"].startswith("message.")]
        table.append(
            f"{name:32} {len(raw) / 1e6:5.1f} MB {time.monotonic() - began:6.1f} s {took.seconds:6.2f} s CPU"
            f" {took.megabytes:5.0f} MB RSS  {end['event']} {end.get('reason', '')}"
        )
        assert end["event"] in {"message.associated", "message.rejected"}, table[-1]
        assert took.seconds < MOST_SECONDS, table[-1]
        assert took.megabytes < MOST_MEMORY, table[-1]
    sys.stdout.write("\n" + "\n".join(table) + "\n")
    assert dropbox.folder() == []


def test_they_all_end_in_one_poll_on_either_database(dropbox_on: Callable[[str], Dropbox], url: str) -> None:
    dropbox = dropbox_on(url)
    sent = letters_of_size(dropbox.add_user(JANE))
    for raw in sent.values():
        dropbox.deliver(raw)
    ended = dropbox.poll()
    assert sum(ended.values()) == len(sent)
    assert set(ended) == {"associated", "rejected"}
    assert dropbox.folder() == []
    assert len(list(list_all(dropbox))) > len(sent)
