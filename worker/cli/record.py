"""`bcc-dropbox lead` and `bcc-dropbox contact`: the same commands over the two modules (R16, R17)."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.files import STDIN, read_file
from worker.cli.invocation import open_desk, open_first_desk
from worker.cli.lazy import noun
from worker.cli.options import DEFAULT_LIMIT, AccountName, Json, Limit
from worker.cli.output import cut, note, one_more, print_fields, print_json, print_rows
from worker.cli.progress import progress_bar
from worker.domain.patterns import Module
from worker.domain.text import clean

if TYPE_CHECKING:
    from worker.crm.record_import import Imported
    from worker.crm.record_rows import RecordDraft
    from worker.crm.records import RecordSummary


def _commands_of(module: Module) -> typer.Typer:
    """Typer reads a command from a function's own signature, so each module gets functions of its own."""
    app = noun(module.value)

    @app.command("add", help=f"Make a {module}.\n\nMail that waits for its address is attached.")
    def add(  # noqa: PLR0913, PLR0917 - the parameters are the command line
        ctx: typer.Context,
        email: Annotated[str, typer.Argument(metavar="EMAIL", help="Its e-mail address.")],
        last_name: Annotated[str, typer.Option(metavar="NAME", help="By default the address.")] = "",
        first_name: Annotated[str, typer.Option(metavar="NAME")] = "",
        secondary_email: Annotated[str | None, typer.Option(metavar="ADDRESS", help="It matches by this too.")] = None,
        owner: Annotated[str | None, typer.Option(metavar="USER", help="The login of its owner.")] = None,
        account: AccountName = None,
        as_json: Json = False,
    ) -> None:
        from worker.crm.records import add_record  # noqa: PLC0415

        draft = _draft(email, secondary_email, last_name, first_name, owner)
        with open_first_desk(ctx, account) as desk:
            added = add_record(desk.crm, module, draft, now=datetime.now(UTC))
        if added.attached:
            note(f"emails that waited for it and now stand on it: {added.attached}")
        fields = _fields(added.record)
        if as_json:
            print_json(fields)
        else:
            print_fields(fields.items())

    @app.command("list", help=f"List the {module}s, the newest first.")
    def list_(  # noqa: PLR0913, PLR0917 - the parameters are the command line
        ctx: typer.Context,
        email: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Only those with this address.")] = None,
        owner: Annotated[str | None, typer.Option(metavar="USER", help="Only those of this owner.")] = None,
        limit: Limit = DEFAULT_LIMIT,
        account: AccountName = None,
        as_json: Json = False,
    ) -> None:
        from worker.crm.records import RecordFilter, list_records  # noqa: PLC0415

        with open_desk(ctx, account) as desk:
            wanted = RecordFilter(module, email, owner)
            records = cut(list_records(desk.crm, wanted, limit=one_more(limit)), limit)
        if as_json:
            print_json([_fields(record) for record in records])
        else:
            print_rows(("id", "email", "last name", "owner", "source"), [tuple(_fields(r).values()) for r in records])

    @app.command("import", help=f"Make {module}s of the rows of a CSV file.\n\nBad rows are named and skipped.")
    def import_(
        ctx: typer.Context,
        file: Annotated[
            Path,
            typer.Argument(
                metavar="FILE.csv",
                help="The first line names the columns: email, last_name, first_name, secondary_email, owner."
                " - reads from stdin.",
            ),
        ],
        account: AccountName = None,
        as_json: Json = False,
    ) -> None:
        from worker.cli.csv_rows import read_drafts  # noqa: PLC0415
        from worker.crm.record_import import BadRow, import_records  # noqa: PLC0415

        rows = list(read_drafts(read_file(file), "stdin" if file == STDIN else str(file)))
        bad = [row for row in rows if isinstance(row, BadRow)]
        drafts = [row for row in rows if not isinstance(row, BadRow)]
        with open_first_desk(ctx, account) as desk, progress_bar(f"{module}s", len(drafts)) as progress:
            imported = import_records(desk.crm, module, drafts, now=datetime.now(UTC), progress=progress)
        _report(imported, sorted([*bad, *imported.bad], key=lambda row: row.line), as_json=as_json)

    return app


def _report(imported: "Imported", bad: list[Any], *, as_json: bool) -> None:
    for row in bad:
        note(f"line {row.line}: {row.why}")
    counts = {"imported": imported.records, "skipped": len(bad), "attached": imported.attached}
    if as_json:
        print_json({**counts, "bad": [{"line": row.line, "why": row.why} for row in bad]})
    else:
        print_fields(counts.items())
    if bad and not imported.records:
        raise typer.Exit(1)


def _draft(
    email: str, secondary_email: str | None, last_name: str, first_name: str, owner: str | None
) -> "RecordDraft":
    from worker.crm.record_rows import RecordDraft  # noqa: PLC0415
    from worker.crm.work import address_of  # noqa: PLC0415

    return RecordDraft(
        email=address_of(email, "the email"),
        last_name=clean(last_name, 200),
        first_name=clean(first_name, 200),
        secondary_email=address_of(secondary_email, "the secondary email") if secondary_email else None,
        owner=owner,
    )


def _fields(record: "RecordSummary") -> dict[str, str | int | None]:
    return {
        "id": record.id,
        "email": record.email,
        "last_name": record.last_name,
        "owner": record.owner,
        "source": record.source,
    }


lead_app = _commands_of(Module.LEAD)
contact_app = _commands_of(Module.CONTACT)
