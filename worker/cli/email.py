"""`bcc-dropbox email` and `unmatched`: stored emails, their records, recipients that wait (R18 to R20, R25, R28)."""

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.app import DEFAULT_LIMIT, AccountName, Acting, Json, Limit, OutputFile, noun, open_desk
from worker.cli.output import (
    Cell,
    cut,
    note,
    one_more,
    print_fields,
    print_json,
    print_list,
    print_one,
    print_rows,
    time_text,
    write_result,
)
from worker.domain.errors import Refused
from worker.domain.permissions import Module

if TYPE_CHECKING:
    from worker.crm.emails import EmailDetail, EmailFilter, EmailRecord, EmailSummary


app = noun("email")

EmailId = Annotated[int, typer.Argument(metavar="ID", min=1, max=2**63 - 1, help="The email's id, as listed.")]


@app.command("list")
def list_(
    ctx: typer.Context,
    contact: Annotated[
        str | None,
        typer.Option(metavar="RECORD", help="Only what is on this contact: its address, ID or external:KEY."),
    ] = None,
    lead: Annotated[str | None, typer.Option(metavar="RECORD", help="Only what is on this lead.")] = None,
    owner: Annotated[str | None, typer.Option(metavar="USER", help="Only what came through this dropbox.")] = None,
    unmatched: Annotated[bool, typer.Option("--unmatched", help="Only what waits for a record.")] = False,
    limit: Limit = DEFAULT_LIMIT,
    account: AccountName = None,
    as_json: Json = False,
) -> None:
    """List stored emails, the newest first.

    With --contact or --lead these are that record's "Sent Emails from CRM" and "Received Emails".
    """
    from worker.crm.emails import list_emails

    wanted = _filter(contact, lead, owner, waits=unmatched)
    with open_desk(ctx, account) as desk:
        emails = cut(list_emails(desk.crm, wanted, limit=one_more(limit)), limit)
    if wanted.record is not None and not emails:
        note(f"no {wanted.module} {wanted.record} has an email")
    if as_json:
        print_json([_summary_fields(email) for email in emails])
        return
    if emails and wanted.record is not None:
        lists = dict.fromkeys(email.direction.list_name for email in emails)
        note(f"{' and '.join(lists)}: {wanted.record}")
    print_rows(
        ("id", "sent at", "direction", "from", "subject", "owner", "on"),
        [
            (
                e.id,
                _sent_text(e),
                _direction_text(e),
                _sender_text(e),
                e.subject,
                e.owners,
                [_record_text(r) for r in e.records],
            )
            for e in emails
        ],
    )


@app.command("show")
def show(ctx: typer.Context, email_id: EmailId, account: AccountName = None, as_json: Json = False) -> None:
    """Show one email and its records."""
    from worker.crm.emails import show_email

    with open_desk(ctx, account) as desk:
        email = show_email(desk.crm, email_id)
    if as_json:
        print_json(_detail_fields(email))
    else:
        print_fields(_detail_lines(email))


@app.command("export")
def export(ctx: typer.Context, email_id: EmailId, output: OutputFile = None, account: AccountName = None) -> None:
    """Give the original message, byte for byte (.eml)."""
    from worker.crm.emails import original_of

    if output is None and sys.stdout.isatty():
        raise Refused("a message may hold anything and is not written to a terminal: -o FILE, or > FILE")
    with open_desk(ctx, account) as desk:
        original = original_of(desk.crm, email_id)
    write_result(original, output)


def _filter(contact: str | None, lead: str | None, owner: str | None, *, waits: bool) -> "EmailFilter":
    from worker.crm.emails import EmailFilter

    if contact is not None and lead is not None:
        raise typer.BadParameter("--contact and --lead exclude each other")
    if contact is not None:
        return EmailFilter(Module.CONTACT, contact, owner, waits)
    return EmailFilter(Module.LEAD, lead, owner, waits)


def _summary_fields(email: "EmailSummary") -> dict[str, Any]:
    return {
        "id": email.id,
        "message_id": email.message_id,
        "subject": email.subject,
        "sender": email.sender,
        "sent_at": email.sent_at,
        "sent_at_is_arrival": email.is_arrival,
        "verified": email.verified,
        "owner": ", ".join(email.owners),
        "list": email.direction.list_name,
        "direction": email.direction.value,
        "claimed": email.claimed,
        "records": [_record_fields(record) for record in email.records],
    }


