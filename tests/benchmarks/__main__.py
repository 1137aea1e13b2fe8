"""Measures the rows of the speed table, prints it, writes it as JSON; exits 1 if a row falls short."""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from tests.benchmarks.effort import FULL, QUICK
from tests.benchmarks.finding import Finding
from tests.benchmarks.rows import ROWS
from tests.benchmarks.stage import Stage

_PROGRESS = Console(stderr=True, highlight=False)


def main() -> int:
    arguments = _arguments()
    with Stage(QUICK if arguments.quick else FULL, lambda text: _PROGRESS.print(f"[dim]  {text}")) as stage:
        findings = [_measured(stage, row) for row in arguments.only or ROWS]
    _print_table(findings, "a small share: no verdict on the targets" if arguments.quick else "")
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(_report(findings, quick=arguments.quick), indent=1, ensure_ascii=False))
    return 0 if all(finding.passed for finding in findings) else 1


def _measured(stage: Stage, row: str) -> Finding:
    """A row that breaks falls short, and the others are still measured."""
    started = time.monotonic()
    _PROGRESS.print(f"{row} …")
    try:
        finding = ROWS[row](stage)
    except (Exception, pytest.skip.Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - told in the table
        text = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        _PROGRESS.print(str(error), markup=False)
        finding = Finding(row, "not measured", "", text[:200], "", passed=False, figures={"error": str(error)})
    _PROGRESS.print(f"[dim]  {finding.result} ({time.monotonic() - started:.0f} s)")
    return finding


def _print_table(findings: Sequence[Finding], title: str) -> None:
    table = Table(title=title or None, title_justify="left")
    for heading in ("row", "what", "target", "goal", "result", "yardstick", ""):
        table.add_column(heading, overflow="fold")
    for found in findings:
        verdict = "[green]pass[/]" if found.passed else "[red]FAIL[/]"
        table.add_row(found.row, found.what, found.target, found.goal, found.result, found.yardstick, verdict)
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _report(findings: Sequence[Finding], *, quick: bool) -> dict[str, object]:
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "rows": [asdict(finding) for finding in findings],
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small counts, under two minutes")
    parser.add_argument("--only", nargs="+", choices=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--json", type=Path, metavar="FILE", default=Path(".cache/benchmarks.json"))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
