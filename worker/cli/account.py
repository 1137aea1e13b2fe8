"""`bcc-dropbox account`: the customers of the CRM."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.invocation import open_desk, open_first_desk
from worker.cli.lazy import noun
from worker.cli.options import DEFAULT_LIMIT, Json, Limit
from worker.cli.output import Cell, cut, print_fields, print_json, print_rows
from worker.domain.records import RecordNames

if TYPE_CHECKING:
    from worker.crm.accounts import AccountSummary

app = noun("account")


@app.command("add")
def add(
    ctx: typer.Context, name: Annotated[str, typer.Argument(metavar="NAME", help="Its name.")], as_json: Json = False
) -> None:
    """Make an account with the profiles Administrator and Standard."""
    from worker.crm.accounts import add_account  # noqa: PLC0415

    with open_first_desk(ctx) as desk:
        account = add_account(desk.crm, name, now=datetime.now(UTC))
    if as_json:
        print_json({"id": account.id, "name": account.name})
    else:
        print_fields([("id", account.id), ("name", account.name)])


@app.command("set")
def set_(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The account's name.")],
    record_names: Annotated[
        RecordNames, typer.Option("--record-names", help="What names the records that mail makes from now on.")
    ],
    as_json: Json = False,
) -> None:
    """Change how an account works.

    With --record-names display-name a record gets the name that the mail gives the recipient.
    """
    from worker.crm.accounts import set_record_names  # noqa: PLC0415

    with open_desk(ctx) as desk:
        fields = _fields(set_record_names(desk.crm, name, record_names))
    if as_json:
        print_json(fields)
    else:
        print_fields(fields.items())


@app.command("list")
def list_(ctx: typer.Context, limit: Limit = DEFAULT_LIMIT, as_json: Json = False) -> None:
    """List the accounts by name."""
    from worker.crm.accounts import list_accounts  # noqa: PLC0415

    with open_desk(ctx) as desk:
        accounts = [_fields(account) for account in cut(list_accounts(desk.crm), limit)]
    if as_json:
        print_json(accounts)
    else:
        names = ("id", "name", "users", "record names", "created at")
        print_rows(names, [tuple(account.values()) for account in accounts])


def _fields(account: "AccountSummary") -> dict[str, Cell]:
    return {
        "id": account.id,
        "name": account.name,
        "users": account.users,
        "record_names": account.record_names,
        "created_at": account.created_at,
    }
