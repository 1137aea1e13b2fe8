"""`bcc-dropbox explain` and `replay`: why a mail is there or is not, what to do about it, and the rules once more."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.app import DEFAULT_LIMIT, AccountName, Desk, Json, Limit, env_file_of, open_desk, parse_duration
from worker.cli.output import cut, note, one_more, print_json, print_rows, time_text
from worker.cli.reasons import advice_on, advice_on_waiting, in_account, sentence
from worker.domain.errors import Refused
from worker.domain.outcomes import Outcome, Reason
from worker.domain.text import clean
from worker.domain.verdicts import NamedRecord, RecipientResult, RecipientTrace

if TYPE_CHECKING:
    from worker.bootstrap import Parts
    from worker.crm.decisions import Explanation, OwnersVerdict
    from worker.domain.outcomes import Decided, Detail
    from worker.domain.verdicts import Trace
    from worker.poll.own_folders import Result


_GREATEST_UID = 0xFFFFFFFF  # RFC 9051 §2.3.1.1
_SINCE = timedelta(days=30)


def explain(
    ctx: typer.Context,
    message: Annotated[
        str | None, typer.Argument(metavar="UID|MESSAGE-ID", help="Which message, as the log names it.")
    ] = None,
    recipient: Annotated[
        str | None, typer.Option("--to", metavar="ADDRESS", help="Messages to this address or domain.")
    ] = None,
    sender: Annotated[
        str | None, typer.Option("--from", metavar="ADDRESS", help="Messages from this address or domain.")
    ] = None,
    since: Annotated[
        timedelta | None,
        typer.Option(parser=parse_duration, metavar="TIME", help="Decided within this time, like 2d. [default: 30d]"),
    ] = None,
    limit: Limit = DEFAULT_LIMIT,
    account: AccountName = None,
    as_json: Json = False,
) -> None:
    """Tell why a message ended as it did, and what to do about it.

    Name the message by UID or Message-ID, or look for it with --to, --from and --since.
    """
    filters = (recipient, sender, since)
    if (message is None) == (filters == (None, None, None)):
        raise typer.BadParameter("name a message by UID or Message-ID, or look for it with --to, --from, --since")
    with open_desk(ctx, account) as desk:
        if message is not None:
            _explain_one(_named(desk, message), as_json=as_json)
            return
        found = _matching(desk, since or _SINCE, recipient, sender, limit)
    if as_json:
        print_json([_fields(explanation) for explanation in found])
    elif found:
        typer.echo("\n\n".join(map(explained, found)))
    else:
        note("no such message was decided in that time: `bcc-dropbox status` tells what still waits")


def _explain_one(found: Sequence["Explanation"], *, as_json: bool) -> None:
    latest, others = found[0], found[1:]
    if as_json:
        print_json({**_fields(latest), "others": [_fields(other) for other in others]})
        return
    typer.echo(explained(latest))
    for other in others:
        typer.echo(f"\n{_introduced(other, latest)}:\n" + explained(other))


def _introduced(other: "Explanation", latest: "Explanation") -> str:
    """Return the words above another decision: the same UID in another mailbox is another message's."""
    is_same = bool(other.message_id) and other.message_id.strip("<>") == latest.message_id.strip("<>")
    return "Seen before" if is_same else "Another message of this UID"


def _named(desk: Desk, message: str) -> Sequence["Explanation"]:
    from worker.crm import decisions

    is_uid = message.isascii() and message.isdigit() and int(message) <= _GREATEST_UID
    if is_uid:
        found = decisions.explain_uid(desk.crm, int(message), limit=DEFAULT_LIMIT)
    else:
        found = decisions.explain_message_id(desk.crm, message, limit=DEFAULT_LIMIT)
    if not found:
        raise Refused(_undecided(desk, message, is_uid=is_uid))
    return found


def _undecided(desk: Desk, message: str, *, is_uid: bool) -> str:
    from worker.crm.decisions import attempts_on

    for attempt in attempts_on(desk.crm, int(message)) if is_uid else []:
        return (
            f"message {message} of {attempt.mailbox} is not decided yet: it was tried, and failed {attempt.strikes}"
            f" times ({attempt.error or 'the process crashed'}); after three it is quarantined"
        )
    elsewhere = ", or went to no dropbox of this account" if desk.crm.account is not None else ""
    return (
        f"no decision on {clean(message, 200)!r}: it never arrived here{elsewhere},"
        " or still waits (`bcc-dropbox status`);"
        " `bcc-dropbox explain --to ADDRESS --since 2d` looks for it by its people"
    )


