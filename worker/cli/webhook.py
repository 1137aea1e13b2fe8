"""`bcc-dropbox webhook` and `event`: where the CRM hears of what happens, and what it was told (R26)."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.app import DEFAULT_LIMIT, AccountName, Json, Limit, noun, open_desk, open_first_desk, parse_duration
from worker.cli.output import cut, note, one_more, print_json, print_list, print_one, print_rows

if TYPE_CHECKING:
    from worker.store.health import EndpointHealth


app = noun("webhook")

WebhookId = Annotated[
    int | None, typer.Argument(metavar="ID", min=1, max=2**63 - 1, help="The webhook's id; an account has only one.")
]


@app.command("add")
def add(
    ctx: typer.Context,
    url: Annotated[
        str | None, typer.Argument(metavar="URL", help="https://…, or http:// on this machine itself.")
    ] = None,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Give the webhook a new secret; for a day both are used.")
    ] = False,
    account: AccountName = None,
    as_json: Json = False,
) -> None:
    """Have an account's events delivered to a URL.

    The secret is shown once: the receiver verifies each event by it.
    """
    from worker.crm import webhooks

    if url is None and not rotate:
        raise typer.BadParameter("a URL is needed, or --rotate", param_hint="URL")
    with open_first_desk(ctx, account) as desk:
        added = webhooks.add_webhook(desk.crm, url, rotate=rotate, now=datetime.now(UTC))
    print_one(asdict(added), as_json=as_json)
    if not as_json:
        note("the secret is not shown again: give it to the receiver now")


@app.command("list")
def list_(ctx: typer.Context, account: AccountName = None, as_json: Json = False) -> None:
    """List the webhooks, and how they are doing."""
    from worker.crm import webhooks

    with open_desk(ctx, account) as desk:
        found = webhooks.list_webhooks(desk.crm)
    if as_json:
        print_json([_health_fields(each) for each in found])
    else:
        print_rows(
            ("id", "account", "url", "state", "backlog", "last delivered", "last error"),
            [(e.id, e.account, e.url, _state(e), e.backlog, e.last_delivered_at, e.last_error) for e in found],
        )


@app.command("test")
def send_test(
    ctx: typer.Context, webhook_id: WebhookId = None, account: AccountName = None, as_json: Json = False
) -> None:
    """Send a test event and show the answer.

    Exit 1 when the receiver did not take it.
    """
    from worker.crm import webhooks
    from worker.domain.events import trial
    from worker.outgoing.event_delivery import send_once

    with open_desk(ctx, account) as desk:
        now = datetime.now(UTC)
        endpoint = webhooks.endpoint_of(desk.crm, webhook_id, now=now)
    event_id, body = trial(endpoint.account, now)
    answer = send_once(endpoint, event_id, body)
    fields: dict[str, Any] = {
        "id": event_id,
        "ok": answer.is_success,
        "status": answer.status,
        "seconds": round(answer.seconds, 3) if as_json else f"{answer.seconds:.3f}",
        "error": answer.error,
        "body": answer.body,
    }
    print_one(fields, as_json=as_json)
    if not answer.is_success:
        raise typer.Exit(1)


@app.command("enable")
def enable(
    ctx: typer.Context, webhook_id: WebhookId = None, account: AccountName = None, as_json: Json = False
) -> None:
    """Deliver again, beginning with the events that wait."""
    from worker.crm import webhooks

    with open_desk(ctx, account) as desk:
        print_one(_health_fields(webhooks.enable_webhook(desk.crm, webhook_id, now=datetime.now(UTC))), as_json=as_json)


@app.command("disable")
def disable(
    ctx: typer.Context, webhook_id: WebhookId = None, account: AccountName = None, as_json: Json = False
) -> None:
    """Deliver nothing until it is enabled; events wait."""
    from worker.crm import webhooks

    with open_desk(ctx, account) as desk:
        print_one(_health_fields(webhooks.disable_webhook(desk.crm, webhook_id)), as_json=as_json)


@app.command("remove")
def remove(
    ctx: typer.Context, webhook_id: WebhookId = None, account: AccountName = None, as_json: Json = False
) -> None:
    """Remove the webhook of an account.

    Its events are kept for a while: `event resend --since` delivers them to another one.
    """
    from worker.crm import webhooks

    with open_desk(ctx, account) as desk:
        print_one(_health_fields(webhooks.remove_webhook(desk.crm, webhook_id)), as_json=as_json)


def _health_fields(health: "EndpointHealth") -> dict[str, Any]:
    """Return the JSON form of an endpoint; without its secret."""
    return {
        "id": health.id,
        "account": health.account,
        "url": health.url,
        "state": health.state.value,
        "paused_because": health.paused_because,
        "created_at": health.created_at,
        "backlog": health.backlog,
        "oldest_at": health.oldest_at,
        "failing_since": health.failing_since,
        "last_delivered_at": health.last_delivered_at,
        "last_failed_at": health.last_failed_at,
        "last_error": health.last_error,
    }


def _state(health: "EndpointHealth") -> str:
    return f"{health.state}: {health.paused_because}" if health.paused_because else health.state.value


event_app = noun("event")


@event_app.command("list")
def list_sent(
    ctx: typer.Context,
    failed: Annotated[bool, typer.Option("--failed", help="Only those whose last attempt failed.")] = False,
    limit: Limit = DEFAULT_LIMIT,
    account: AccountName = None,
    as_json: Json = False,
) -> None:
    """List events, the newest first."""
    from worker.crm import webhooks

    with open_desk(ctx, account) as desk:
        found = cut(webhooks.list_events(desk.crm, failed=failed, limit=one_more(limit)), limit)
    headings = ("id", "type", "created at", "state", "attempts", "next attempt", "last error")
    print_list(headings, [asdict(event) for event in found], as_json=as_json)


@event_app.command("resend")
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
    from worker.crm import webhooks

    if (event_id is None) == (since is None):
        raise typer.BadParameter("either an ID or --since is needed", param_hint="ID")
    now = datetime.now(UTC)
    with open_desk(ctx, account) as desk:
        if event_id is not None:
            resent = webhooks.resend_event(desk.crm, event_id, now=now)
        else:
            resent = webhooks.resend_since(desk.crm, now - (since or timedelta()), now=now)
    print_one({"resent": resent}, as_json=as_json)
    if not as_json:
        note("they wait for the service, or for the next poll")
