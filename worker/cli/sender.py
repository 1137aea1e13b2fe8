"""`bcc-dropbox sender`: the up to five addresses that a user may send from (R11)."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.invocation import open_desk
from worker.cli.lazy import noun
from worker.cli.options import DEFAULT_LIMIT, AccountName, Json, Limit, User
from worker.cli.output import cut, print_json, print_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.store.administration.senders import RegisteredSender

app = noun("sender")

AddressText = Annotated[str, typer.Argument(metavar="ADDRESS", help="The e-mail address.")]


@app.command("add")
def add(
    ctx: typer.Context, login: User, address: AddressText, account: AccountName = None, as_json: Json = False
) -> None:
    """Register one more address, five in all."""
    from worker.store.administration.senders import add_sender  # noqa: PLC0415

    with open_desk(ctx, account) as desk:
        _show(add_sender(desk.office, login, address, proven_at=datetime.now(UTC)), as_json=as_json)


@app.command("remove")
def remove(
    ctx: typer.Context, login: User, address: AddressText, account: AccountName = None, as_json: Json = False
) -> None:
    """Take an address off.

    The login's own may go too, as long as another one stays.
    """
    from worker.store.administration.senders import remove_sender  # noqa: PLC0415

    with open_desk(ctx, account) as desk:
        _show(remove_sender(desk.office, login, address), as_json=as_json)


@app.command("list")
def list_(
    ctx: typer.Context, login: User, limit: Limit = DEFAULT_LIMIT, account: AccountName = None, as_json: Json = False
) -> None:
    """List a user's registered addresses."""
    from worker.store.administration.senders import list_senders  # noqa: PLC0415

    with open_desk(ctx, account) as desk:
        _show(cut(list_senders(desk.office, login), limit), as_json=as_json)


def _show(senders: "Sequence[RegisteredSender]", *, as_json: bool) -> None:
    if as_json:
        print_json([{"address": sender.address, "proven_at": sender.proven_at} for sender in senders])
    else:
        print_rows(("address", "proven at"), [(sender.address, sender.proven_at) for sender in senders])