def _matching(
    desk: Desk, since: timedelta, recipient: str | None, sender: str | None, limit: int
) -> Sequence["Explanation"]:
    from worker.crm.decision_search import MessageFilter
    from worker.crm.decisions import explain_matching

    wanted = MessageFilter(datetime.now(UTC) - since, recipient, sender)
    return cut(explain_matching(desk.crm, wanted, limit=one_more(limit)), limit)


def _fields(explanation: "Explanation") -> dict[str, Any]:
    """Return the documented JSON fields of the deciding verdict, and the other facts about the message."""
    return {
        **_verdict_fields(explanation.deciding),
        "uid": explanation.uid,
        "mailbox": explanation.mailbox,
        "uidvalidity": explanation.uidvalidity,
        "message_id": explanation.message_id,
        "subject": explanation.subject,
        "sender": explanation.sender,
        "recipients": explanation.recipients,
        "folder": explanation.outcome.folder.value,
        "arrived_at": explanation.arrived_at,
        "decided_at": explanation.decided_at,
        "verdicts": [_verdict_fields(verdict) for verdict in explanation.verdicts],
    }


def _verdict_fields(verdict: "OwnersVerdict") -> dict[str, Any]:
    return {
        "outcome": verdict.outcome.value,
        "reason": verdict.reason.value if verdict.reason else None,
        "owner": verdict.owner,
        "email_id": verdict.email_id,
        "trace": _trace_fields(verdict.trace),
        "unmatched": sorted(verdict.waiting),
        "claimed": verdict.trace.forward is not None,
    }


def _trace_fields(trace: "Trace") -> dict[str, Any]:
    """Show each reason as a sentence, and beside it as a code with values for programs."""
    return {
        "route": {"header": trace.token_header, "token": trace.token},
        "sender": {
            "address": trace.sender,
            **_reason_fields("check", trace.sender_check),
            **_reason_fields("authentication", trace.authentication),
        },
        "recipients": [_recipient_fields(recipient) for recipient in trace.recipients],
        "note": sentence(trace.note) if trace.note else None,
        **(_reason_fields("forward", trace.forward) if trace.forward else {}),
    }


def _reason_fields(name: str, reason: "Detail | None") -> dict[str, Any]:
    stated = {"code": reason.code.value, **reason.values} if reason else None
    return {name: sentence(reason) if reason else None, f"{name}_code": stated}


def _recipient_fields(recipient: "RecipientTrace") -> dict[str, Any]:
    record = recipient.record if isinstance(recipient.record, NamedRecord) else None
    return {
        "address": recipient.address,
        "result": recipient.result.value,
        **_reason_fields("why", recipient.why),
        "module": record and record.module.value,
        "record": record and record.id,
    }


_MEANINGS = {
    Outcome.ASSOCIATED: "stored, and listed on its records",
    Outcome.DUPLICATE: "this email was stored for this owner before",
    Outcome.REJECTED: "a rule says no",
    Outcome.QUARANTINED: "the program failed on it, a person has to look",
}
_LABEL_WIDTH = 11
_TEXT_COLUMN = len("  ") + _LABEL_WIDTH + len(" ")


def explained(explanation: "Explanation") -> str:
    """Return the explanation in several lines."""
    return "\n".join(_clean_lines(_lines(explanation)))


def _clean_lines(lines: Iterator[str]) -> Iterator[str]:
    """Remove from each line what could act on a terminal. A label is ours and keeps its column."""
    for line in lines:
        begin = _TEXT_COLUMN if line.startswith("  ") else 0
        yield line[:begin] + clean(line[begin:], 4000)


def _lines(explanation: "Explanation") -> Iterator[str]:
    waited = (explanation.decided_at - explanation.arrived_at).total_seconds()
    yield f"Message {explanation.uid} of {explanation.mailbox} is in the folder {explanation.outcome.folder}."
    yield _labelled("Message-ID", explanation.message_id or "none")
    yield _labelled("from", explanation.sender or "nobody")
    yield _labelled("to", ", ".join(explanation.recipients) or "nobody")
    if explanation.subject:
        yield _labelled("subject", explanation.subject)
    yield _labelled("arrived", f"{time_text(explanation.arrived_at)}, {explanation.size} bytes")
    yield _labelled("decided", f"{time_text(explanation.decided_at)}, {max(waited, 0):.1f} s after arrival")
    for verdict in explanation.verdicts:
        yield ""
        yield from _verdict_lines(explanation.uid, verdict)


