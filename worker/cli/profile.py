"""`bcc-dropbox profile`: what users may do, changed on behalf of one who may change it (R7, R8)."""

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.invocation import open_desk
from worker.cli.lazy import noun
from worker.cli.options import DEFAULT_LIMIT, AccountName, Json, Limit
from worker.cli.output import cut, print_fields, print_json, print_rows
from worker.domain.errors import Refused
from worker.domain.permissions import Permission, Profile
from worker.domain.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

app = noun("profile")

Acting = Annotated[str, typer.Option("--as", metavar="USER", help="Who does it: a user with manage_profiles.")]
Name = Annotated[str, typer.Argument(metavar="PROFILE", help="The profile's name.")]
PermissionName = Annotated[
    str, typer.Argument(metavar="PERMISSION", help="bcc_dropbox, leads, contacts or manage_profiles.")
]


@app.command("add")
def add(ctx: typer.Context, name: Name, acting: Acting, account: AccountName = None, as_json: Json = False) -> None:
    """Make a profile; it begins with leads and contacts."""
    from worker.crm.profiles import add_profile  # noqa: PLC0415

    with open_desk(ctx, account) as desk:
        _show(add_profile(desk.crm, name, acting=acting), as_json=as_json)


def _add_change(verb: str, summary: str) -> None:
    """Make the command that grants or revokes one permission."""

    @app.command(verb, help=summary)
    def change(  # noqa: PLR0913, PLR0917 - the parameters are the command line
        ctx: typer.Context,
        name: Name,
        permission: PermissionName,
        acting: Acting,
        account: AccountName = None,
        as_json: Json = False,
    ) -> None:
        from worker.crm.profiles import grant, revoke  # noqa: PLC0415

        wanted = _permission_named(permission)
        with open_desk(ctx, account) as desk:
            _show({"grant": grant, "revoke": revoke}[verb](desk.crm, name, wanted, acting=acting), as_json=as_json)


_add_change("grant", "Give a profile a permission.")
_add_change("revoke", "Take a permission from a profile.")


@app.command("list")
def list_(ctx: typer.Context, limit: Limit = DEFAULT_LIMIT, account: AccountName = None, as_json: Json = False) -> None:
    """List the profiles with their permissions."""
    from worker.crm.profiles import list_profiles  # noqa: PLC0415

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


def _show(profile: Profile, *, as_json: bool) -> None:
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
