"""`bcc-dropbox account`: the customers of the CRM."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from worker.cli.invocation import open_desk, open_first_desk
from worker.cli.lazy import noun
from worker.cli.options import DEFAULT_LIMIT, Json, Limit
from worker.cli.output import cut, print_fields, print_json, print_rows

app = noun("account")


@app.command("add")
def add(ctx: typer.Context, name: Annotated[str, typer.Argument(help="Its name.")], as_json: Json = False) -> None:
    """Make an account with the profiles Administrator and Standard."""
    from worker.crm.accounts import add_account  # noqa: PLC0415

    with open_first_desk(ctx) as desk:
        account = add_account(desk.crm, name, now=datetime.now(UTC))
    if as_json:
        print_json({"id": account.id, "name": account.name})
    else:
        print_fields([("id", account.id), ("name", account.name)])


@app.command("list")
def list_(ctx: typer.Context, limit: Limit = DEFAULT_LIMIT, as_json: Json = False) -> None:
    """List the accounts by name."""
    from worker.crm.accounts import list_accounts  # noqa: PLC0415

    with open_desk(ctx) as desk:
        accounts = cut(list_accounts(desk.crm), limit)
    if as_json:
        print_json([{"id": a.id, "name": a.name, "users": a.users, "created_at": a.created_at} for a in accounts])
    else:
        print_rows(("id", "name", "users", "created at"), [(a.id, a.name, a.users, a.created_at) for a in accounts])
