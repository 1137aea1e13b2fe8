"""A decision as a story that a person can follow, in the order in which the rules were applied."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from worker.cli.advice import Ended, advice_on, advice_on_waiting, in_account
from worker.cli.output import time_text
from worker.domain.outcomes import Outcome
from worker.domain.text import clean
from worker.domain.verdicts import RecipientResult

if TYPE_CHECKING:
    from worker.crm.explanations import Explanation, OwnersVerdict

_MEANINGS = {
    Outcome.ASSOCIATED: "stored, and listed on its records",
    Outcome.DUPLICATE: "this email was stored for this owner before",
    Outcome.REJECTED: "a rule says no",
    Outcome.QUARANTINED: "the program failed on it, a person has to look",
}
_LABEL_WIDTH = 11
_TEXT_COLUMN = len("  ") + _LABEL_WIDTH + len(" ")


def story_of(explanation: "Explanation") -> str:
    """The whole story, several lines."""
    return "\n".join(clean_lines(_lines(explanation)))


def clean_lines(lines: Iterator[str]) -> Iterator[str]:
    """Each line without what could act on a terminal; a label, which is ours, keeps its column."""
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
    yield _labelled("arrived", f"{time_text(explanation.arrived_at)}, {explanation.size} octets")
    yield _labelled("decided", f"{time_text(explanation.decided_at)}, {max(waited, 0):.1f} s after arrival")
    for verdict in explanation.verdicts:
        yield ""
        yield from _verdict_lines(explanation.uid, verdict)


def _verdict_lines(uid: int, verdict: "OwnersVerdict") -> Iterator[str]:
    whose = f"For {verdict.owner}" if verdict.owner else "For no owner"
    account = f" (account {verdict.account})" if verdict.account else ""
    reason = f" ({verdict.reason})" if verdict.reason else ""
    yield f"{whose}{account}: {verdict.outcome}{reason}: {_meaning(verdict)}."
    yield from _evidence_lines(verdict.trace)
    for recipient in verdict.trace.get("recipients") or []:
        yield from _recipient_lines(recipient, verdict)
    if verdict.email_id is not None:
        command = f"`bcc-dropbox email show {verdict.email_id}{in_account(verdict.account)}`"
        yield _labelled("stored as", f"email {verdict.email_id} ({command})")
    if advice := advice_on(_ended(uid, verdict)):
        yield _labelled("what to do", advice)


def _meaning(verdict: "OwnersVerdict") -> str:
    if verdict.waiting and not any(_has_record(each, verdict) for each in verdict.trace.get("recipients") or []):
        return "stored, and on no record so far: it waits for one with a recipient's address"
    return _MEANINGS[verdict.outcome]


def _has_record(recipient: dict[str, Any], verdict: "OwnersVerdict") -> bool:
    """Found or made then, or added since."""
    return recipient["result"] != RecipientResult.SKIPPED and recipient["address"] not in verdict.waiting


def _ended(uid: int, verdict: "OwnersVerdict") -> Ended:
    sender = verdict.trace.get("sender") or {}
    return Ended(
        uid,
        verdict.outcome,
        verdict.reason,
        owner=verdict.owner,
        account=verdict.account,
        sender=sender.get("address"),
        sender_check=sender.get("check"),
        note=verdict.trace.get("note"),
    )


def _evidence_lines(trace: dict[str, Any]) -> Iterator[str]:
    """How the owner was found, what the sender check said, what else the decision rests on."""
    route, sender = trace.get("route") or {}, trace.get("sender") or {}
    if route.get("header"):
        yield _labelled("token", f"{route.get('token')} found in {route['header']}")
    if sender.get("address") or sender.get("check"):
        yield _labelled("sender", ": ".join(filter(None, (sender.get("address"), sender.get("check")))))
    if sender.get("authentication"):
        yield _labelled("checked", sender["authentication"])
    if trace.get("note"):
        yield _labelled("because", trace["note"])


def _recipient_lines(recipient: dict[str, Any], verdict: "OwnersVerdict") -> Iterator[str]:
    record = f" {recipient.get('module')} {recipient['record']}" if recipient.get("record") is not None else ""
    yield _labelled("recipient", f"{recipient['address']}: {recipient['result']}{record}: {recipient['why']}")
    if recipient["address"] in verdict.waiting:
        yield _labelled("", advice_on_waiting(recipient["address"], verdict.account))
    elif recipient["result"] == RecipientResult.UNMATCHED:
        yield _labelled("", "A record with this address was added since, and has the email on its list.")


def _labelled(label: str, text: str) -> str:
    return f"  {label:<{_LABEL_WIDTH}} {text}"
