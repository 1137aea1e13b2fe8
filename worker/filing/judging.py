"""Whose a message is, whether it is let in (R1 to R13, R21, R23), and what is stored of every message."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache

from worker.domain.authentication import (
    OrganisationalDomain,
    ReadResults,
    authenticate,
    carries_odd_signature,
    stamps_of,
)
from worker.domain.messages import Arrival, Carried, Content, Forwards, Head, ReadCarried
from worker.domain.outcomes import Code, Detail, Outcome, Reason, detail
from worker.domain.permissions import Permission, search_of
from worker.domain.recipients import MOST_NAMED
from worker.domain.routing import DEFAULT_TOKEN_HEADERS, Route, carries_trusted_field, route
from worker.domain.senders import Sender, automatic_sign, repeated_fields, sender_of
from worker.domain.text import address_without_tokens, clean, masked, without_tokens
from worker.domain.tokens import DropboxAddress, IssuedToken, Owner
from worker.domain.verdicts import Filing, Stated, Trace, Verdict
from worker.filing.forward_blocks import Forwarded, forwarded_in

Issued = Mapping[str, IssuedToken]


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that the rules ask about. Sizes in bytes."""

    dropbox: DropboxAddress
    token_headers: tuple[str, ...] = DEFAULT_TOKEN_HEADERS
    received_by: str | None = None
    authserv_id: str | None = None
    """None: the sender's authentication is not asked for."""
    max_attachment_bytes: int = 10 * 1024 * 1024
    max_recipients: int = 50
    max_new_records_per_day: int = 500
    """For one owner (R13)."""
    forwards: Forwards = Forwards.ALL
    read_carried: ReadCarried = lambda _content: Carried()
    read_results: ReadResults = lambda _value: None
    organisational_domain: OrganisationalDomain = lambda domain: domain

    @property
    def max_message_bytes(self) -> int:
        """The whole message: attachments at their limit in base64 (RFC 2045 §6.8: 57 in 78), and as much text."""
        return self.max_attachment_bytes * 78 // 57 + self.max_attachment_bytes


