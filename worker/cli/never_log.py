"""`bcc-dropbox never-log`: addresses and domains whose mail is no business of the CRM (R14)."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from worker.cli.invocation import open_desk, open_first_desk
from worker.cli.lazy import noun
from worker.cli.options import DEFAULT_LIMIT, AccountName, Json, Limit
from worker.cli.output import cut, one_more, print_fields, print_json, print_rows

app = noun("never-log")

Entry = Annotated[str, typer.Argument(metavar="ADDRESS|DOMAIN", help="Such as boss@bank.example or bank.example.")]


@app.command("add")
def add(ctx: typer.Context, entry: Entry, account: AccountName = None, as_json: Json = False) -> None:
    """Never log mail to this address or domain."""
    from worker.crm import never_log  # noqa: PLC0415

    with open_first_desk(ctx, account) as desk:
        _show(never_log.never_log(desk.crm, entry, now=datetime.now(UTC)), as_json=as_json)


@app.command("remove")
def remove(ctx: typer.Context, entry: Entry, account: AccountName = None, as_json: Json = False) -> None:
    """Log mail to it again."""
    from worker.crm import never_log  # noqa: PLC0415

    with open_desk(ctx, account) as desk:
        _show(never_log.log_again(desk.crm, entry), as_json=as_json)


@app.command("list")
def list_(ctx: typer.Context, limit: Limit = DEFAULT_LIMIT, account: AccountName = None, as_json: Json = False) -> None:
    """List what is never logged."""
    from worker.crm import never_log  # noqa: PLC0415

    with open_desk(ctx, account) as desk:
        entries = cut(never_log.list_never_log(desk.crm, limit=one_more(limit)), limit)
    if as_json:
        print_json([{"entry": entry} for entry in entries])
    else:
        print_rows(("never logged",), [(entry,) for entry in entries])


def _show(entry: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"entry": entry})
    else:
        print_fields([("entry", entry)])
