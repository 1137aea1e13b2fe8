"""What people see on a terminal: tables, colours, a progress bar; a real pseudo-terminal stands for it."""

import os
import re
from pathlib import Path

from tests.cli.conftest import JANE, CommandLine
from tests.harness.command import COMMAND
from tests.servers.terminal import run_on_terminal


def on_terminal(*arguments: str) -> tuple[int, str]:
    """Run the command on a terminal; gives the exit code and what stood on the screen, without its colours."""
    code, shown = run_on_terminal([COMMAND, *arguments], os.environ)
    return code, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())


def test_a_list_is_a_table_that_fits_and_shows_markup_as_it_is(cli: CommandLine) -> None:
    cli.ok("contact add carl@client.example --last-name", "[red]" + "x" * 80)
    code, shown = on_terminal("contact", "list")
    assert code == 0
    assert "[red]" in shown
    assert "─" in shown
    assert max(map(len, shown.splitlines())) <= 60
    assert shown.count("x") >= 80


def test_an_original_is_not_written_to_a_terminal(cli: CommandLine) -> None:
    code, shown = on_terminal("email", "export", "1")
    assert code == 1
    assert "-o FILE" in shown


def test_an_import_shows_its_progress_on_a_terminal_only(cli: CommandLine, tmp_path: Path) -> None:
    cli.ok(f"user add {JANE}")
    file = tmp_path / "people.csv"
    file.write_text("email\na@x.example\n")
    code, shown = on_terminal("contact", "import", str(file))
    assert code == 0
    assert "contacts" in shown
    assert "100%" in shown
    assert "%" not in cli.ok(f"contact import {file}").err
