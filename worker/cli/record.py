"""`bcc-dropbox lead` and `bcc-dropbox contact`: the same commands over the two modules (R16, R17, R24, R25)."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.app import DEFAULT_LIMIT, AccountName, Acting, Json, Limit, noun, open_desk, open_first_desk
from worker.cli.output import Cell, cut, note, one_more, print_fields, print_json, print_rows
from worker.domain.permissions import Module
from worker.domain.text import clean

if TYPE_CHECKING:
    from worker.crm.record_life import ChangedRecord
    from worker.crm.record_lists import RecordDetail, RecordSummary
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


def _commands_of(module: Module) -> typer.Typer:
    """Make the commands of a module: Typer reads a command from a function's own signature."""
    app = noun(module.value)
    _add_reading(app, module)
    _add_changing(app, module)
    _add_ending(app, module)
    _add_import(app, module)
    return app


def _add_reading(app: typer.Typer, module: Module) -> None:
    @app.command("list", help=f"List the {module}s, the newest first.")
    def list_(  # noqa: PLR0913, PLR0917 - the parameters are the command line
        ctx: typer.Context,
        email: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Only those with this address.")] = None,
        owner: Annotated[str | None, typer.Option(metavar="USER", help="Only those of this owner.")] = None,
        limit: Limit = DEFAULT_LIMIT,
        account: AccountName = None,
        as_json: Json = False,
    ) -> None:
        from worker.crm.record_lists import RecordFilter, list_records  # noqa: PLC0415

        with open_desk(ctx, account) as desk:
            wanted = RecordFilter(module, email, owner)
            records = cut(list_records(desk.crm, wanted, limit=one_more(limit)), limit)
        if as_json:
            print_json([_fields(record) for record in records])
        else:
            print_rows(_COLUMNS, [tuple(_fields(record).values()) for record in records])

    @app.command("show", help=f"Show one {module} with all its addresses.")
    def show(ctx: typer.Context, name: RecordName, account: AccountName = None, as_json: Json = False) -> None:
        from worker.crm.record_lists import show_record  # noqa: PLC0415

        with open_desk(ctx, account) as desk:
            _print(show_record(desk.crm, module, name), as_json=as_json)

    @app.command(
        "duplicates", help=f"List {module}s that share an address.\n\nEach pair with the command that merges it."
    )
    def duplicates(
        ctx: typer.Context, limit: Limit = DEFAULT_LIMIT, account: AccountName = None, as_json: Json = False
    ) -> None:
        from worker.crm.record_lists import list_duplicates  # noqa: PLC0415

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
        if as_json:
            print_json(rows)
        else:
            print_rows(("address", "id", "duplicate", "merged by"), [tuple(row.values()) for row in rows])


