"""`bcc-dropbox dropbox` and `sender`: a user's secret address, search pattern and senders (R1 to R3, R9 to R11)."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.app import DEFAULT_LIMIT, AccountName, Json, Limit, OutputFile, User, noun, open_desk, parse_duration
from worker.cli.output import cut, note, print_list, print_one, write_result
from worker.domain.errors import DropboxError
from worker.domain.tokens import DropboxAddress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.crm.sender_addresses import RegisteredSender
    from worker.crm.users import Dropbox
    from worker.crm.work import Crm
    from worker.outgoing import Post
    from worker.settings import Settings


app = noun("dropbox")


@app.command("show")
def show(ctx: typer.Context, login: User, account: AccountName = None, as_json: Json = False) -> None:
    """Show a user's address, pattern and senders."""
    from worker.crm import users

    with open_desk(ctx, account) as desk:
        base = desk.settings.require_address()
        show_dropbox(users.show_dropbox(desk.crm, login), base, as_json=as_json)


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
    from worker.crm import users

    with open_desk(ctx, account) as desk:
        base = desk.settings.require_address()
        dropbox = users.regenerate(desk.crm, login, grace=grace or timedelta(), now=datetime.now(UTC))
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

    The pattern also says which record is made when none matches.
    """
    from worker.crm import users

    with open_desk(ctx, account) as desk:
        base = desk.settings.require_address()
        show_dropbox(users.set_pattern(desk.crm, login, name), base, as_json=as_json)


@app.command("vcard")
def vcard(ctx: typer.Context, login: User, output: OutputFile = None, account: AccountName = None) -> None:
    """Give the address as a vCard (.vcf)."""
    from worker.crm import users

    with open_desk(ctx, account) as desk:
        base = desk.settings.require_address()
        dropbox = users.show_dropbox(desk.crm, login)
    write_result(_vcard_of(base.with_token(dropbox.token or ""), dropbox.user.login), output)


UNPROVEN = "(not proven: does not count)"
"""How a registered address is shown to people that waits for its code, or for authenticated mail."""


def show_dropbox(dropbox: "Dropbox", base: DropboxAddress, *, as_json: bool) -> None:
    """Print a dropbox for people, or as JSON."""
    fields = _dropbox_fields(dropbox, base)
    if not as_json:
        fields["senders"] = [_sender_text(sender, dropbox) for sender in dropbox.senders]
        fields |= {"profile": dropbox.user.profile, "enabled": dropbox.user.enabled}
    print_one(fields, as_json=as_json)


def _dropbox_fields(dropbox: "Dropbox", base: DropboxAddress) -> dict[str, Any]:
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
    import vobject  # costs time and memory, and other commands do without it

    card = vobject.vCard()
    card.add("fn").value = f"BCC Dropbox ({login})"
    card.add("n").value = vobject.vcard.Name(family="BCC Dropbox", given=login)
    email = card.add("email")
    email.value = address
    email.type_param = ["INTERNET", "PREF"]
    card.add("note").value = "Put this address in Bcc and the CRM keeps a copy. Keep it to yourself: it is a key."
    return str(card.serialize()).encode()


sender_app = noun("sender")

AddressText = Annotated[str, typer.Argument(metavar="ADDRESS", help="The e-mail address.")]


@sender_app.command("add")
def add_address(
    ctx: typer.Context,
    login: User,
    address: AddressText,
    trusted: Annotated[bool, typer.Option("--trusted", help="It is the user's: send no code.")] = False,
    account: AccountName = None,
    as_json: Json = False,
) -> None:
    """Register one more address, five in all.

    Where SMTP_URL is set, one outside the login's own domain counts once it is proven: by the code that is mailed to
    it, or by its first authenticated mail.
    """
    from worker.crm.sender_addresses import add_sender, list_senders

    with open_desk(ctx, account) as desk:
        post = None if trusted else _post_for_code(desk.settings, login, address)
        if post is None:
            senders = add_sender(desk.crm, login, address, proven_at=datetime.now(UTC))
        else:
            _send_code(desk.crm, post, login, address)
            senders = list_senders(desk.crm, login)
        _show_senders(senders, as_json=as_json)


@sender_app.command("verify")
def verify_address(
    ctx: typer.Context,
    login: User,
    code: Annotated[str, typer.Argument(metavar="CODE", help="The code that was mailed to the address.")],
    account: AccountName = None,
    as_json: Json = False,
) -> None:
    """Prove an address by its code.

    The code was mailed to the address and is good for an hour and five tries.
    """
    from worker.crm.sender_addresses import verify_code

    with open_desk(ctx, account) as desk:
        _show_senders(verify_code(desk.crm, login, code, now=datetime.now(UTC)), as_json=as_json)


@sender_app.command("remove")
def remove_address(
    ctx: typer.Context, login: User, address: AddressText, account: AccountName = None, as_json: Json = False
) -> None:
    """Take an address off.

    The login's own may go too, as long as another one stays.
    """
    from worker.crm.sender_addresses import remove_sender

    with open_desk(ctx, account) as desk:
        _show_senders(remove_sender(desk.crm, login, address), as_json=as_json)


@sender_app.command("list")
def list_addresses(
    ctx: typer.Context, login: User, limit: Limit = DEFAULT_LIMIT, account: AccountName = None, as_json: Json = False
) -> None:
    """List a user's registered addresses."""
    from worker.crm.sender_addresses import list_senders

    with open_desk(ctx, account) as desk:
        _show_senders(cut(list_senders(desk.crm, login), limit), as_json=as_json)


def _post_for_code(settings: "Settings", login: str, address: str) -> "Post | None":
    """Return the mail server that sends the code; None when the address needs no code."""
    if settings.smtp_url is None:
        return None
    from worker.crm.work import address_of
    from worker.domain.senders import needs_proof
    from worker.outgoing.post import post_of

    is_outside = needs_proof(address_of(login, "the user"), address_of(address, "a sender"))
    return post_of(settings) if is_outside else None


def _send_code(crm: "Crm", post: "Post", login: str, address: str) -> None:
    """Register the address and mail it its code; when that fails it stays registered, and does not count."""
    from worker.crm.sender_addresses import await_code, void_code
    from worker.outgoing import code_letter

    now = datetime.now(UTC)
    awaited = await_code(crm, login, address, now=now)
    letter = code_letter(awaited.address, awaited.login, awaited.code, post.sender, now)
    try:
        post.deliver(letter, awaited.address, bounces=True)
    except DropboxError as error:
        void_code(crm, login, awaited)
        raise DropboxError(
            f"{awaited.address} is registered but no code could be sent to it ({error}):"
            " the same command sends one, with --trusted none is needed"
        ) from error
    note(
        f"a code was sent to {awaited.address}; within an hour,"
        f" `sender verify {awaited.login} CODE` makes the address count"
    )


def _show_senders(senders: "Sequence[RegisteredSender]", *, as_json: bool) -> None:
    missing = None if as_json else UNPROVEN
    rows = [{"address": sender.address, "proven_at": sender.proven_at or missing} for sender in senders]
    print_list(("address", "proven at"), rows, as_json=as_json)