@dataclass(frozen=True, slots=True)
class Judgement:
    """The result of judging a head: verdicts that are final, and the owners for whom the body decides."""

    route: Route
    rejected: tuple[Verdict, ...]
    accepted: tuple["Claim", ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """An owner for whom the message passed every rule so far, and the trace of these rules."""

    owner: Owner
    trace: Trace
    proven_sender: str | None = None
    is_certain: bool = False
    """The sender is authenticated, not only registered (R13)."""

    def checked(self, found: Detail) -> "Claim":
        """Return the claim with what the check of the sender's authentication said."""
        return replace(self, trace=replace(self.trace, authentication=found))

    def rejected(self, reason: Reason, note: Detail | None = None) -> Verdict:
        """Return the verdict that rejects this claim."""
        trace = replace(self.trace, note=note or self.trace.note)
        return replace(_rejection(reason, trace, self.owner), is_certain=self.is_certain)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A whole message with the claims on it that are still alive and the verdicts that are not."""

    arrival: Arrival
    content: Content
    judgement: Judgement
    forwarded: Forwarded | None = None
    """The mail of others that it carries, where it was sent to the dropbox and nobody else (R28)."""


def routed(head: Head, rules: Rules) -> Route:
    """Find the tokens of a message; the store says whose they are (R4 to R6)."""
    return route(head, rules.dropbox, rules.token_headers, rules.received_by)


def judge_head(  # noqa: PLR0913 - what is judged, and by what
    head: Head, found: Route, rules: Rules, issued: Issued, now: datetime, *, is_whole: bool = False
) -> Judgement:
    """Permit, check the sender of what was ``routed`` (R7 to R13, R23).

    Of an overlong head only the top was read, which holds what the server wrote; then the sender is left to the
    judgement over the ``is_whole`` message.
    """
    if not found.tokens:
        return Judgement(found, (_rejection(Reason.NO_TOKEN, Trace(note=detail(_why_no_token(head, rules)))),), ())
    rejected: dict[Owner | None, Verdict] = {}
    accepted: dict[Owner, Claim] = {}
    for token in found.tokens:
        trace = Trace(token_header=found.header, token=masked(token))
        end = _judge_token(issued.get(token), trace, now)
        if isinstance(end, Claim):
            end = _judge_mail(end, head, rules, is_whole=is_whole)
        elif end.owner:
            end = replace(end, is_certain=_is_certainly_of(end.owner, head, rules))
        if isinstance(end, Claim):
            accepted.setdefault(end.owner, end)
        else:
            rejected.setdefault(end.owner, end)
    for owner in accepted:  # R6: each owner once, by the token that is good
        rejected.pop(owner, None)
    return Judgement(found, tuple(rejected.values()), tuple(accepted.values()))


def judge_size(judgement: Judgement, size: int, attachment_bytes: int, rules: Rules) -> Judgement:
    """Reject a message that is too large (R21).

    The mail server gives the sizes, in bytes: ``attachment_bytes`` decoded at the least, ``size`` of the whole message.
    """
    if attachment_bytes > rules.max_attachment_bytes:
        return _reject_all(
            judgement,
            Reason.ATTACHMENTS_TOO_LARGE,
            detail(Code.ATTACHMENTS_SIZE, size=attachment_bytes, limit=rules.max_attachment_bytes),
        )
    if size > rules.max_message_bytes:
        return _reject_all(
            judgement, Reason.MESSAGE_TOO_LARGE, detail(Code.MESSAGE_SIZE, size=size, limit=rules.max_message_bytes)
        )
    return judgement


def judge_content(  # noqa: PLR0913, PLR0917 - the same
    arrival: Arrival, content: Content, found: Route, rules: Rules, issued: Issued, now: datetime
) -> Candidate:
    """Apply the rules of the head to the message's own bytes, then check its attachments (R21)."""
    return judged_before(arrival, content, judge_head(content.head, found, rules, issued, now, is_whole=True), rules)


def holds_for(judged: Head, whole: Head, rules: Rules) -> bool:
    """Tell whether the whole message has the same deciding fields as the ``judged`` head: then its judgement stays."""
    if not (judged.is_complete and whole.is_complete) or automatic_sign(whole):
        return False
    if rules.authserv_id is not None and (carries_odd_signature(whole) or repeated_fields(whole)):
        return False
    names = _deciding(rules.token_headers)
    return [field for field in judged.fields if field.name in names] == [
        field for field in whole.fields if field.name in names
    ]


@cache
def _deciding(token_headers: tuple[str, ...]) -> frozenset[str]:
    """Return the names of the fields that decide whether a head can be accepted."""
    return frozenset({"received", "from", "authentication-results", *(header.lower() for header in token_headers)})


def judged_before(arrival: Arrival, content: Content, judgement: Judgement, rules: Rules) -> Candidate:
    """Make the candidate of a message whose head was judged for the whole, then check its attachments (R21)."""
    sized = judge_size(judgement, arrival.size, content.attachment_bytes, rules)
    return Candidate(arrival, content, sized, _forwarded(content, sized, rules))


def _forwarded(content: Content, judgement: Judgement, rules: Rules) -> Forwarded | None:
    """Look for mail of others where the message has no recipient but the dropbox and its owner."""
    addressees = content.head.addressees.addresses
    if rules.forwards is Forwards.OFF or not any(
        all(rules.dropbox.covers(address) or claim.owner.sends_as(address) for address in addressees)
        for claim in judgement.accepted
    ):
        return None
    return forwarded_in(content, rules.read_carried(content))


def _why_no_token(head: Head, rules: Rules) -> Code:
    """Tell a mail server that lost the envelope recipient from a mail that was for no dropbox at all."""
    is_recorded = carries_trusted_field(head, rules.token_headers, rules.received_by)
    return Code.RECIPIENT_IS_NO_DROPBOX if is_recorded else Code.RECIPIENT_NOT_RECORDED


def automatic_end(claim: Claim, head: Head) -> Verdict | None:
    """Return the end of a mail that no person wrote (R23), or None."""
    sign = automatic_sign(head)
    if sign is None:
        return None
    value = without_tokens(clean(sign.value))
    return claim.rejected(Reason.AUTOMATIC, detail(Code.AUTOMATIC_FIELD, field=sign.name, value=value))


def _judge_token(issued: IssuedToken | None, trace: Trace, now: datetime) -> Claim | Verdict:
    if issued is None:
        return _rejection(Reason.UNKNOWN_TOKEN, trace)
    if reason := _access_denied(issued, now):
        return _rejection(reason, trace, issued.owner)
    return Claim(issued.owner, trace)


def _judge_mail(claim: Claim, head: Head, rules: Rules, *, is_whole: bool) -> Claim | Verdict:
    if end := automatic_end(claim, head):
        return end
    if not is_whole and not head.is_complete:
        return claim
    return _judge_sender(claim.owner, sender_of(head), claim.trace, head, rules)


def _access_denied(issued: IssuedToken, now: datetime) -> Reason | None:
    """Return why the owner's dropbox takes no mail, or None (R2, R9, R10)."""
    owner = issued.owner
    if issued.is_revoked(now):
        return Reason.REVOKED_TOKEN
    if not owner.enabled:
        return Reason.USER_DISABLED
    if Permission.BCC_DROPBOX not in owner.permissions:
        return Reason.PERMISSION_DENIED
    if search_of(owner.pattern, owner.permissions).is_empty:
        return Reason.MODULE_FORBIDDEN
    return None


def _is_certainly_of(owner: Owner, head: Head, rules: Rules) -> bool:
    """Tell whether the mail is certainly the owner's own, where an earlier rule has rejected it already."""
    end = _judge_mail(Claim(owner, Trace()), head, rules, is_whole=True)
    return isinstance(end, Claim) and end.is_certain


def _judge_sender(owner: Owner, sender: Sender, trace: Trace, head: Head, rules: Rules) -> Claim | Verdict:
    """Judge whether the From address is the owner's (R12, R13)."""
    if sender.address is None:
        trace = replace(trace, sender_check=sender.why)
        return _rejection(sender.reason or Reason.SENDER_MISSING, trace, owner)
    key, text = sender.address.key, without_tokens(sender.address.text)
    unproven = key in owner.unproven_senders
    if key not in owner.senders and not unproven:
        trace = replace(trace, sender=text, sender_check=detail(Code.NOT_REGISTERED))
        return _rejection(Reason.SENDER_NOT_REGISTERED, trace, owner)
    trace = replace(trace, sender=text, sender_check=detail(Code.UNPROVEN if unproven else Code.REGISTERED))
    if rules.authserv_id is None:
        return _rejection(Reason.SENDER_NOT_REGISTERED, trace, owner) if unproven else Claim(owner, trace)
    claim = _judge_authentication(Claim(owner, trace), sender.address.domain, rules.authserv_id, head, rules)
    return replace(claim, proven_sender=key) if unproven and isinstance(claim, Claim) else claim


def _judge_authentication(claim: Claim, domain: str, authserv_id: str, head: Head, rules: Rules) -> Claim | Verdict:
    """Ask whether our own server vouches for the From domain (R13)."""
    if repeated := repeated_fields(head):
        return claim.checked(detail(Code.FIELDS_REPEATED, fields=repeated)).rejected(Reason.FIELDS_REPEATED)
    if carries_odd_signature(head):
        return claim.checked(detail(Code.SIGNATURE_NOT_PLAIN)).rejected(Reason.SENDER_UNAUTHENTICATED)
    stamps = stamps_of(head, rules.received_by)
    check = authenticate(stamps, rules.read_results, authserv_id, domain, rules.organisational_domain)
    claim = claim.checked(check.why)
    return replace(claim, is_certain=True) if check.passed else claim.rejected(Reason.SENDER_UNAUTHENTICATED)


def _rejection(reason: Reason, trace: Trace, owner: Owner | None = None) -> Verdict:
    return Verdict(Outcome.REJECTED, trace, reason, owner)


def _reject_all(judgement: Judgement, reason: Reason, note: Detail) -> Judgement:
    ends = tuple(claim.rejected(reason, note) for claim in judgement.accepted)
    return Judgement(judgement.route, (*ends, *judgement.rejected), ())


def rejected_by_head(arrival: Arrival, head: Head, judgement: Judgement, subject: str = "") -> Filing:
    """Return the filing of a message without a claim; ``subject`` is its head's, already clean."""
    return filing_of(arrival, head, judgement.rejected, subject)


def quarantined(arrival: Arrival, head: Head, error: str, claims: Sequence[Claim] = (), *, subject: str = "") -> Filing:
    """Return the filing of a message with three strikes; pass ``claims`` if its head could be judged.

    Without an ``error`` the process crashed on it.
    """
    note = detail(Code.ERROR, error=error) if error else detail(Code.PROCESS_CRASHED)
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
