"""`bcc-dropbox dropbox`: a user's secret address and search pattern (R1 to R3, R9, R10, R15)."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from worker.cli.dropbox_view import show_dropbox
from worker.cli.durations import parse_duration
from worker.cli.files import write_result
from worker.cli.invocation import open_desk
from worker.cli.lazy import noun
from worker.cli.options import AccountName, Json, User

app = noun("dropbox")


@app.command("show")
def show(ctx: typer.Context, login: User, account: AccountName = None, as_json: Json = False) -> None:
    """Show a user's address, pattern and senders."""
    from worker.crm import dropboxes  # noqa: PLC0415

    with open_desk(ctx, account) as desk:
        base = desk.settings.require_address()
        show_dropbox(dropboxes.show_dropbox(desk.crm, login), base, as_json=as_json)


@app.command("regenerate")
def regenerate(
    ctx: typer.Context,
    login: User,
    grace: Annotated[
        timedelta | None,
        typer.Option(parser=parse_duration, metavar="TIME", help="How long the old address still works, like 7d."),
    ] = None,
    account: AccountName = None,
    as_json: Json = False,
) -> None:
    """Give a user a new address.

    The old one stops at once, or after the grace period.
    """
    from worker.crm import dropboxes  # noqa: PLC0415

    with open_desk(ctx, account) as desk:
        base = desk.settings.require_address()
        dropbox = dropboxes.regenerate(desk.crm, login, grace=grace or timedelta(), now=datetime.now(UTC))
        show_dropbox(dropbox, base, as_json=as_json)


@app.command("pattern")
def pattern(
    ctx: typer.Context,
    login: User,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as contacts-then-leads-only.")],
    account: AccountName = None,
    as_json: Json = False,
) -> None:
    """Choose where recipients are looked up.

    The pattern also says what is made when nobody is found.
    """
    from worker.crm import dropboxes  # noqa: PLC0415

    with open_desk(ctx, account) as desk:
        base = desk.settings.require_address()
        show_dropbox(dropboxes.set_pattern(desk.crm, login, name), base, as_json=as_json)


@app.command("vcard")
def vcard(
    ctx: typer.Context,
    login: User,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write to this file, not to stdout.")
    ] = None,
    account: AccountName = None,
) -> None:
    """Give the address as a vCard (.vcf)."""
    from worker.cli.vcard import vcard_of  # noqa: PLC0415
    from worker.crm import dropboxes  # noqa: PLC0415

    with open_desk(ctx, account) as desk:
        base = desk.settings.require_address()
        dropbox = dropboxes.show_dropbox(desk.crm, login)
    write_result(vcard_of(base.with_token(dropbox.token or ""), dropbox.user.login), output)