def _add_changing(app: typer.Typer, module: Module) -> None:
    @app.command("add", help=f"Make a {module}.\n\nMail that waits for its address is attached.")
    def add(  # noqa: PLR0913, PLR0917 - the parameters are the command line
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
        from worker.crm.record_life import add_record  # noqa: PLC0415

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
        fields = _fields(added.record.summary)
        if as_json:
            print_json(fields)
        else:
            print_fields(fields.items())

    @app.command(
        "edit", help=f"Change a {module}.\n\nAn address that is replaced keeps matching; an empty option clears."
    )
    def edit(  # noqa: PLR0913, PLR0917 - the parameters are the command line
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
        from worker.crm.record_life import edit_record  # noqa: PLC0415

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
        change = _change(**given, add=add_address or [], remove=remove_address or [])
        with open_desk(ctx, account) as desk:
            _tell(edit_record(desk.crm, module, name, change, _by(acting)), as_json=as_json)


def _add_ending(app: typer.Typer, module: Module) -> None:
    @app.command("delete", help=f"Delete a {module}.\n\nIts emails stay.")
    def delete(
        ctx: typer.Context, name: RecordName, acting: Acting = None, account: AccountName = None, as_json: Json = False
    ) -> None:
        from worker.crm.record_life import delete_record  # noqa: PLC0415

        with open_desk(ctx, account) as desk:
            deleted = delete_record(desk.crm, module, name, _by(acting))
        note(f"emails that were on no other record, and stay: {deleted.emails_without_record}")
        if as_json:
            print_json({**_detail(deleted.record), "emails_without_record": deleted.emails_without_record})
        else:
            print_fields(_detail(deleted.record).items())

    @app.command("merge", help=f"Merge a {module} into another one.\n\nIts emails and addresses follow.")
    def merge(  # noqa: PLR0913, PLR0917 - the parameters are the command line
        ctx: typer.Context,
        name: RecordName,
        into: Annotated[str, typer.Option(metavar="ID", help=f"The {module} that stays.")],
        acting: Acting = None,
        account: AccountName = None,
        as_json: Json = False,
    ) -> None:
        from worker.crm.record_life import merge_records  # noqa: PLC0415

        with open_desk(ctx, account) as desk:
            _tell(merge_records(desk.crm, module, name, _by(acting), into=into), as_json=as_json)

    if module is Module.LEAD:
        _add_convert(app)


def _add_convert(app: typer.Typer) -> None:
    @app.command("convert")
    def convert(  # noqa: PLR0913, PLR0917 - the parameters are the command line
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
        from worker.crm.record_life import convert_lead  # noqa: PLC0415

        with open_desk(ctx, account) as desk:
            _tell(convert_lead(desk.crm, name, _by(acting), into=into), as_json=as_json)


def _add_import(app: typer.Typer, module: Module) -> None:
    @app.command(
        "import",
        help=f"Create or update {module}s from a file.\n\nThe same file twice changes nothing; bad rows are skipped.",
    )
    def import_(  # noqa: PLR0913, PLR0917 - the parameters are the command line
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
        from worker.cli.record_files import import_file, key_named  # noqa: PLC0415
        from worker.crm.record_import import ImportPlan  # noqa: PLC0415

        plan = ImportPlan(module, key_named(key), dry_run=dry_run)
        with open_first_desk(ctx, account) as desk:
            import_file(desk.crm, plan, file, _by(acting), as_json=as_json)


def _by(acting: str | None) -> "By":
    from worker.crm.work import By  # noqa: PLC0415

    return By(acting, datetime.now(UTC))


def _change(*, add: list[str] = [], remove: list[str] = [], **given: str | None) -> "RecordChange":  # noqa: B006 - only read
    from worker.crm.work import address_of  # noqa: PLC0415
    from worker.domain.errors import Refused  # noqa: PLC0415
    from worker.domain.records import BAD_EXTERNAL_ID, RecordChange, is_external_id  # noqa: PLC0415

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


def _tell(changed: "ChangedRecord", *, as_json: bool) -> None:
    _note(changed)
    _print(changed.record, as_json=as_json)


def _note(changed: "ChangedRecord") -> None:
    if changed.attached:
        note(f"emails that waited for it and now stand on it: {changed.attached}")
    if changed.lost_external_id:
        note(f"the external ID {changed.lost_external_id} is gone: the record keeps its own")


def _print(record: "RecordDetail", *, as_json: bool) -> None:
    if as_json:
        print_json(_detail(record))
    else:
        print_fields(_detail(record).items())


def _fields(record: "RecordSummary") -> dict[str, str | int | None]:
    return {
        "id": record.id,
        "external_id": record.external_id,
        "email": record.email,
        "last_name": record.last_name,
        "first_name": record.first_name,
        "owner": record.owner,
        "source": record.source,
    }


def _detail(record: "RecordDetail") -> dict[str, Cell]:
    return {
        **_fields(record.summary),
        "module": record.module.value,
        "secondary_email": record.secondary_email,
        "addresses": list(record.addresses),
        "created_at": record.created_at,
        "created_by": record.created_by,
        "changed_at": record.changed_at,
        "changed_by": record.changed_by,
    }


lead_app = _commands_of(Module.LEAD)
contact_app = _commands_of(Module.CONTACT)
