"""What becomes of a message: the rules of the design in the order in which they apply. Pure: no I/O, no clock.

A message is judged twice. Its head alone can only reject it (so that nobody's body is fetched for nothing); only the
whole message, read from its own octets, is ever accepted.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from worker.domain.authentication import AuthenticationResults, OrganisationalDomain, authenticate
from worker.domain.masking import masked, without_tokens
from worker.domain.messages import Arrival, Content, Head
from worker.domain.outcomes import Outcome, Reason
from worker.domain.owners import Owner
from worker.domain.patterns import search_of
from worker.domain.profiles import Permission
from worker.domain.recipients import MOST_NAMED, addressees, recipients_of, resolve
from worker.domain.records import AccountView, NewRecord, Record, StoredEmail, Wanted
from worker.domain.routing import DEFAULT_TOKEN_HEADERS, NOT_RECORDED, RECORDED, Route, carries_trusted_field, route
from worker.domain.senders import Sender, automatic_sign, sender_of
from worker.domain.text import clean
from worker.domain.tokens import DropboxAddress, IssuedToken
from worker.domain.verdicts import (
    Association,
    EmailRef,
    Filing,
    NewEmail,
    RecipientResult,
    RecipientTrace,
    Trace,
    Verdict,
)

Issued = Mapping[str, IssuedToken]
Views = Mapping[int, AccountView]


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that the rules ask about. Sizes in octets."""

    dropbox: DropboxAddress
    token_headers: tuple[str, ...] = DEFAULT_TOKEN_HEADERS
    received_by: str | None = None
    authserv_id: str | None = None
    """None: the sender's authentication is not asked for."""
    max_attachment_bytes: int = 10 * 1024 * 1024
    max_recipients: int = 50
    read_authentication: Callable[[Head], AuthenticationResults | None] = lambda _head: None
    organisational_domain: OrganisationalDomain = lambda domain: domain

    @property
    def max_message_bytes(self) -> int:
        """The whole message: attachments at their limit in base64 (RFC 2045 §6.8: 57 in 78), and as much text."""
        return self.max_attachment_bytes * 78 // 57 + self.max_attachment_bytes


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the head says: verdicts that are final, and the owners for whom the body decides."""

    route: Route
    rejected: tuple[Verdict, ...]
    accepted: tuple["Claim", ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """An owner for whom the message passed every rule of the head, and the story so far."""

    owner: Owner
    trace: Trace
    proven_sender: str | None = None
    is_certain: bool = False
    """The sender is authenticated, not only registered (R13)."""

    def rejected(self, reason: Reason, note: str | None = None) -> Verdict:
        """The end of this claim."""
        trace = replace(self.trace, note=note or self.trace.note)
        return replace(_rejection(reason, trace, self.owner), is_certain=self.is_certain)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A whole message with the claims on it that are still alive and the verdicts that are not."""

    arrival: Arrival
    content: Content
    judgement: Judgement


def routed(head: Head, rules: Rules) -> Route:
    """Where the tokens stand that the store is to be asked about (R4 to R6)."""
    return route(head, rules.dropbox, rules.token_headers, rules.received_by)


def judge_head(  # noqa: PLR0913 - what is judged, and by what
    head: Head, found: Route, rules: Rules, issued: Issued, now: datetime, *, is_whole: bool = False
) -> Judgement:
    """Permit, check the sender of what was ``routed`` (R7 to R13, R23).

    Of an overlong head only the top was read, which holds what the server wrote; then the sender is left to the
    judgement over the ``is_whole`` message.
    """
    if not found.tokens:
        return Judgement(found, (_rejection(Reason.NO_TOKEN, Trace(note=_why_no_token(head, rules))),), ())
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
    """R21, by what the server says: ``attachment_bytes`` decoded octets at the least, ``size`` octets in all."""
    if attachment_bytes > rules.max_attachment_bytes:
        return _reject_all(
            judgement,
            Reason.ATTACHMENTS_TOO_LARGE,
            _too_large("attachments", attachment_bytes, rules.max_attachment_bytes),
        )
    if size > rules.max_message_bytes:
        return _reject_all(
            judgement,
            Reason.MESSAGE_TOO_LARGE,
            _too_large("message", size, rules.max_message_bytes),
        )
    return judgement


def judge_content(  # noqa: PLR0913, PLR0917 - the same
    arrival: Arrival, content: Content, found: Route, rules: Rules, issued: Issued, now: datetime
) -> Candidate:
    """The rules of the head once more, now over the message's own octets, then its attachments (R21)."""
    judgement = judge_head(content.head, found, rules, issued, now, is_whole=True)
    return Candidate(arrival, content, judge_size(judgement, arrival.size, content.attachment_bytes, rules))


