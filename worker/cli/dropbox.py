"""`bcc-dropbox dropbox`: a user's secret address and search pattern (R1 to R3, R9, R10, R15)."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.files import write_result
from worker.cli.invocation import open_desk
from worker.cli.lazy import noun
from worker.cli.options import AccountName, Json, User, parse_duration
from worker.cli.output import print_fields, print_json
from worker.domain.tokens import DropboxAddress

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
    from worker.crm import dropboxes  # noqa: PLC0415

    with open_desk(ctx, account) as desk:
        base = desk.settings.require_address()
        dropbox = dropboxes.show_dropbox(desk.crm, login)
    write_result(_vcard_of(base.with_token(dropbox.token or ""), dropbox.user.login), output)


if TYPE_CHECKING:
    from worker.crm.dropboxes import Dropbox

UNPROVEN = "(not proven: does not count)"
"""How a registered address is shown to people that waits for its code, or for authenticated mail."""


def show_dropbox(dropbox: "Dropbox", base: DropboxAddress, *, as_json: bool) -> None:
    """Print a dropbox for people, or as JSON."""
    fields = dropbox_fields(dropbox, base)
    if as_json:
        print_json(fields)
    else:
        senders = [_sender_text(sender, dropbox) for sender in dropbox.senders]
        shown = {**fields, "senders": senders, "profile": dropbox.user.profile, "enabled": dropbox.user.enabled}
        print_fields(shown.items())


def dropbox_fields(dropbox: "Dropbox", base: DropboxAddress) -> dict[str, Any]:
    """Return the documented JSON fields; without the permission the address is empty (R9)."""
    return {
        "user": dropbox.user.login,
        "address": base.with_token(dropbox.token) if dropbox.token else None,
        "pattern": dropbox.user.pattern.value,
        "senders": list(dropbox.senders),
        "permission": dropbox.user.may_have_dropbox,
    }


def _sender_text(sender: str, dropbox: "Dropbox") -> str:
    return f"{sender} {UNPROVEN}" if sender in dropbox.unproven_senders else sender


def _vcard_of(address: str, login: str) -> bytes:
    """Return a vCard 3.0 in UTF-8 (RFC 2426) with FN, N and EMAIL, which Outlook, Apple and Google require."""
    import vobject  # noqa: PLC0415 - costs time and memory, and other commands do without it

    card = vobject.vCard()
    card.add("fn").value = f"BCC Dropbox ({login})"
    card.add("n").value = vobject.vcard.Name(family="BCC Dropbox", given=login)
    email = card.add("email")
    email.value = address
    email.type_param = ["INTERNET", "PREF"]
    card.add("note").value = "Put this address in Bcc and the CRM keeps a copy. Keep it to yourself: it is a key."
    return str(card.serialize()).encode()