def _record_fields(record: "EmailRecord") -> dict[str, Any]:
    return {
        "module": record.module.value,
        "id": record.id,
        "email": record.email,
        "created": record.created,
        "list": record.direction.list_name,
        "direction": record.direction.value,
        "claimed": record.claimed,
    }


def _detail_fields(email: "EmailDetail") -> dict[str, Any]:
    return {
        **_summary_fields(email.summary),
        "thread_id": email.thread_id,
        "recipients": email.recipients,
        "unmatched": email.unmatched,
        "attachments": email.attachments,
        "snippet": email.snippet,
        "arrived_at": email.arrived_at,
        "stored_at": email.stored_at,
        "size": email.size,
    }


def _detail_lines(email: "EmailDetail") -> list[tuple[str, Cell]]:
    summary = email.summary
    return [
        ("id", summary.id),
        ("Message-ID", summary.message_id),
        ("subject", summary.subject),
        ("from", summary.sender if summary.verified else f"{summary.sender} (sender not verified)"),
        ("to", email.recipients),
        ("sent at", _sent_text(summary)),
        ("arrived at", email.arrived_at),
        ("stored at", email.stored_at),
        ("owner", summary.owners),
        *((record.direction.list_name, _record_text(record)) for record in summary.records),
        *(("waits for a record", address) for address in email.unmatched),
        *(("attachment", _attachment_text(attachment)) for attachment in email.attachments),
        ("size", f"{email.size} bytes"),
        ("text", email.snippet),
    ]


def _direction_text(email: "EmailSummary") -> str:
    return f"{email.direction}{' (claimed)' if email.claimed else ''}"


def _sent_text(email: "EmailSummary") -> str:
    return time_text(email.sent_at) + (" (arrival)" if email.is_arrival else "")


def _sender_text(email: "EmailSummary") -> str:
    return email.sender if email.verified else f"{email.sender} (not verified)"


def _record_text(record: "EmailRecord") -> str:
    return f"{record.module} {record.id} {record.email or ''}{_made_text(record)}"


def _made_text(record: "EmailRecord") -> str:
    said = (("made by it", record.created), ("claimed by a forward", record.claimed))
    words = ", ".join(words for words, is_so in said if is_so)
    return f" ({words})" if words else ""


def _attachment_text(attachment: dict[str, Any]) -> str:
    return " ".join(str(value) for value in attachment.values())


unmatched_app = noun("unmatched")


@unmatched_app.command("list")
def list_waiting(
    ctx: typer.Context, limit: Limit = DEFAULT_LIMIT, account: AccountName = None, as_json: Json = False
) -> None:
    """List the addresses that wait for a record.

    The one that waits longest comes first.
    """
    from worker.crm.emails import list_unmatched

    with open_desk(ctx, account) as desk:
        waiting = [asdict(each) for each in cut(list_unmatched(desk.crm, limit=one_more(limit)), limit)]
    print_list(("address", "emails", "first at", "last at"), waiting, as_json=as_json)


@unmatched_app.command("assign")
def assign(
    ctx: typer.Context,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="An address that waits.")],
    contact: Annotated[str | None, typer.Option(metavar="ID", help="Put its emails on this contact.")] = None,
    lead: Annotated[str | None, typer.Option(metavar="ID", help="Put its emails on this lead.")] = None,
    new_contact: Annotated[bool, typer.Option("--new-contact", help="Make a contact with this address.")] = False,
    new_lead: Annotated[bool, typer.Option("--new-lead", help="Make a lead with this address.")] = False,
    acting: Acting = None,
    account: AccountName = None,
    as_json: Json = False,
) -> None:
    """Put the emails that wait for an address on a record.

    The record matches by the address from now on.
    """
    from worker.crm.emails import assign_unmatched
    from worker.crm.work import By

    chosen = [contact is not None, lead is not None, new_contact, new_lead]
    if chosen.count(True) != 1:
        raise typer.BadParameter("one of --contact ID, --lead ID, --new-contact and --new-lead")
    module = Module.CONTACT if contact is not None or new_contact else Module.LEAD
    with open_desk(ctx, account) as desk:
        by = By(acting, datetime.now(UTC))
        assigned = assign_unmatched(desk.crm, address, module, by, to=contact if contact is not None else lead)
    record = assigned.record.summary
    fields = {"address": address, "module": module.value, "id": record.id, "attached": assigned.attached}
    print_one(fields, as_json=as_json)
    if as_json:
        return
    if assigned.is_waited_for:
        note(f"some emails still wait for {address}: the profile of their owner has no permission for {module}s")
    elif not assigned.attached:
        note(f"{module} {record.id} had these emails already, by another address")
