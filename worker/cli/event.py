"""`bcc-dropbox event`: what the CRM was told, and what it could not be told yet (R26)."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.invocation import open_desk
from worker.cli.lazy import noun
from worker.cli.options import DEFAULT_LIMIT, AccountName, Json, Limit, parse_duration
from worker.cli.output import cut, note, one_more, print_fields, print_json, print_rows

if TYPE_CHECKING:
    from worker.crm.webhooks import EventSummary

app = noun("event")


@app.command("list")
def list_(
    ctx: typer.Context,
    failed: Annotated[bool, typer.Option("--failed", help="Only those whose last attempt failed.")] = False,
    limit: Limit = DEFAULT_LIMIT,
    account: AccountName = None,
    as_json: Json = False,
) -> None:
    """List events, the newest first."""
    from worker.crm import webhooks  # noqa: PLC0415

    with open_desk(ctx, account) as desk:
        events = cut(webhooks.list_events(desk.crm, failed=failed, limit=one_more(limit)), limit)
    if as_json:
        print_json([_fields(event) for event in events])
    else:
        print_rows(
            ("id", "type", "created at", "state", "attempts", "next attempt", "last error"),
            [(e.id, e.type, e.created_at, e.state, e.attempts, e.next_attempt_at, e.last_error) for e in events],
        )


@app.command("resend")
def resend(
    ctx: typer.Context,
    event_id: Annotated[str | None, typer.Argument(metavar="ID", help="The event's id, as listed.")] = None,
    since: Annotated[
        timedelta | None,
        typer.Option(parser=parse_duration, metavar="TIME", help="All events that are no older than this, like 2d."),
    ] = None,
    account: AccountName = None,
    as_json: Json = False,
) -> None:
    """Deliver events once more, under the same ids.

    The service does it within seconds, or the next `poll`.
    """
    from worker.crm import webhooks  # noqa: PLC0415

    if (event_id is None) == (since is None):
        raise typer.BadParameter("either an ID or --since is needed", param_hint="ID")
    now = datetime.now(UTC)
    with open_desk(ctx, account) as desk:
        if event_id is not None:
            resent = webhooks.resend_event(desk.crm, event_id, now=now)
        else:
            resent = webhooks.resend_since(desk.crm, now - (since or timedelta()), now=now)
    if as_json:
        print_json({"resent": resent})
    else:
        print_fields([("resent", resent)])
        note("they wait for the service, or for the next poll")


def _fields(event: "EventSummary") -> dict[str, Any]:
    return {
        "id": event.id,
        "type": event.type,
        "created_at": event.created_at,
        "state": event.state.value,
        "attempts": event.attempts,
        "next_attempt_at": event.next_attempt_at,
        "last_error": event.last_error,
    }
