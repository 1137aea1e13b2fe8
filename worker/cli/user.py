"""`bcc-dropbox user`: who has a dropbox (R1, R9, R11)."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.dropbox import show_dropbox
from worker.cli.invocation import DEFAULT_LIMIT, AccountName, Json, Limit, User, open_desk, open_first_desk
from worker.cli.lazy import noun
from worker.cli.output import cut, note, one_more, print_fields, print_json, print_rows

if TYPE_CHECKING:
    from worker.crm.work import User as CrmUser

app = noun("user")

ProfileName = Annotated[str | None, typer.Option("--profile", metavar="NAME", help="The user's profile.")]


@app.command("add")
def add(
    ctx: typer.Context, login: User, profile: ProfileName = None, account: AccountName = None, as_json: Json = False
) -> None:
    """Make a user with a dropbox.

    The login is the first sender address. The first user of an account gets the profile
    Administrator, later ones Standard, unless --profile names another.
    """
    from worker.crm.users import add_user  # noqa: PLC0415

    with open_first_desk(ctx, account) as desk:
        base = desk.settings.require_address()
        dropbox = add_user(desk.crm, login, profile=profile, now=datetime.now(UTC))
    user = dropbox.user
    note(f"{user.login} has the profile {user.profile} in account {user.account.name}")
    if not user.may_have_dropbox:
        note(f"no address is shown: the profile {user.profile} lacks bcc_dropbox")
    show_dropbox(dropbox, base, as_json=as_json)


@app.command("list")
def list_(ctx: typer.Context, limit: Limit = DEFAULT_LIMIT, account: AccountName = None, as_json: Json = False) -> None:
    """List the users by login."""
    from worker.crm.users import list_users  # noqa: PLC0415

    with open_desk(ctx, account) as desk:
        users = cut(list_users(desk.crm, limit=one_more(limit)), limit)
    if as_json:
        print_json([_fields(user) for user in users])
    else:
        print_rows(("user", "profile", "enabled", "pattern", "dropbox"), [tuple(_fields(m).values()) for m in users])


@app.command("enable")
def enable(
    ctx: typer.Context, login: User, profile: ProfileName = None, account: AccountName = None, as_json: Json = False
) -> None:
    """Let mail to the user's dropbox in again.

    With --profile the user is under that profile from now on.
    """
    from worker.crm.users import enable_user  # noqa: PLC0415

    with open_desk(ctx, account) as desk:
        _show(enable_user(desk.crm, login, profile=profile), as_json=as_json)


@app.command("disable")
def disable(ctx: typer.Context, login: User, account: AccountName = None, as_json: Json = False) -> None:
    """Reject mail to the user's dropbox from now on."""
    from worker.crm.users import disable_user  # noqa: PLC0415

    with open_desk(ctx, account) as desk:
        _show(disable_user(desk.crm, login), as_json=as_json)


@app.command("remove")
def remove(  # noqa: PLR0913, PLR0917 - the options of the command
    ctx: typer.Context,
    login: User,
    into: Annotated[
        str | None, typer.Option("--into", metavar="USER", help="Who gets the user's records and emails.")
    ] = None,
    erase: Annotated[
        bool, typer.Option("--erase", help="Erase the user's records, and the emails that nobody else filed.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before --erase.")] = False,
    account: AccountName = None,
    as_json: Json = False,
) -> None:
    """Remove a user: records and emails move or are erased.

    The old dropbox address stays revoked for ever. The login and the sender addresses become free.
    """
    from worker.cli.erase import copies_of, print_counts  # noqa: PLC0415
    from worker.crm.user_removal import erase_user, hand_over  # noqa: PLC0415

    if (into is not None) == erase:
        raise typer.BadParameter("say --into USER or --erase: one of these")
    with open_desk(ctx, account) as desk:
        if into is not None:
            removed = hand_over(desk.crm, login, into=into, now=datetime.now(UTC))
        else:
            if not yes and sys.stdin.isatty() and not typer.confirm(f"Erase all that {login} filed?", err=True):
                raise typer.Exit(1)
            with copies_of(desk) as copies:
                removed = erase_user(desk.crm, login, copies, datetime.now(UTC))
    if as_json:
        fields = {"user": removed.login, "into": removed.into}
        print_json({**fields, "tables": dict(removed.tables), "folders": dict(removed.folders)})
    else:
        print_counts(removed.tables, removed.folders)
        note(f"{removed.login} is removed")


def _show(user: "CrmUser", *, as_json: bool) -> None:
    if as_json:
        print_json(_fields(user))
    else:
        print_fields(_fields(user).items())


def _fields(user: "CrmUser") -> dict[str, str | bool]:
    return {
        "user": user.login,
        "profile": user.profile,
        "enabled": user.enabled,
        "pattern": user.pattern.value,
        "permission": user.may_have_dropbox,
    }
