"""The import of a file of records: its progress, its refused rows and its counts (R24)."""

from collections import Counter
from pathlib import Path

import typer

from worker.cli.output import note, print_fields, print_json, progress_bar
from worker.cli.record_files import open_records
from worker.crm.record_import import BadRow, Imported, ImportPlan, Key, import_records
from worker.crm.work import By, Crm

_MOST_LISTED = 1000
"""Refused rows that the JSON names; stderr names them all."""


def key_named(name: str | None) -> Key | None:
    """Read the value of ``--key``.

    Raises:
        typer.BadParameter: when there is no such key.
    """
    try:
        return None if name is None else Key(name.strip().lower().replace("-", "_"))
    except ValueError as error:
        raise typer.BadParameter(f"--key must be {' or '.join(Key)}") from error


def import_file(crm: Crm, plan: ImportPlan, file: Path, by: By, *, as_json: bool) -> None:
    """Import a file and print what became of its rows.

    Raises:
        Refused: when the file cannot be read, or the acting user may not.
        typer.Exit: with code 1 when there are rows and none of them is good.
    """
    counts: Counter[str] = Counter()
    listed: list[BadRow] = []
    with open_records(file) as records, progress_bar(f"{plan.module}s", records.size) as progress:
        for done in import_records(crm, plan, records.rows(plan.key), by):
            for row in done.bad:
                note(f"line {row.line}: {row.why}")
            listed += done.bad[: _MOST_LISTED - len(listed)]
            counts.update(done.counts)
            progress(records.done)
    counts = counts or Counter(Imported().counts)
    if as_json:
        print_json({**counts, "bad": [{"line": row.line, "why": row.why} for row in listed]})
    else:
        print_fields(counts.items())
    if counts["skipped"] and not (counts["created"] or counts["updated"] or counts["unchanged"]):
        raise typer.Exit(1)
