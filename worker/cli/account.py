"""`bcc-dropbox account`, `profile`, `never-log`, `user`: customers, and what users may do (R1, R7 to R9, R14)."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.app import DEFAULT_LIMIT, AccountName, Json, Limit, User, noun, open_desk, open_first_desk
from worker.cli.dropbox import show_dropbox
from worker.cli.output import Cell, cut, note, one_more, print_fields, print_json, print_rows
from worker.domain.errors import Refused
from worker.domain.permissions import Permission, Profile
from worker.domain.records import RecordNames
from worker.domain.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.crm.accounts import AccountSummary
    from worker.crm.work import User as CrmUser


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


user_app = noun("user")

UsersProfile = Annotated[str | None, typer.Option("--profile", metavar="NAME", help="The user's profile.")]


@user_app.command("add")
def add_login(
    ctx: typer.Context, login: User, profile: UsersProfile = None, account: AccountName = None, as_json: Json = False
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


@user_app.command("list")
def list_logins(
    ctx: typer.Context, limit: Limit = DEFAULT_LIMIT, account: AccountName = None, as_json: Json = False
) -> None:
    """List the users by login."""
    from worker.crm.users import list_users  # noqa: PLC0415

    with open_desk(ctx, account) as desk:
        users = cut(list_users(desk.crm, limit=one_more(limit)), limit)
    if as_json:
        print_json([_user_fields(user) for user in users])
    else:
        print_rows(
            ("user", "profile", "enabled", "pattern", "dropbox"), [tuple(_user_fields(m).values()) for m in users]
        )


@user_app.command("enable")
def enable_login(
    ctx: typer.Context, login: User, profile: UsersProfile = None, account: AccountName = None, as_json: Json = False
) -> None:
    """Let mail to the user's dropbox in again.

    With --profile the user is under that profile from now on.
    """
    from worker.crm.users import enable_user  # noqa: PLC0415

    with open_desk(ctx, account) as desk:
        _show_user(enable_user(desk.crm, login, profile=profile), as_json=as_json)


@user_app.command("disable")
def disable_login(ctx: typer.Context, login: User, account: AccountName = None, as_json: Json = False) -> None:
    """Reject mail to the user's dropbox from now on."""
    from worker.crm.users import disable_user  # noqa: PLC0415

    with open_desk(ctx, account) as desk:
        _show_user(disable_user(desk.crm, login), as_json=as_json)


@user_app.command("remove")
def remove_login(  # noqa: PLR0913, PLR0917 - the options of the command
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


def _show_user(user: "CrmUser", *, as_json: bool) -> None:
    if as_json:
        print_json(_user_fields(user))
    else:
        print_fields(_user_fields(user).items())


def _user_fields(user: "CrmUser") -> dict[str, str | bool]:
    return {
        "user": user.login,
        "profile": user.profile,
        "enabled": user.enabled,
        "pattern": user.pattern.value,
        "permission": user.may_have_dropbox,
    }