def wanted(candidates: Sequence[Candidate]) -> dict[int, Wanted]:
    """By account: what has to be read before `file_batch` can decide."""
    addresses: dict[int, set[str]] = {}
    fingerprints: dict[int, set[bytes]] = {}
    for candidate in candidates:
        accounts = {claim.owner.account_id for claim in candidate.judgement.accepted}
        if not accounts:
            continue
        keys = {address.key for address in addressees(candidate.content.head)[0]}
        for account_id in accounts:
            addresses.setdefault(account_id, set()).update(keys)
            fingerprints.setdefault(account_id, set()).add(candidate.content.fingerprint)
    return {
        account_id: Wanted(frozenset(keys), frozenset(fingerprints[account_id]))
        for account_id, keys in addresses.items()
    }


def file_batch(candidates: Sequence[Candidate], rules: Rules, views: Views) -> list[Filing]:
    """Match, in the order of arrival; what an earlier message makes, a later one finds (R14 to R19)."""
    batch = _Batch(rules, views)
    return [batch.file(candidate) for candidate in candidates]


def rejected_by_head(arrival: Arrival, head: Head, judgement: Judgement) -> Filing:
    """The filing of a message for which no claim is left."""
    return _filing(arrival, head, judgement.rejected)


def quarantined(arrival: Arrival, head: Head, error: str, claims: Sequence[Claim] = ()) -> Filing:
    """The filing of a message on which the code failed three times; ``claims`` where its head could still be judged."""
    ends = [
        Verdict(Outcome.QUARANTINED, replace(claim.trace, note=error), owner=claim.owner, is_certain=claim.is_certain)
        for claim in claims
    ]
    return _filing(arrival, head, tuple(ends) or (Verdict(Outcome.QUARANTINED, Trace(note=error)),))


def _why_no_token(head: Head, rules: Rules) -> str:
    """Whether it is the mail server that lost the envelope recipient, or the mail was for no dropbox at all."""
    return RECORDED if carries_trusted_field(head, rules.token_headers, rules.received_by) else NOT_RECORDED


def _judge_token(issued: IssuedToken | None, trace: Trace, now: datetime) -> Claim | Verdict:
    if issued is None:
        return _rejection(Reason.UNKNOWN_TOKEN, trace)
    if reason := _access_denied(issued, now):
        return _rejection(reason, trace, issued.owner)
    return Claim(issued.owner, trace)


def _judge_mail(claim: Claim, head: Head, rules: Rules, *, is_whole: bool) -> Claim | Verdict:
    if sign := automatic_sign(head):
        return claim.rejected(Reason.AUTOMATIC, without_tokens(clean(sign)))
    if not is_whole and not head.is_complete:
        return claim
    return _judge_sender(claim.owner, sender_of(head), claim.trace, head, rules)


def _access_denied(issued: IssuedToken, now: datetime) -> Reason | None:
    """R2, R9, R10."""
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
    """Whether this is the owner's own mail, where the rules need not ask who sent it."""
    end = _judge_mail(Claim(owner, Trace()), head, rules, is_whole=True)
    return isinstance(end, Claim) and end.is_certain


def _judge_sender(owner: Owner, sender: Sender, trace: Trace, head: Head, rules: Rules) -> Claim | Verdict:
    """R12, R13."""
    if sender.address is None:
        trace = replace(trace, sender_check=without_tokens(sender.why))
        return _rejection(sender.reason or Reason.SENDER_MISSING, trace, owner)
    trace = replace(trace, sender=without_tokens(sender.address.text))
    unproven = sender.address.key in owner.unproven_senders
    if sender.address.key not in owner.senders and not unproven:
        return _rejection(Reason.SENDER_NOT_REGISTERED, replace(trace, sender_check="not registered"), owner)
    trace = replace(trace, sender_check="registered, not proven yet" if unproven else "registered")
    if rules.authserv_id is None:
        if unproven:
            return _rejection(Reason.SENDER_NOT_REGISTERED, trace, owner)
        return Claim(owner, trace)
    check = authenticate(
        rules.read_authentication(head),
        rules.authserv_id,
        sender.address.domain,
        rules.organisational_domain,
    )
    trace = replace(trace, authentication=check.why)
    if not check.passed:
        return _rejection(Reason.SENDER_UNAUTHENTICATED, trace, owner)
    return Claim(owner, trace, proven_sender=sender.address.key if unproven else None, is_certain=True)


