"""The root of the command line: commands that are imported when called, what they work with, and errors as one line."""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

from worker import __version__
from worker.domain.errors import DatabaseMissing, DropboxError
from worker.domain.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.crm.work import Crm
    from worker.settings import Settings
    from worker.store.database import Database


@dataclass(frozen=True, slots=True)
class Desk:
    """The settings and the open database."""

    settings: "Settings"
    crm: "Crm"


def env_file_of(ctx: typer.Context) -> Path | None:
    """Return the file named with ``--env-file``."""
    env_file: Path | None = ctx.obj
    return env_file


def open_desk(ctx: typer.Context, account: str | None = None) -> AbstractContextManager[Desk]:
    """Open the existing database, migrate it, and close it at the end.

    Raises:
        SettingsError: when a setting is wrong.
        Refused: when this program cannot use the database, or a newer version has migrated it.
        Unavailable: when the database is down, or its file is missing: a mistyped path must not create one.
    """
    return _opened(ctx, account, open_present)


def open_first_desk(ctx: typer.Context, account: str | None = None) -> AbstractContextManager[Desk]:
    """Open the database for a first command such as `user add`; creates a missing SQLite file.

    Raises:
        SettingsError: when a setting is wrong.
        Refused: when this program cannot use the database, or a newer version has migrated it.
        Unavailable: when the database is down.
    """
    return _opened(ctx, account, _open)


def open_present(settings: "Settings") -> "Database":
    """Open the database that the settings name.

    Raises:
        Refused: when this program cannot use such a database.
        Unavailable: when it is a file that does not exist.
    """
    try:
        return _open(settings, create=False)
    except DatabaseMissing as error:
        raise DatabaseMissing(
            f"{error}: is BCC_DROPBOX_DATABASE_URL right? The first `bcc-dropbox user add`, or the worker, makes it"
        ) from error


def _open(settings: "Settings", *, create: bool = True) -> "Database":
    from worker.store.database import Database

    url = settings.database_url.get_secret_value()
    return Database.open(url, statement_seconds=settings.statement_seconds, create=create)


@contextmanager
def _opened(ctx: typer.Context, account: str | None, opening: "Callable[[Settings], Database]") -> Iterator[Desk]:
    from worker.crm.work import Crm
    from worker.settings import Settings
    from worker.store.schema import migrate

    settings = Settings.load(env_file_of(ctx))
    database = opening(settings)
    try:
        migrate(database)
        yield Desk(settings, Crm(database, account))
    finally:
        database.close()


DEFAULT_LIMIT = 100

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
AccountName = Annotated[
    str | None, typer.Option("--account", metavar="NAME", help="The account, where there are several.")
]
Acting = Annotated[
    str | None, typer.Option("--as", metavar="USER", help="Who does it; the user's profile must permit it.")
]
Limit = Annotated[int, typer.Option("--limit", min=0, max=10**9, metavar="N", help="Show at most so many; 0 for all.")]
User = Annotated[str, typer.Argument(metavar="USER", help="The user's login, an e-mail address.")]
OutputFile = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write to this file, not to stdout.")
]


_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST = timedelta(days=3650)


def parse_duration(text: str) -> timedelta:
    """Read a duration.

    Raises:
        BadParameter: for anything else, and for more than ten years.
    """
    match = re.fullmatch(r"(\d{1,9})\s*([smhdw])", text.strip().lower())
    span = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None
    if span is None or span > _LONGEST:
        raise typer.BadParameter("a number and a unit is wanted, like 90s, 30m, 12h, 7d or 2w, ten years at the most")
    return span


@dataclass(frozen=True, slots=True)
class Entry:
    """The place of a command: a function, or the Typer of a noun. ``summary`` is shown without importing it."""

    module: str
    attribute: str
    summary: str


