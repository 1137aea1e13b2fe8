"""`bcc-dropbox lead` and `bcc-dropbox contact`: the same commands over the two modules (R16, R17, R24, R25)."""

from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from worker.cli.app import DEFAULT_LIMIT, AccountName, Acting, Json, Limit, noun, open_desk, open_first_desk
from worker.cli.output import Cell, cut, note, one_more, print_list, print_one
from worker.domain.permissions import Module
from worker.domain.text import clean

if TYPE_CHECKING:
    from worker.crm.record_life import ChangedRecord
    from worker.crm.record_lists import RecordDetail
    from worker.crm.work import By
    from worker.domain.records import RecordChange

RecordName = Annotated[
    str, typer.Argument(metavar="ID", help="Its ID; or an address that only it has; or external:KEY.")
]
Email = Annotated[str | None, typer.Option(metavar="ADDRESS", help="Its primary address; an empty one clears it.")]
Secondary = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Its secondary address; it matches by this too.")
]
LastName = Annotated[str | None, typer.Option(metavar="NAME", help="By default the address.")]
FirstName = Annotated[str | None, typer.Option(metavar="NAME", help="Its first name.")]
ExternalId = Annotated[str | None, typer.Option(metavar="KEY", help="The CRM's own key for it.")]
Owner = Annotated[str | None, typer.Option(metavar="USER", help="The login of its owner.")]
Source = Annotated[str | None, typer.Option(metavar="TEXT", help="Where it comes from.")]

_COLUMNS = ("id", "external id", "email", "last name", "first name", "owner", "source")

lead_app, contact_app = noun("lead"), noun("contact")

_Command = TypeVar("_Command", bound=Callable[..., None])


def _of_both(verb: str, summary: str) -> Callable[[_Command], _Command]:
    """Make a function the command of leads and of contacts; ``summary`` names the module."""

    def add_to_both(command: _Command) -> _Command:
        for module, app in ((Module.LEAD, lead_app), (Module.CONTACT, contact_app)):
            app.command(verb, help=summary.format(module=module))(command)
        return command

    return add_to_both


def _module_of(ctx: typer.Context) -> Module:
    """Return the module whose command was given: its name is the word before the verb."""
    return Module(ctx.command_path.split()[-2])


@_of_both("list", "List the {module}s, the newest first.")
def list_(
    ctx: typer.Context,
    email: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Only those with this address.")] = None,
    owner: Annotated[str | None, typer.Option(metavar="USER", help="Only those of this owner.")] = None,
    limit: Limit = DEFAULT_LIMIT,
    account: AccountName = None,
    as_json: Json = False,
) -> None:
    """List the records of a module."""
    from worker.crm.record_lists import RecordFilter, list_records

    with open_desk(ctx, account) as desk:
        wanted = RecordFilter(_module_of(ctx), email, owner)
        records = cut(list_records(desk.crm, wanted, limit=one_more(limit)), limit)
    print_list(_COLUMNS, [asdict(record) for record in records], as_json=as_json)


@_of_both("show", "Show one {module} with all its addresses.")
def show(ctx: typer.Context, name: RecordName, account: AccountName = None, as_json: Json = False) -> None:
    """Show one record."""
    from worker.crm.record_lists import show_record

    with open_desk(ctx, account) as desk:
        print_one(_detail(show_record(desk.crm, _module_of(ctx), name)), as_json=as_json)


@_of_both("duplicates", "List {module}s that share an address.\n\nEach pair with the command that merges it.")
def duplicates(
    ctx: typer.Context, limit: Limit = DEFAULT_LIMIT, account: AccountName = None, as_json: Json = False
) -> None:
    """List pairs of records that share an address."""
    from worker.crm.record_lists import list_duplicates

    module = _module_of(ctx)
    with open_desk(ctx, account) as desk:
        pairs = cut(list_duplicates(desk.crm, module, limit=one_more(limit)), limit)
    rows = [
        {
            "address": pair.address,
            "id": pair.id,
            "duplicate_id": pair.duplicate_id,
            "command": f"bcc-dropbox {module} merge {pair.duplicate_id} --into {pair.id}",
        }
        for pair in pairs
    ]
    print_list(("address", "id", "duplicate", "merged by"), rows, as_json=as_json)


@_of_both("add", "Make a {module}.\n\nMail that waits for its address is attached.")
def add(
    ctx: typer.Context,
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="Its e-mail address.")],
    last_name: LastName = None,
    first_name: FirstName = None,
    secondary_email: Secondary = None,
    external_id: ExternalId = None,
    owner: Owner = None,
    source: Source = None,
    acting: Acting = None,
    account: AccountName = None,
    as_json: Json = False,
) -> None:
    """Make a record."""
    from worker.crm.record_life import add_record

    module = _module_of(ctx)
    if not email.strip() and not external_id:
        raise typer.BadParameter(f"a {module} needs an email or --external-id", param_hint="EMAIL")
    change = _change(
        email=email or None,
        secondary_email=secondary_email,
        last_name=last_name,
        first_name=first_name,
        external_id=external_id,
        owner=owner,
        source=source,
    )
    with open_first_desk(ctx, account) as desk:
        added = add_record(desk.crm, module, change, _by(acting))
    _note(added)
    print_one(asdict(added.record.summary), as_json=as_json)


