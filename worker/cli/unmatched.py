"""`bcc-dropbox unmatched`: recipients that wait for a record (R15, R25)."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from worker.cli.invocation import open_desk
from worker.cli.lazy import noun
from worker.cli.options import DEFAULT_LIMIT, AccountName, Acting, Json, Limit
from worker.cli.output import cut, note, one_more, print_fields, print_json, print_rows
from worker.domain.permissions import Module

app = noun("unmatched")


@app.command("list")
def list_(ctx: typer.Context, limit: Limit = DEFAULT_LIMIT, account: AccountName = None, as_json: Json = False) -> None:
    """List the addresses that wait for a record.

    The one that waits longest comes first.
    """
    from worker.crm.unmatched import list_unmatched  # noqa: PLC0415

    with open_desk(ctx, account) as desk:
        waiting = cut(list_unmatched(desk.crm, limit=one_more(limit)), limit)
    if as_json:
        print_json(
            [{"address": w.address, "emails": w.emails, "first_at": w.first_at, "last_at": w.last_at} for w in waiting]
        )
    else:
        print_rows(
            ("address", "emails", "first at", "last at"),
            [(w.address, w.emails, w.first_at, w.last_at) for w in waiting],
        )


@app.command("assign")
def assign(  # noqa: PLR0913, PLR0917 - the parameters are the command line
    ctx: typer.Context,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="An address that waits.")],
    contact: Annotated[str | None, typer.Option(metavar="ID", help="Put its emails on this contact.")] = None,
    lead: Annotated[str | None, typer.Option(metavar="ID", help="Put its emails on this lead.")] = None,
    new_contact: Annotated[bool, typer.Option("--new-contact", help="Make a contact with this address.")] = False,
    new_lead: Annotated[bool, typer.Option("--new-lead", help="Make a lead with this address.")] = False,
    acting: Acting = None,
    account: AccountName = None,
    as_json: Json = False,
) -> None:
    """Put the emails that wait for an address on a record.

    The record matches by the address from now on.
    """
    from worker.crm.unmatched import assign_unmatched  # noqa: PLC0415
    from worker.crm.work import By  # noqa: PLC0415

    chosen = [contact is not None, lead is not None, new_contact, new_lead]
    if chosen.count(True) != 1:
        raise typer.BadParameter("one of --contact ID, --lead ID, --new-contact and --new-lead")
    module = Module.CONTACT if contact is not None or new_contact else Module.LEAD
    with open_desk(ctx, account) as desk:
        by = By(acting, datetime.now(UTC))
        assigned = assign_unmatched(desk.crm, address, module, by, to=contact if contact is not None else lead)
    record = assigned.record.summary
    fields = {"address": address, "module": module.value, "id": record.id, "attached": assigned.attached}
    if as_json:
        print_json(fields)
        return
    print_fields(fields.items())
    if assigned.is_waited_for:
        note(f"some emails still wait for {address}: the profile of their owner has no permission for {module}s")
    elif not assigned.attached:
        note(f"{module} {record.id} had these emails already, by another address")
