"""`bcc-dropbox erase`: removes a person from the database and from the mailbox's folders (R29)."""

import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.app import AccountName, Desk, Json, open_desk
from worker.cli.output import note, print_fields, print_json, print_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from worker.crm.removal import Erased
    from worker.poll.own_folders import MailboxCopies

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="One of the person's addresses.")]


def erase(
    ctx: typer.Context,
    address: Address,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    keep_shared: Annotated[
        bool, typer.Option("--keep-shared", help="Keep emails that are on other people's records too, and list them.")
    ] = False,
    no_never_log: Annotated[
        bool, typer.Option("--no-never-log", help="Leave no never-log entry: later mail may make the person again.")
    ] = False,
    account: AccountName = None,
    as_json: Json = False,
) -> None:
    """Remove a person: records, emails, decisions, events, and the copies in the mailbox's folders.

    Without --yes it shows what would go, and asks. If it is interrupted, give the same command again.
    """
    from worker.bootstrap import start_log
    from worker.crm.removal import Options, plan_erasure
    from worker.crm.removal import erase as erase_person

    options = Options(keeps_shared=keep_shared, never_logs=not no_never_log)
    with open_desk(ctx, account) as desk, copies_of(desk) as copies:
        if not yes:
            _show(plan_erasure(desk.crm, address, copies, options), as_json=as_json)
            _ask()
        start_log(desk.settings)
        erased = erase_person(desk.crm, address, copies, options, datetime.now(UTC))
    _log(erased)
    _show(erased, as_json=as_json)
    if not erased.is_complete:
        note("mail of this person keeps coming, or the mail server keeps it: give the command again")
        raise typer.Exit(1)


@contextmanager
def copies_of(desk: Desk) -> "Iterator[MailboxCopies | None]":
    """Give access to the copies in the mailbox, or None where no mailbox is configured.

    Raises:
        Refused: when the account is not named, or there is no such account.
        Unavailable: when the database is down.
    """
    from worker.bootstrap import copies_in_mailbox
    from worker.crm.removal import account_of

    if desk.settings.mailbox_name is None:
        note("no mailbox is configured: its folders are not searched")
        yield None
        return
    with copies_in_mailbox(desk.settings, desk.crm.database, account_of(desk.crm)) as copies:
        yield copies


def print_counts(tables: "Mapping[str, int]", folders: "Mapping[str, int]") -> None:
    """Show how many rows and messages go, by table and folder."""
    rows = [("table", table, count) for table, count in tables.items()]
    rows += [("folder", folder, count) for folder, count in folders.items()]
    if rows:
        print_rows(("in", "name", "count"), rows)
    else:
        note("nothing is stored")


def _ask() -> None:
    if not sys.stdin.isatty():
        note("nothing was changed: give --yes to erase all this")
        raise typer.Exit(1)
    if not typer.confirm("Erase all this? It cannot be undone.", err=True):
        raise typer.Exit(1)


def _show(erased: "Erased", *, as_json: bool) -> None:
    shared = [_shared_fields(email) for email in erased.shared]
    if as_json:
        print_json(
            {
                "tables": dict(erased.tables),
                "folders": dict(erased.folders),
                "shared": shared,
                "addresses": list(erased.addresses),
                "never_log": list(erased.never_log),
            }
        )
        return
    print_fields([("addresses", erased.addresses)])
    print_counts(erased.tables, erased.folders)
    for email in shared:
        on = ", ".join([*(f"{record['module']} {record['id']}" for record in email["records"]), *email["waiting"]])
        note(f"email {email['id']} is other people's too ({on}): {email['subject']}")
    if erased.never_log:
        note(f"never logged from now on: {', '.join(erased.never_log)}")


def _shared_fields(email: Any) -> dict[str, Any]:
    return {
        "id": email.id,
        "message_id": email.message_id,
        "subject": email.subject,
        "records": [{"module": module, "id": number} for module, number in email.records],
        "waiting": list(email.waiting),
    }


def _log(erased: "Erased") -> None:
    """Log how much was removed, and not whose it was."""
    import structlog

    from worker.logs import Event

    tables = erased.tables
    structlog.get_logger().info(
        Event.PERSON_ERASED,
        records=tables.get("record", 0),
        emails=tables.get("email", 0),
        decisions=tables.get("decision", 0),
        events=tables.get("event", 0),
        messages=sum(erased.folders.values()),
        complete=erased.is_complete,
    )
