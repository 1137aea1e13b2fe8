"""The root of the command line: what may stand before the command."""

from pathlib import Path
from typing import Annotated

import typer

from worker import __version__
from worker.cli.invocation import Invocation
from worker.cli.lazy import LazyCommands

app = typer.Typer(
    cls=LazyCommands,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
    ctx.obj = Invocation(env_file)
