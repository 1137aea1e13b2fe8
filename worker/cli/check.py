"""`bcc-dropbox check`: tests settings, database and mailbox, and says how to repair what fails."""

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from textwrap import TextWrapper
from typing import Annotated

import typer

from worker.cli.app import Json, env_file_of, parse_duration
from worker.cli.output import note, print_json
from worker.diagnostics.checks import Finding, Result
from worker.domain.text import clean

_WAIT = timedelta(seconds=60)


def check(
    ctx: typer.Context,
    probe: Annotated[
        bool,
        typer.Option("--probe", help="Also send a mail to two addresses that nobody has, and see how it comes back."),
    ] = False,
    wait: Annotated[
        timedelta | None,
        typer.Option(parser=parse_duration, metavar="TIME", help="How long to wait for the probe. [default: 60s]"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Try everything the worker needs; exit 1 when something does not work."""
    from worker.diagnostics import check_all

    if probe:
        note("a probe is sent through the mail server and awaited in the mailbox")
    findings = check_all(env_file_of(ctx), (wait or _WAIT) if probe else None)
    if as_json:
        print_json([finding.as_json() for finding in findings])
    else:
        print_findings(findings)
    if any(finding.has_failed for finding in findings):
        raise typer.Exit(1)


_COLOURS = {Result.WARN: typer.colors.YELLOW, Result.FAIL: typer.colors.RED}
_HEADINGS = ("checked", "result", "seen")
_RESULT_WIDTH = max(map(len, (_HEADINGS[1], *Result)))
_GAP = "  "
_INDENT = 4 * " "
_NARROWEST = 24
"""Characters that the last column gets at least, on however narrow a terminal."""


def print_findings(findings: Sequence[Finding]) -> None:
    """Print the findings: coloured and wrapped on a terminal, one line per text elsewhere. Nothing is cut."""
    on_terminal = sys.stdout.isatty()
    columns = shutil.get_terminal_size().columns if on_terminal else None
    coloured = on_terminal and "NO_COLOR" not in os.environ
    first = max(len(text) for text in (_HEADINGS[0], *(finding.what for finding in findings)))
    typer.echo(_GAP.join((_HEADINGS[0].ljust(first), _HEADINGS[1].ljust(_RESULT_WIDTH), _HEADINGS[2])))
    for finding in findings:
        for line in _lines(finding, first, columns, coloured=coloured):
            typer.echo(line)


def _lines(finding: Finding, first: int, columns: int | None, *, coloured: bool) -> Iterator[str]:
    result = finding.result.ljust(_RESULT_WIDTH)
    if coloured and finding.result in _COLOURS:
        result = typer.style(result, fg=_COLOURS[finding.result], bold=True)
    indent = first + _RESULT_WIDTH + 2 * len(_GAP)
    seen = list(_wrapped(finding.seen, columns, indent))
    yield _GAP.join((finding.what.ljust(first), result, seen[0]))
    yield from (" " * indent + line for line in seen[1:])
    if finding.mending:
        ending = ":" if finding.settings else ""
        yield from (_INDENT + line for line in _wrapped(finding.mending + ending, columns, len(_INDENT)))
    yield from _to_be_copied(finding.settings)


def _to_be_copied(settings: Iterable[str]) -> Iterator[str]:
    return (2 * _INDENT + clean(setting) for setting in settings)


def _wrapped(text: str, columns: int | None, indent: int) -> Sequence[str]:
    shown = clean(text)
    if columns is None:
        return [shown]
    wrapper = TextWrapper(max(columns - indent, _NARROWEST), break_long_words=False, break_on_hyphens=False)
    return wrapper.wrap(shown) or [""]