def _verdict_lines(uid: int, verdict: "OwnersVerdict") -> Iterator[str]:
    whose = f"For {verdict.owner}" if verdict.owner else "For no owner"
    account = f" (account {verdict.account})" if verdict.account else ""
    reason = f" ({verdict.reason})" if verdict.reason else ""
    yield f"{whose}{account}: {verdict.outcome}{reason}: {_meaning(verdict)}."
    yield from _evidence_lines(verdict)
    for recipient in verdict.trace.recipients:
        yield from _recipient_lines(recipient, verdict)
    if verdict.email_id is not None:
        command = f"`bcc-dropbox email show {verdict.email_id}{in_account(verdict.account)}`"
        yield _labelled("stored as", f"email {verdict.email_id} ({command})")
    if advice := advice_on(uid, verdict):
        yield _labelled("what to do", advice)


def _meaning(verdict: "OwnersVerdict") -> str:
    if verdict.waiting and not any(_has_record(each, verdict) for each in verdict.trace.recipients):
        return "stored, and on no record so far: it waits for one with a recipient's address"
    return _MEANINGS[verdict.outcome]


def _has_record(recipient: RecipientTrace, verdict: "OwnersVerdict") -> bool:
    """Tell whether a record was found or made then, or added since."""
    return recipient.result is not RecipientResult.SKIPPED and recipient.address not in verdict.waiting


def _evidence_lines(verdict: "OwnersVerdict") -> Iterator[str]:
    """Say how the owner was found, what the sender check said, what else the decision rests on."""
    trace = verdict.trace
    if trace.token_header:
        yield _labelled("token", f"{trace.token} found in {trace.token_header}")
    if trace.sender or trace.sender_check:
        check = sentence(trace.sender_check) if trace.sender_check else None
        yield _labelled("sender", ": ".join(filter(None, (trace.sender, check))))
    if trace.authentication:
        yield _labelled("checked", sentence(trace.authentication))
    elif verdict.outcome.is_filed:
        yield _labelled("checked", "nothing: the sender is not verified")
    if trace.forward:
        yield _labelled("forwarded", sentence(trace.forward))
    if trace.note:
        yield _labelled("because", sentence(trace.note))


def _recipient_lines(recipient: RecipientTrace, verdict: "OwnersVerdict") -> Iterator[str]:
    named = recipient.record
    record = f" {named.module} {named.id}" if isinstance(named, NamedRecord) else ""
    yield _labelled(
        "recipient",
        ": ".join(filter(None, (recipient.address, f"{recipient.result}{record}", sentence(recipient.why)))),
    )
    if recipient.address in verdict.waiting:
        yield _labelled("", advice_on_waiting(recipient.address, verdict.account))
    elif recipient.result is RecipientResult.UNMATCHED:
        yield _labelled("", "A record with this address was added since, and has the email on its list.")


def _labelled(label: str, text: str) -> str:
    return f"  {label:<{_LABEL_WIDTH}} {text}"


_Row = tuple[int, str, str, tuple[Reason, ...], str]

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
    from contextlib import closing

    from worker.bootstrap import compose, start_log
    from worker.poll.own_folders import replay as put_back
    from worker.settings import Settings
    from worker.store.schema import migrate

    if [bool(uids), quarantined, rejected is not None].count(True) != 1:
        raise typer.BadParameter("name messages by their UID, or --quarantined, or --rejected REASON: one of these")
    settings = Settings.load_for_mailbox(env_file_of(ctx))
    start_log(settings)
    with closing(compose(settings)) as parts:
        migrate(parts.database)
        retried, decided = _chosen(parts, uids or [], rejected)
        results = put_back(parts.mailbox, decided) if decided else []
    _show(retried, decided, results, as_json=as_json)


def _chosen(parts: "Parts", uids: list[int], rejected: Reason | None) -> tuple[list[int], "list[Decided]"]:
    """Return the undecided messages whose strikes were cleared, and the decided ones to put back."""
    from worker.crm import decisions

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
