"""`bcc-dropbox replay`: messages that were refused or failed go back to the rules as they are now."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.invocation import Json, env_file_of
from worker.cli.output import note, print_json, print_rows
from worker.domain.errors import Refused
from worker.domain.outcomes import Outcome, Reason

if TYPE_CHECKING:  # importing it takes longer than the help of this command
    from worker.bootstrap import Parts
    from worker.domain.outcomes import Decided
    from worker.poll.replay import Result

_Row = tuple[int, str, str, tuple[Reason, ...], str]

_GREATEST_UID = 0xFFFFFFFF  # RFC 9051 §2.3.1.1
_RETRIED = "retried"
"""Not decided yet: its strikes are forgotten."""


def replay(
    ctx: typer.Context,
    uids: Annotated[
        list[int] | None,
        typer.Argument(metavar="UID", min=1, max=_GREATEST_UID, help="The messages, as the log names them."),
    ] = None,
    quarantined: Annotated[bool, typer.Option("--quarantined", help="All that the worker failed on.")] = False,
    rejected: Annotated[
        Reason | None, typer.Option(metavar="REASON", help="All rejected for this reason, like unknown_token.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Put messages back into the queue: the next poll decides on them by the rules as they are now.

    What was filed stays filed once. May be repeated; the service may be running.
    """
    from contextlib import closing  # noqa: PLC0415

    from worker.bootstrap import compose, start_log  # noqa: PLC0415
    from worker.settings import Settings  # noqa: PLC0415
    from worker.store.schema import migrate  # noqa: PLC0415

    if [bool(uids), quarantined, rejected is not None].count(True) != 1:
        raise typer.BadParameter("name messages by their UID, or --quarantined, or --rejected REASON: one of these")
    settings = Settings.load_for_mailbox(env_file_of(ctx))
    start_log(settings)
    with closing(compose(settings)) as parts:
        migrate(parts.database)
        retried, decided = _chosen(parts, uids or [], rejected)
        results = _replayed(parts, decided)
    _show(retried, decided, results, as_json=as_json)


def _chosen(parts: "Parts", uids: list[int], rejected: Reason | None) -> tuple[list[int], "list[Decided]"]:
    """Return the undecided messages whose strikes were cleared, and the decided ones to put back."""
    from worker.crm import decisions  # noqa: PLC0415

    database, mailbox = parts.database, parts.mailbox_name
    if rejected is not None:
        return [], decisions.decided_as(database, mailbox, Outcome.REJECTED, rejected)
    if not uids:
        return [], decisions.decided_as(database, mailbox, Outcome.QUARANTINED)
    decided = decisions.decided_under(database, mailbox, uids)
    undecided = set(uids) - {message.uid for message in decided}
    retried = decisions.forgive(database, mailbox, undecided) if undecided else []
    if unknown := sorted(undecided.difference(retried)):
        named = ", ".join(map(str, unknown))
        raise Refused(f"no decision on UID {named} in {mailbox}: `bcc-dropbox explain` finds messages by their people")
    return retried, decided


def _replayed(parts: "Parts", decided: "list[Decided]") -> "list[Result]":
    from worker.poll.replay import replay as put_back  # noqa: PLC0415

    return put_back(parts.mailbox, decided) if decided else []


def _show(retried: list[int], decided: "list[Decided]", results: "list[Result]", *, as_json: bool) -> None:
    rows: list[_Row] = [(uid, "", "", (), _RETRIED) for uid in retried]
    rows += [
        (message.uid, message.message_id, message.outcome.value, message.reasons, result.value)
        for message, result in zip(decided, results, strict=True)
    ]
    names = ("uid", "message_id", "outcome", "reasons", "result")
    counts = Counter(row[-1] for row in rows)
    if as_json:
        print_json({**counts, "messages": [dict(zip(names, row, strict=True)) for row in rows]})
        return
    if rows:
        print_rows(("uid", "message id", "ended", "reason", "now"), rows)
    note(_told(counts))


def _told(counts: Counter[str]) -> str:
    if not counts:
        return "nothing to replay: no message ended so"
    text = ", ".join(f"{count} {name}" for name, count in counts.items())
    to_come = counts["restored"] + counts["waiting"] + counts[_RETRIED]
    return f"{text}; the next poll decides (`bcc-dropbox poll`, or the service by itself)" if to_come else text
