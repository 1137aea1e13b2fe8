"""A decision as a story that a person can follow, in the order in which the rules were applied."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from worker.cli.advice import Ended, advice_on, advice_on_waiting, in_account
from worker.cli.output import time_text
from worker.cli.reasons import sentence
from worker.domain.outcomes import Outcome
from worker.domain.text import clean
from worker.domain.verdicts import NamedRecord, RecipientResult, RecipientTrace

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
    """Return the explanation in several lines."""
    return "\n".join(clean_lines(_lines(explanation)))


def clean_lines(lines: Iterator[str]) -> Iterator[str]:
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
    if advice := advice_on(_ended(uid, verdict)):
        yield _labelled("what to do", advice)


def _meaning(verdict: "OwnersVerdict") -> str:
    if verdict.waiting and not any(_has_record(each, verdict) for each in verdict.trace.recipients):
        return "stored, and on no record so far: it waits for one with a recipient's address"
    return _MEANINGS[verdict.outcome]


def _has_record(recipient: RecipientTrace, verdict: "OwnersVerdict") -> bool:
    """Tell whether a record was found or made then, or added since."""
    return recipient.result is not RecipientResult.SKIPPED and recipient.address not in verdict.waiting


def _ended(uid: int, verdict: "OwnersVerdict") -> Ended:
    return Ended(
        uid,
        verdict.outcome,
        verdict.reason,
        owner=verdict.owner,
        account=verdict.account,
        trace=verdict.trace,
    )


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