ENTRIES: Final = {
    "run": Entry("worker.cli.run", "run", "The service: polls for ever, at once where the server offers IDLE."),
    "poll": Entry("worker.cli.run", "poll", "Poll the mailbox once, then exit."),
    "check": Entry("worker.cli.run", "check", "What works of settings, database and mailbox, and what does not."),
    "demo": Entry("worker.cli.run", "demo", "See all of it on an embedded mailbox; needs no configuration."),
    "status": Entry("worker.cli.status", "status", "Backlog, last poll, outcomes today, oldest unprocessed message."),
    "explain": Entry("worker.cli.explain", "explain", "Why a message ended as it did, and what to do about it."),
    "vacuum": Entry("worker.cli.run", "vacuum", "Return unused space in the database to the disk."),
    "replay": Entry("worker.cli.explain", "replay", "Decide again on messages that were rejected or failed."),
    "account": Entry("worker.cli.account", "app", "The customers of the CRM: add, list, set."),
    "profile": Entry("worker.cli.account", "profile_app", "What users may do: add, list, grant, revoke."),
    "user": Entry("worker.cli.account", "user_app", "Who has a dropbox: add, list, enable, disable, remove."),
    "dropbox": Entry("worker.cli.dropbox", "app", "A user's address and pattern: show, regenerate, pattern, vcard."),
    "sender": Entry("worker.cli.dropbox", "sender_app", "The addresses a user sends from: add, verify, remove, list."),
    "lead": Entry("worker.cli.record", "lead_app", "Leads: add, list, show, edit, import, merge, convert, delete."),
    "contact": Entry("worker.cli.record", "contact_app", "Contacts: add, list, show, edit, import, merge, delete."),
    "unmatched": Entry("worker.cli.email", "unmatched_app", "Recipients that wait for a record: list, assign."),
    "never-log": Entry("worker.cli.account", "never_log_app", "Addresses and domains never logged: add, remove, list."),
    "email": Entry("worker.cli.email", "app", "Stored emails: list, show, export."),
    "erase": Entry("worker.cli.erase", "erase", "Remove a person from the database and the mailbox."),
    "webhook": Entry("worker.cli.webhook", "app", "Where events go: add, list, test, enable, disable, remove."),
    "event": Entry("worker.cli.webhook", "event_app", "Events for the CRM: list, resend."),
}


class LazyCommands(TyperGroup):
    """The commands of `ENTRIES`; the help of all needs the import of none."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the library's signature
        """Return the commands in the order of the manual, not of the alphabet."""
        return list(ENTRIES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the same
        """Import the module and make its command."""
        entry = ENTRIES.get(cmd_name)
        if entry is None:
            return None
        command = get_command(_typer_of(entry, cmd_name))
        command.name = cmd_name
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - the same
        """Write the table of commands into the help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in ENTRIES.items()])

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what this program raises on purpose is one line for each problem and exit code 1."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")  # pydantic's words
            raise
        except DropboxError as error:
            from worker.cli.reasons import with_hint  # only a failure needs it

            for line in with_hint(error).splitlines():
                typer.echo(f"error: {clean(line)}", err=True)
            raise typer.Exit(1) from error


def command_of(app: typer.Typer) -> Any:
    """Return the Click command of a Typer. Calling the Typer would install its own excepthook, with tracebacks."""
    return get_command(app)


def _plain_typer(**options: Any) -> typer.Typer:
    """Make a Typer without rich's frames, which slow the help, and without tracebacks of its own."""
    return typer.Typer(
        add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True, **options
    )


def noun(name: str) -> typer.Typer:
    """Make the Typer of a noun whose verbs are its commands."""
    return _plain_typer(help=ENTRIES[name].summary)


def _typer_of(entry: Entry, name: str) -> typer.Typer:
    found = getattr(import_module(entry.module), entry.attribute)
    if isinstance(found, typer.Typer):
        return found
    single = _plain_typer()
    single.command(name)(found)
    return single


app = _plain_typer(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bcc-dropbox {__version__}")
        raise typer.Exit


@app.callback()
def bcc_dropbox(
    ctx: typer.Context,
    env_file: Annotated[
        Path | None,
        typer.Option(
            "--env-file",
            metavar="FILE",
            readable=False,  # one that cannot be read is no wrong usage: the settings say so, in their own words
            help="Read BCC_DROPBOX_… settings from this file.",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """File the mail that sales people Bcc to their secret address on the right lead or contact."""
    del version
    ctx.obj = env_file
