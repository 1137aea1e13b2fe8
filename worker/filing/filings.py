"""What is stored of every message, whatever became of it."""

from collections.abc import Sequence
from dataclasses import replace

from worker.domain.messages import Arrival, Content, Head
from worker.domain.outcomes import Code, Outcome, detail
from worker.domain.recipients import MOST_NAMED
from worker.domain.text import address_without_tokens, clean, without_tokens
from worker.domain.verdicts import Filing, Stated, Trace, Verdict
from worker.filing.judging import Claim, Judgement


def rejected_by_head(arrival: Arrival, head: Head, judgement: Judgement, subject: str = "") -> Filing:
    """Return the filing of a message without a claim; ``subject`` is its head's, already clean."""
    return filing_of(arrival, head, judgement.rejected, subject)


def quarantined(arrival: Arrival, head: Head, error: str, claims: Sequence[Claim] = (), *, subject: str = "") -> Filing:
    """Return the filing of a message with three strikes; pass ``claims`` if its head could be judged."""
    note = detail(Code.ERROR, error=error)
    ends = [
        Verdict(Outcome.QUARANTINED, replace(claim.trace, note=note), owner=claim.owner, is_certain=claim.is_certain)
        for claim in claims
    ]
    return filing_of(arrival, head, tuple(ends) or (Verdict(Outcome.QUARANTINED, Trace(note=note)),), subject)


def filing_of(
    arrival: Arrival, head: Head, verdicts: tuple[Verdict, ...], subject: str, content: Content | None = None
) -> Filing:
    """Return the filing of a message with these verdicts; pass ``content`` if its body was read.

    Of a stranger's mail, which is for no owner, only what explains its rejection is stored (R30).
    """
    is_strangers = all(verdict.owner is None and verdict.outcome is Outcome.REJECTED for verdict in verdicts)
    return Filing(
        uid=arrival.uid,
        arrived_at=arrival.arrived_at,
        size=arrival.size,
        message_id=content.message_id if content else message_id_of(head),
        sender=_sender_text(head, verdicts),
        subject="" if is_strangers else subject,
        recipients=() if is_strangers else _recipient_texts(head),
        verdicts=verdicts,
        sent_at=content.sent_at if content else None,
    )


def stated_by(content: Content) -> Stated:
    """Return what an attached mail says of itself."""
    head = content.head
    return Stated(
        message_id=content.message_id,
        sender=_sender_text(head, ()),
        subject=content.subject,
        recipients=_recipient_texts(head),
        sent_at=content.sent_at,
    )


def message_id_of(head: Head) -> str:
    """Return the Message-ID as it is stored and logged."""
    return without_tokens(clean(head.first("message-id")))


def _recipient_texts(head: Head) -> tuple[str, ...]:
    return tuple(address_without_tokens(address.text) for address in head.addressees.addresses[:MOST_NAMED])


def _sender_text(head: Head, verdicts: tuple[Verdict, ...]) -> str:
    stated = next((verdict.trace.sender for verdict in verdicts if verdict.trace.sender), None)
    return without_tokens(stated or clean(head.text("from"), most=320))
