"""`bcc-dropbox check`: what works of settings, database and mailbox, and how to mend what does not."""

from typing import TYPE_CHECKING

import typer

from worker.cli.invocation import env_file_of
from worker.cli.options import Json
from worker.cli.output import print_json, print_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.cli.findings import Finding


def check(ctx: typer.Context, as_json: Json = False) -> None:
    """Try everything the worker needs; exit 1 when something does not work."""
    from worker.cli.checks import check_all  # noqa: PLC0415

    findings = check_all(env_file_of(ctx))
    if as_json:
        print_json([finding.as_json() for finding in findings])
    else:
        _show(findings)
    if any(finding.has_failed for finding in findings):
        raise typer.Exit(1)


def _show(findings: "Sequence[Finding]") -> None:
    rows = [(finding.what, finding.result, finding.seen, finding.mending) for finding in findings]
    print_rows(("checked", "result", "seen", "what to do"), rows)
