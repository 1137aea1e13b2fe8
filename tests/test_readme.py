"""Compare the README's tables with the program: they list its settings, events, commands and reasons, and no others."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from worker.cli.app import ENTRIES, LazyCommands
from worker.domain.outcomes import Reason
from worker.logs import Event
from worker.settings import Settings

ROOT = Path(__file__).parents[1]
UNSET = "\N{EN DASH}"
WITHOUT_FIXED_DEFAULT = {
    "imap_port": "993 or 143",
    "database_url": "an SQLite file in the state directory",
    "keep_emails_days": "never",
    "sender_auth": "required with AUTHSERV_ID",
}
"""What the table shows for these in place of a dash."""


def rows_below(heading: str) -> list[list[str]]:
    """Return the cells of the table that begins with this line."""
    lines = (ROOT / "README.md").read_text().splitlines()
    found = []
    for line in lines[lines.index(heading) + 2 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return found


def quoted_in_first_cells(heading: str) -> list[str]:
    return [word for cells in rows_below(heading) for word in re.findall(r"`([^`]+)`", cells[0])]


def shown_default(name: str) -> str:
    """Return the default of a setting as the table has to show it."""
    default = getattr(Settings.model_construct(), name)
    if isinstance(default, tuple):
        return f"{default[0]} … {default[-1]}"
    if not default or isinstance(default, SecretStr):
        return WITHOUT_FIXED_DEFAULT.get(name, UNSET)
    return str(default)


def verbs_of(name: str) -> list[str]:
    """Return the subcommands of a command."""
    command: Any = LazyCommands().get_command(None, name)
    return list(getattr(command, "commands", ()))


def test_every_setting_is_told_once_and_no_other() -> None:
    told = quoted_in_first_cells("| setting | default | |")
    assert sorted(told) == sorted(name.upper() for name in Settings.model_fields)


def test_every_default_is_told_as_it_is() -> None:
    for cells in rows_below("| setting | default | |"):
        names = [name.lower() for name in re.findall(r"`([^`]+)`", cells[0])]
        stated = cells[1].replace("`", "").split(", ")
        stated = stated * len(names) if stated == [UNSET] else stated
        assert stated == [shown_default(name) for name in names], names


def test_every_event_is_told_once_and_no_other() -> None:
    told = quoted_in_first_cells("| `event` | level | what it means | what to do |")
    assert sorted(told) == sorted(Event)


def test_every_reason_is_told_once_and_no_other() -> None:
    told = quoted_in_first_cells("| reason of `rejected` | meaning |")
    assert sorted(told) == sorted(Reason)


def test_every_command_is_told_and_no_other() -> None:
    told: dict[str, list[str]] = {}
    for line in quoted_in_first_cells("| command | |"):
        names, *more = line.split()
        for name in names.split("|"):
            told[name] = more[0].split("|") if more else []
    assert set(told) == set(ENTRIES)
    for name in ENTRIES:
        if verbs := verbs_of(name):
            assert sorted(told[name]) == sorted(verbs), name


@pytest.mark.parametrize(
    "document", sorted(path.relative_to(ROOT) for path in [ROOT / "README.md", *ROOT.glob("config/**/*.md")])
)
def test_what_a_document_links_to_is_there(document: Path) -> None:
    text = (ROOT / document).read_text()
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("#").strip().lower()).replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("#")
    }
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in headings
        else:
            assert (ROOT / document).parent.joinpath(target).exists(), target
