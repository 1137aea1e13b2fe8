"""`bcc-dropbox sender`: the up to five addresses that a user may send from (R11)."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.dropbox import UNPROVEN
from worker.cli.invocation import open_desk
from worker.cli.lazy import noun
from worker.cli.options import DEFAULT_LIMIT, AccountName, Json, Limit, User
from worker.cli.output import cut, note, print_json, print_rows
from worker.domain.errors import DropboxError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.crm.senders import RegisteredSender
    from worker.crm.work import Crm
    from worker.outgoing import Post
    from worker.settings import Settings

app = noun("sender")

AddressText = Annotated[str, typer.Argument(metavar="ADDRESS", help="The e-mail address.")]


@app.command("add")
def add(  # noqa: PLR0913, PLR0917 - the parameters are the command line
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
    from worker.crm.senders import add_sender, list_senders  # noqa: PLC0415

    with open_desk(ctx, account) as desk:
        post = None if trusted else _post_for_code(desk.settings, login, address)
        if post is None:
            senders = add_sender(desk.crm, login, address, proven_at=datetime.now(UTC))
        else:
            _send_code(desk.crm, post, login, address)
            senders = list_senders(desk.crm, login)
        _show(senders, as_json=as_json)


@app.command("verify")
def verify(
    ctx: typer.Context,
    login: User,
    code: Annotated[str, typer.Argument(metavar="CODE", help="The code that was mailed to the address.")],
    account: AccountName = None,
    as_json: Json = False,
) -> None:
    """Prove an address by its code.

    The code was mailed to the address and is good for an hour and five tries.
    """
    from worker.crm.sender_codes import verify_code  # noqa: PLC0415

    with open_desk(ctx, account) as desk:
        _show(verify_code(desk.crm, login, code, now=datetime.now(UTC)), as_json=as_json)


@app.command("remove")
def remove(
    ctx: typer.Context, login: User, address: AddressText, account: AccountName = None, as_json: Json = False
) -> None:
    """Take an address off.

    The login's own may go too, as long as another one stays.
    """
    from worker.crm.senders import remove_sender  # noqa: PLC0415

    with open_desk(ctx, account) as desk:
        _show(remove_sender(desk.crm, login, address), as_json=as_json)


@app.command("list")
def list_(
    ctx: typer.Context, login: User, limit: Limit = DEFAULT_LIMIT, account: AccountName = None, as_json: Json = False
) -> None:
    """List a user's registered addresses."""
    from worker.crm.senders import list_senders  # noqa: PLC0415

    with open_desk(ctx, account) as desk:
        _show(cut(list_senders(desk.crm, login), limit), as_json=as_json)


def _post_for_code(settings: "Settings", login: str, address: str) -> "Post | None":
    """Return the mail server that sends the code; None when the address needs no code."""
    if settings.smtp_url is None:
        return None
    from worker.crm.work import address_of  # noqa: PLC0415
    from worker.domain.senders import needs_proof  # noqa: PLC0415
    from worker.outgoing.configured import post_of  # noqa: PLC0415

    is_outside = needs_proof(address_of(login, "the user"), address_of(address, "a sender"))
    return post_of(settings) if is_outside else None


def _send_code(crm: "Crm", post: "Post", login: str, address: str) -> None:
    """Register the address and mail it its code; when that fails it stays registered, and does not count."""
    from worker.crm.sender_codes import await_code, void_code  # noqa: PLC0415
    from worker.outgoing import code_letter  # noqa: PLC0415

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


def _show(senders: "Sequence[RegisteredSender]", *, as_json: bool) -> None:
    if as_json:
        print_json([{"address": sender.address, "proven_at": sender.proven_at} for sender in senders])
    else:
        print_rows(("address", "proven at"), [(sender.address, sender.proven_at or UNPROVEN) for sender in senders])