@_of_both("edit", "Change a {module}.\n\nAn address that is replaced keeps matching; an empty option clears.")
def edit(
    ctx: typer.Context,
    name: RecordName,
    email: Email = None,
    last_name: LastName = None,
    first_name: FirstName = None,
    secondary_email: Secondary = None,
    external_id: ExternalId = None,
    owner: Owner = None,
    source: Source = None,
    add_address: Annotated[
        list[str] | None, typer.Option(metavar="ADDRESS", help="It matches by this address too.")
    ] = None,
    remove_address: Annotated[
        list[str] | None, typer.Option(metavar="ADDRESS", help="It matches by this address no more.")
    ] = None,
    acting: Acting = None,
    account: AccountName = None,
    as_json: Json = False,
) -> None:
    """Change a record."""
    from worker.crm.record_life import edit_record

    given = {
        "email": email,
        "last_name": last_name,
        "first_name": first_name,
        "secondary_email": secondary_email,
        "external_id": external_id,
        "owner": owner,
        "source": source,
    }
    if all(value is None for value in given.values()) and not (add_address or remove_address):
        raise typer.BadParameter("name what is to be changed, such as --email or --last-name")
    change = _change(**given, add=add_address or (), remove=remove_address or ())
    with open_desk(ctx, account) as desk:
        _show_changed(edit_record(desk.crm, _module_of(ctx), name, change, _by(acting)), as_json=as_json)


@_of_both("delete", "Delete a {module}.\n\nIts emails stay.")
def delete(
    ctx: typer.Context, name: RecordName, acting: Acting = None, account: AccountName = None, as_json: Json = False
) -> None:
    """Delete a record."""
    from worker.crm.record_life import delete_record

    with open_desk(ctx, account) as desk:
        deleted = delete_record(desk.crm, _module_of(ctx), name, _by(acting))
    without_record = deleted.emails_without_record
    note(f"emails that were on no other record, and stay: {without_record}")
    fields = _detail(deleted.record)
    print_one({**fields, "emails_without_record": without_record} if as_json else fields, as_json=as_json)


@_of_both("merge", "Merge a {module} into another one.\n\nIts emails and addresses follow.")
def merge(
    ctx: typer.Context,
    name: RecordName,
    into: Annotated[str, typer.Option(metavar="ID", help="The record that stays.")],
    acting: Acting = None,
    account: AccountName = None,
    as_json: Json = False,
) -> None:
    """Merge a record into another one of its module."""
    from worker.crm.record_life import merge_records

    with open_desk(ctx, account) as desk:
        _show_changed(merge_records(desk.crm, _module_of(ctx), name, _by(acting), into=into), as_json=as_json)


@lead_app.command("convert")
def convert(
    ctx: typer.Context,
    name: RecordName,
    into: Annotated[str | None, typer.Option(metavar="CONTACT_ID", help="A contact that exists.")] = None,
    acting: Acting = None,
    account: AccountName = None,
    as_json: Json = False,
) -> None:
    """Make a lead a contact.

    It keeps its ID; with --into it is merged into a contact that exists. Its emails and addresses follow.
    """
    from worker.crm.record_life import convert_lead

    with open_desk(ctx, account) as desk:
        _show_changed(convert_lead(desk.crm, name, _by(acting), into=into), as_json=as_json)


@_of_both(
    "import", "Create or update {module}s from a file.\n\nThe same file twice changes nothing; bad rows are skipped."
)
def import_(
    ctx: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.csv",
            help="CSV, whose first line names the columns: external_id, email, last_name, first_name,"
            " secondary_email, owner, source; or JSON Lines. - reads from stdin.",
        ),
    ],
    key: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Find records by external_id or by email. By default by the first."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be done; write nothing.")] = False,
    acting: Acting = None,
    account: AccountName = None,
    as_json: Json = False,
) -> None:
    """Create or update records from a file."""
    from worker.cli.record_files import import_file, key_named
    from worker.crm.record_import import ImportPlan

    plan = ImportPlan(_module_of(ctx), key_named(key), dry_run=dry_run)
    with open_first_desk(ctx, account) as desk:
        import_file(desk.crm, plan, file, _by(acting), as_json=as_json)


def _by(acting: str | None) -> "By":
    from worker.crm.work import By

    return By(acting, datetime.now(UTC))


def _change(*, add: Iterable[str] = (), remove: Iterable[str] = (), **given: str | None) -> "RecordChange":
    from worker.crm.work import address_of
    from worker.domain.errors import Refused
    from worker.domain.records import BAD_EXTERNAL_ID, RecordChange, is_external_id

    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    for name in ("email", "secondary_email"):
        if name in values:
            values[name] = address_of(values[name], f"the {name.replace('_', ' ')}") if values[name].strip() else None
    for name in ("last_name", "first_name", "source"):
        if name in values:
            values[name] = clean(values[name], 200)
    for name in ("external_id", "owner"):
        if name in values:
            values[name] = values[name].strip() or None
    if not is_external_id(values.get("external_id") or ""):
        raise Refused(BAD_EXTERNAL_ID)
    return RecordChange(
        **values,
        add=tuple(address_of(text, "an address") for text in add),
        remove=tuple(address_of(text, "an address") for text in remove),
    )


def _show_changed(changed: "ChangedRecord", *, as_json: bool) -> None:
    _note(changed)
    print_one(_detail(changed.record), as_json=as_json)


def _note(changed: "ChangedRecord") -> None:
    if changed.attached:
        note(f"emails that waited for it and now stand on it: {changed.attached}")
    if changed.lost_external_id:
        note(f"the external ID {changed.lost_external_id} is gone: the record keeps its own")


def _detail(record: "RecordDetail") -> dict[str, Cell]:
    return {
        **asdict(record.summary),
        "module": record.module.value,
        "secondary_email": record.secondary_email,
        "addresses": list(record.addresses),
        "created_at": record.created_at,
        "created_by": record.created_by,
        "changed_at": record.changed_at,
        "changed_by": record.changed_by,
    }
