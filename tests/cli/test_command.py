"""The command as a whole: its help, its errors, its start-up time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine
from tests.harness.command import COMMAND, Ran, as_variables, run_installed, with_variables
from worker import __version__
from worker.cli.app import ENTRIES


def process(*arguments: str, **settings: str) -> Ran:
    return run_installed(arguments, with_variables(as_variables(settings)))


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/dropbox.db"


def test_help_lists_every_command(cli: CommandLine) -> None:
    out = cli.ok("--help").out
    for name in ENTRIES:
        assert f"\n  {name} " in out


@pytest.mark.parametrize("name", [name for name, entry in ENTRIES.items() if entry.attribute.endswith("app")])
def test_every_noun_has_a_help_with_whole_sentences(cli: CommandLine, name: str) -> None:
    out = cli.ok(f"{name} --help").out
    assert ENTRIES[name].summary in " ".join(out.split())
    assert "..." not in out.partition("Commands:")[2]


def test_the_version_is_told(cli: CommandLine) -> None:
    assert cli.ok("--version").out == f"bcc-dropbox {__version__}\n"


@pytest.mark.parametrize("line", ["", "nonsense", "user", "user nonsense", "user add", "contact list --limit -1"])
def test_wrong_usage_is_exit_2(cli: CommandLine, line: str) -> None:
    assert "Usage: bcc-dropbox" in cli.misused(line)


def test_an_env_file_gives_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "worker.env"
    file.write_text(f"BCC_DROPBOX_ADDRESS=mail@in.example\nBCC_DROPBOX_DATABASE_URL=sqlite:///{tmp_path}/x.db\n")
    ran = process("--env-file", str(file), "user", "add", "jane@acme.example")
    assert "@in.example" in ran.out
    assert (tmp_path / "x.db").exists()


def test_every_wrong_setting_is_a_line_of_its_own(url: str) -> None:
    ran = process("user", "list", DATABASE_URL=url, POLL_SECONDS="soon", COLOUR="red")
    assert (ran.code, ran.out) == (1, "")
    lines = ran.err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("error: BCC_DROPBOX_") for line in lines)


def test_without_the_catch_all_address_no_user_is_made(url: str) -> None:
    ran = process("user", "add", "jane@acme.example", DATABASE_URL=url)
    assert ran.code == 1
    assert "BCC_DROPBOX_ADDRESS" in ran.err
    assert process("account", "list", "--json", DATABASE_URL=url).out == "[]\n"


def test_a_database_that_is_down_is_one_line() -> None:
    url = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"
    ran = process("user", "list", DATABASE_URL=url)
    assert (ran.code, ran.out) == (1, "")
    [line] = ran.err.splitlines()
    assert line.startswith("error: database: ")


def test_a_reader_that_leaves_is_no_error(url: str) -> None:
    assert process("never-log", "add", "bank.example", DATABASE_URL=url).code == 0
    reader, writer = os.pipe()
    os.close(reader)
    environment = os.environ | {"BCC_DROPBOX_DATABASE_URL": url}
    ran = subprocess.run(
        [COMMAND, "never-log", "list"], env=environment, stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    assert ran.stderr == b""


def test_it_runs_as_a_module_too(url: str) -> None:
    ran = subprocess.run([sys.executable, "-m", "worker", "--help"], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("Usage: bcc-dropbox ")


HEAVY = ("sqlalchemy", "sqlmodel", "rich", "imapclient", "structlog", "apscheduler", "alembic", "vobject")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["user", "--help"], ["lead", "add", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys\nfrom worker.cli import main\n"
        f"sys.argv[1:] = {arguments!r}\n"
        "try:\n    main()\nfinally:\n"
        f"    print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stderr.strip() == "[]"


BROKEN_LIST = """
import worker.crm.users as users
def fail(*given, **named):
    raise KeyError(TEXT)
users.list_users = fail
sys.argv[1:] = ["user", "list"]
"""
BROKEN_DEMO = """
import worker.demo as demo
def tell(commands, say):
    commands.run(["account", "list"])
    raise KeyError(TEXT)
demo.tell = tell
sys.argv[1:] = ["demo"]
"""


@pytest.mark.parametrize("broken", [BROKEN_LIST, BROKEN_DEMO], ids=["a command", "what runs commands"])
def test_a_fault_of_the_program_is_one_line_that_quotes_nobody(url: str, broken: str) -> None:
    text = "\x1b[2J drop+k7m2q9x4w8e3r6t1y5p0abcdef@drop.example k7m2q9x4w8e3r6t1y5p0abcdef Dear Bob, in confidence"
    program = f"import sys\nTEXT = {text!r}\n{broken}\nfrom worker.cli import main\nmain()\n"
    environment = os.environ | {"BCC_DROPBOX_DATABASE_URL": url}
    process("user", "add", "jane@acme.example", DATABASE_URL=url, ADDRESS="drop@drop.example")
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    [line] = ran.stderr.splitlines()
    assert line.startswith("error: a fault of this program, please report it: KeyError (<string>:")
    assert not [quoted for quoted in ("\x1b", "abcdef", "Dear") if quoted in line]


UNNEEDED = (
    *("rich", "alembic", "imapclient", "structlog", "apscheduler", "requests", "vobject", "zstandard"),
    *("psycopg", "sqlalchemy.dialects.postgresql", "fast_mail_parser", "authres", "authlib", "pymap"),
)


@pytest.mark.parametrize("arguments", [["status"], ["user", "list"], ["lead", "list"], ["unmatched", "list"]])
def test_a_command_that_reads_loads_what_reading_needs(url: str, arguments: list[str]) -> None:
    ran = quickly(arguments, url, f"print([name for name in {UNNEEDED!r} if name in sys.modules])")
    assert ran.stdout.splitlines()[-1] == "[]"


def test_a_command_searches_its_modules_for_cycles_neither_at_its_start_nor_at_its_end(url: str) -> None:
    ran = quickly(["status"], url, "print(gc.get_stats()[0]['collections'] < 50, gc.get_freeze_count() > 10_000)")
    assert ran.stdout.splitlines()[-1] == "True True"


def quickly(arguments: list[str], url: str, look: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a new process, then a statement that looks at what it has loaded."""
    process("never-log", "add", "bank.example", DATABASE_URL=url)
    program = (
        f"import atexit, gc, sys\nfrom worker.cli import main\natexit.register(lambda: {look})\n"
        f"sys.argv[1:] = {arguments!r}\nmain()\n"
    )
    environment = os.environ | {"BCC_DROPBOX_DATABASE_URL": url}
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
