"""`bcc-dropbox account`, `profile` and `never-log`: customers, what users may do, what is not logged (R7, R8, R14)."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.invocation import DEFAULT_LIMIT, AccountName, Json, Limit, open_desk, open_first_desk
from worker.cli.lazy import noun
from worker.cli.output import Cell, cut, one_more, print_fields, print_json, print_rows
from worker.domain.errors import Refused
from worker.domain.permissions import Permission, Profile
from worker.domain.records import RecordNames
from worker.domain.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

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


profile_app = noun("profile")

Acting = Annotated[str, typer.Option("--as", metavar="USER", help="Who does it: a user with manage_profiles.")]
ProfileName = Annotated[str, typer.Argument(metavar="PROFILE", help="The profile's name.")]
PermissionName = Annotated[
    str, typer.Argument(metavar="PERMISSION", help="bcc_dropbox, leads, contacts or manage_profiles.")
]


@profile_app.command("add")
def add_profile(
    ctx: typer.Context, name: ProfileName, acting: Acting, account: AccountName = None, as_json: Json = False
) -> None:
    """Make a profile; it begins with leads and contacts."""
    from worker.crm.accounts import add_profile  # noqa: PLC0415

    with open_desk(ctx, account) as desk:
        _show_profile(add_profile(desk.crm, name, acting=acting), as_json=as_json)


def _add_change(verb: str, summary: str) -> None:
    """Make the command that grants or revokes one permission."""

    @profile_app.command(verb, help=summary)
    def change(  # noqa: PLR0913, PLR0917 - the parameters are the command line
        ctx: typer.Context,
        name: ProfileName,
        permission: PermissionName,
        acting: Acting,
        account: AccountName = None,
        as_json: Json = False,
    ) -> None:
        from worker.crm.accounts import grant, revoke  # noqa: PLC0415

        wanted = _permission_named(permission)
        with open_desk(ctx, account) as desk:
            _show_profile(
                {"grant": grant, "revoke": revoke}[verb](desk.crm, name, wanted, acting=acting), as_json=as_json
            )


_add_change("grant", "Give a profile a permission.")
_add_change("revoke", "Take a permission from a profile.")


@profile_app.command("list")
def list_profiles_of(
    ctx: typer.Context, limit: Limit = DEFAULT_LIMIT, account: AccountName = None, as_json: Json = False
) -> None:
    """List the profiles with their permissions."""
    from worker.crm.accounts import list_profiles  # noqa: PLC0415

    with open_desk(ctx, account) as desk:
        found = cut(list_profiles(desk.crm), limit)
    if as_json:
        print_json(
            [{"profile": s.profile.name, "permissions": _names(s.profile.permissions), "users": s.users} for s in found]
        )
    else:
        print_rows(
            ("profile", "permissions", "users"),
            [(s.profile.name, _names(s.profile.permissions), s.users) for s in found],
        )


def _show_profile(profile: Profile, *, as_json: bool) -> None:
    if as_json:
        print_json({"profile": profile.name, "permissions": _names(profile.permissions)})
    else:
        print_fields([("profile", profile.name), ("permissions", _names(profile.permissions))])


def _names(permissions: "Iterable[Permission]") -> list[str]:
    return [permission.value for permission in Permission if permission in permissions]


def _permission_named(name: str) -> Permission:
    try:
        return Permission(name.strip().lower().replace("-", "_"))
    except ValueError as error:
        raise Refused(f"no permission {clean(name, 80)!r}: there are {', '.join(Permission)}") from error


never_log_app = noun("never-log")

Entry = Annotated[str, typer.Argument(metavar="ADDRESS|DOMAIN", help="Such as boss@bank.example or bank.example.")]


@never_log_app.command("add")
def add_entry(ctx: typer.Context, entry: Entry, account: AccountName = None, as_json: Json = False) -> None:
    """Never log mail to this address or domain."""
    from worker.crm import accounts  # noqa: PLC0415

    with open_first_desk(ctx, account) as desk:
        _show_entries(accounts.never_log(desk.crm, entry, now=datetime.now(UTC)), as_json=as_json)


@never_log_app.command("remove")
def remove_entry(ctx: typer.Context, entry: Entry, account: AccountName = None, as_json: Json = False) -> None:
    """Log mail to it again."""
    from worker.crm import accounts  # noqa: PLC0415

    with open_desk(ctx, account) as desk:
        _show_entries(accounts.log_again(desk.crm, entry), as_json=as_json)


@never_log_app.command("list")
def list_entries(
    ctx: typer.Context, limit: Limit = DEFAULT_LIMIT, account: AccountName = None, as_json: Json = False
) -> None:
    """List what is never logged."""
    from worker.crm import accounts  # noqa: PLC0415

    with open_desk(ctx, account) as desk:
        entries = cut(accounts.list_never_log(desk.crm, limit=one_more(limit)), limit)
    if as_json:
        print_json([{"entry": entry} for entry in entries])
    else:
        print_rows(("never logged",), [(entry,) for entry in entries])


def _show_entries(entry: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"entry": entry})
    else:
        print_fields([("entry", entry)])