class _Batch:
    """The views as they grow while the batch is decided."""

    def __init__(self, rules: Rules, views: Views) -> None:
        self._rules = rules
        self._views = views
        self._made: dict[tuple[int, str], list[NewRecord]] = {}
        self._emails: dict[NewEmail, _Copies] = {}

    def file(self, candidate: Candidate) -> Filing:
        """One message, for each of its owners."""
        verdicts = [self._verdict(candidate.content, claim) for claim in candidate.judgement.accepted]
        verdicts += candidate.judgement.rejected
        return _filing(candidate.arrival, candidate.content.head, tuple(verdicts), candidate.content)

    def _verdict(self, content: Content, claim: Claim) -> Verdict:
        owner = claim.owner
        view = self._views.get(owner.account_id, AccountView())
        email, copies = self._email(content, owner.account_id, view)
        if owner.id in copies.owners:
            return Verdict(
                Outcome.DUPLICATE,
                claim.trace,
                owner=owner,
                email=email,
                proven_sender=claim.proven_sender,
            )
        recipients = recipients_of(content.head, owner, self._rules.dropbox, view, self._rules.max_recipients)
        search = search_of(owner.pattern, owner.permissions)
        traces = [
            resolve(address, owner, search, view, self._made.get((owner.account_id, address.key), ()))
            for address in recipients.counted
        ]
        trace = replace(claim.trace, recipients=(*traces, *recipients.skipped))
        unmatched = tuple(
            address
            for address, found in zip(recipients.counted, traces, strict=True)
            if found.result is RecipientResult.UNMATCHED
        )
        if not unmatched and all(found.record is None for found in traces):
            return replace(claim, trace=trace).rejected(Reason.NO_RECIPIENTS)
        verdict = Verdict(
            Outcome.ASSOCIATED,
            trace,
            owner=owner,
            email=email,
            associations=copies.missing(traces),
            unmatched=tuple(address for address in unmatched if address.key not in copies.unmatched),
            proven_sender=claim.proven_sender,
        )
        self._remember(verdict, copies, owner)
        return verdict

    def _email(self, content: Content, account_id: int, view: AccountView) -> tuple[EmailRef, "_Copies"]:
        fingerprint = content.fingerprint
        stored = view.emails.get(fingerprint)
        new = NewEmail(account_id, fingerprint, content)
        copies = self._emails.setdefault(new, _Copies.of(stored))
        return stored or new, copies

    def _remember(self, verdict: Verdict, copies: "_Copies", owner: Owner) -> None:
        copies.owners.add(owner.id)
        copies.records.update(association.record for association in verdict.associations)
        copies.unmatched.update(address.key for address in verdict.unmatched)
        for association in verdict.associations:
            record = association.record
            if association.created and isinstance(record, NewRecord):
                self._made.setdefault((owner.account_id, record.address.key), []).append(record)


@dataclass(slots=True)
class _Copies:
    """What one email has so far: owners, records, unmatched recipients."""

    owners: set[int]
    record_ids: frozenset[int]
    records: set[Record | NewRecord]
    unmatched: set[str]

    @classmethod
    def of(cls, stored: StoredEmail | None) -> "_Copies":
        if stored is None:
            return cls(set(), frozenset(), set(), set())
        return cls(set(stored.owners), stored.records, set(), set(stored.unmatched))

    def missing(self, traces: Sequence[RecipientTrace]) -> tuple[Association, ...]:
        """One association for each record that has none with this email (R18)."""
        found: dict[Record | NewRecord, Association] = {}
        for trace in traces:
            record = trace.record
            if record is None or record in self.records:
                continue
            if isinstance(record, Record) and record.id in self.record_ids:
                continue
            found.setdefault(record, Association(record, created=trace.result is RecipientResult.CREATED))
        return tuple(found.values())


def _filing(arrival: Arrival, head: Head, verdicts: tuple[Verdict, ...], content: Content | None = None) -> Filing:
    return Filing(
        uid=arrival.uid,
        arrived_at=arrival.arrived_at,
        size=arrival.size,
        message_id=content.message_id if content else without_tokens(clean(head.first("message-id"))),
        sender=_sender_text(head, verdicts),
        subject=content.subject if content else "",
        recipients=tuple(without_tokens(address.text) for address in addressees(head)[0][:MOST_NAMED]),
        verdicts=verdicts,
    )


def _sender_text(head: Head, verdicts: tuple[Verdict, ...]) -> str:
    stated = next((verdict.trace.sender for verdict in verdicts if verdict.trace.sender), None)
    return without_tokens(stated or clean(head.first("from"), most=320))


def _rejection(reason: Reason, trace: Trace, owner: Owner | None = None) -> Verdict:
    return Verdict(Outcome.REJECTED, trace, reason, owner)


def _reject_all(judgement: Judgement, reason: Reason, note: str) -> Judgement:
    ends = tuple(claim.rejected(reason, note) for claim in judgement.accepted)
    return Judgement(judgement.route, (*ends, *judgement.rejected), ())


def _too_large(what: str, octets: int, limit: int) -> str:
    return f"{what} of {octets} octets, the limit is {limit}"
