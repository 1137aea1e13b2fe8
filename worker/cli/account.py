"""`bcc-dropbox account`, `profile`, `never-log`, `user`: customers, and what users may do (R1, R7 to R9, R14)."""

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.app import DEFAULT_LIMIT, AccountName, Json, Limit, User, noun, open_desk, open_first_desk
from worker.cli.dropbox import show_dropbox
from worker.cli.output import cut, note, one_more, print_json, print_list, print_one
from worker.domain.errors import Refused
from worker.domain.permissions import Permission, Profile
from worker.domain.records import RecordNames
from worker.domain.text import clean

if TYPE_CHECKING:
    from worker.crm.work import User as CrmUser


app = noun("account")


@app.command("add")
def add(
    ctx: typer.Context, name: Annotated[str, typer.Argument(metavar="NAME", help="Its name.")], as_json: Json = False
) -> None:
    """Make an account with the profiles Administrator and Standard."""
    from worker.crm.accounts import add_account

    with open_first_desk(ctx) as desk:
        account = add_account(desk.crm, name, now=datetime.now(UTC))
    print_one(asdict(account), as_json=as_json)


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
    from worker.crm.accounts import set_record_names

    with open_desk(ctx) as desk:
        print_one(asdict(set_record_names(desk.crm, name, record_names)), as_json=as_json)


@app.command("list")
def list_(ctx: typer.Context, limit: Limit = DEFAULT_LIMIT, as_json: Json = False) -> None:
    """List the accounts by name."""
    from worker.crm.accounts import list_accounts

    with open_desk(ctx) as desk:
        accounts = [asdict(account) for account in cut(list_accounts(desk.crm), limit)]
    print_list(("id", "name", "users", "record names", "created at"), accounts, as_json=as_json)


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
    from worker.crm.accounts import add_profile

    with open_desk(ctx, account) as desk:
        print_one(_profile_fields(add_profile(desk.crm, name, acting=acting)), as_json=as_json)


def _add_change(verb: str, summary: str) -> None:
    """Make the command that grants or revokes one permission."""

    @profile_app.command(verb, help=summary)
    def change(
        ctx: typer.Context,
        name: ProfileName,
        permission: PermissionName,
        acting: Acting,
        account: AccountName = None,
        as_json: Json = False,
    ) -> None:
        from worker.crm.accounts import grant, revoke

        wanted = _permission_named(permission)
        with open_desk(ctx, account) as desk:
            changed = {"grant": grant, "revoke": revoke}[verb](desk.crm, name, wanted, acting=acting)
            print_one(_profile_fields(changed), as_json=as_json)


_add_change("grant", "Give a profile a permission.")
_add_change("revoke", "Take a permission from a profile.")


@profile_app.command("list")
def list_profiles_of(
    ctx: typer.Context, limit: Limit = DEFAULT_LIMIT, account: AccountName = None, as_json: Json = False
) -> None:
    """List the profiles with their permissions."""
    from worker.crm.accounts import list_profiles

    with open_desk(ctx, account) as desk:
        profiles = [{**_profile_fields(s.profile), "users": s.users} for s in cut(list_profiles(desk.crm), limit)]
    print_list(("profile", "permissions", "users"), profiles, as_json=as_json)


def _profile_fields(profile: Profile) -> dict[str, Any]:
    permissions = [permission.value for permission in Permission if permission in profile.permissions]
    return {"profile": profile.name, "permissions": permissions}


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
    from worker.crm import accounts

    with open_first_desk(ctx, account) as desk:
        print_one({"entry": accounts.never_log(desk.crm, entry, now=datetime.now(UTC))}, as_json=as_json)


@never_log_app.command("remove")
def remove_entry(ctx: typer.Context, entry: Entry, account: AccountName = None, as_json: Json = False) -> None:
    """Log mail to it again."""
    from worker.crm import accounts

    with open_desk(ctx, account) as desk:
        print_one({"entry": accounts.log_again(desk.crm, entry)}, as_json=as_json)


@never_log_app.command("list")
def list_entries(
    ctx: typer.Context, limit: Limit = DEFAULT_LIMIT, account: AccountName = None, as_json: Json = False
) -> None:
    """List what is never logged."""
    from worker.crm import accounts

    with open_desk(ctx, account) as desk:
        entries = cut(accounts.list_never_log(desk.crm, limit=one_more(limit)), limit)
    print_list(("never logged",), [{"entry": entry} for entry in entries], as_json=as_json)


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
    from worker.crm.users import add_user

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
    from worker.crm.users import list_users

    with open_desk(ctx, account) as desk:
        users = [_user_fields(user) for user in cut(list_users(desk.crm, limit=one_more(limit)), limit)]
    print_list(("user", "profile", "enabled", "pattern", "dropbox"), users, as_json=as_json)


@user_app.command("enable")
def enable_login(
    ctx: typer.Context, login: User, profile: UsersProfile = None, account: AccountName = None, as_json: Json = False
) -> None:
    """Let mail to the user's dropbox in again.

    With --profile the user is under that profile from now on.
    """
    from worker.crm.users import enable_user

    with open_desk(ctx, account) as desk:
        print_one(_user_fields(enable_user(desk.crm, login, profile=profile)), as_json=as_json)


@user_app.command("disable")
def disable_login(ctx: typer.Context, login: User, account: AccountName = None, as_json: Json = False) -> None:
    """Reject mail to the user's dropbox from now on."""
    from worker.crm.users import disable_user

    with open_desk(ctx, account) as desk:
        print_one(_user_fields(disable_user(desk.crm, login)), as_json=as_json)


@user_app.command("remove")
def remove_login(
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
    from worker.cli.erase import copies_of, print_counts
    from worker.crm.removal import erase_user, hand_over

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


def _user_fields(user: "CrmUser") -> dict[str, Any]:
    return {
        "user": user.login,
        "profile": user.profile,
        "enabled": user.enabled,
        "pattern": user.pattern.value,
        "permission": user.may_have_dropbox,
    }
