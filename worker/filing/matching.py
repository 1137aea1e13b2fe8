"""Where an accepted message goes: the records of its recipients, found or to be made (R14 to R19)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from worker.domain.messages import Content, Head
from worker.domain.outcomes import Outcome, Reason
from worker.domain.owners import Owner
from worker.domain.patterns import search_of
from worker.domain.person_names import person_name
from worker.domain.recipients import Allowance, recipients_of, resolve
from worker.domain.records import AccountView, NewRecord, Record, RecordNames, StoredEmail, Wanted
from worker.domain.verdicts import (
    Association,
    EmailRef,
    Filing,
    NamedRecord,
    NewEmail,
    RecipientResult,
    RecipientTrace,
    Verdict,
)
from worker.filing.filings import filing_of
from worker.filing.judging import Candidate, Claim, Rules

Views = Mapping[int, AccountView]


def wanted(candidates: Sequence[Candidate]) -> dict[int, Wanted]:
    """By account: what has to be read before `file_batch` can decide."""
    addresses: dict[int, set[str]] = {}
    fingerprints: dict[int, set[bytes]] = {}
    owners: dict[int, set[int]] = {}
    for candidate in candidates:
        claimed = [claim.owner for claim in candidate.judgement.accepted]
        if not claimed:
            continue
        keys = {address.key for address in candidate.content.head.addressees.addresses}
        for owner in claimed:
            addresses.setdefault(owner.account_id, set()).update(keys)
            fingerprints.setdefault(owner.account_id, set()).add(candidate.content.fingerprint)
            owners.setdefault(owner.account_id, set()).add(owner.id)
    return {
        account_id: Wanted(frozenset(keys), frozenset(fingerprints[account_id]), frozenset(owners[account_id]))
        for account_id, keys in addresses.items()
    }


def file_batch(candidates: Sequence[Candidate], rules: Rules, views: Views) -> list[Filing]:
    """Match, in the order of arrival; what an earlier message makes, a later one finds (R14 to R19)."""
    batch = _Batch(rules, views)
    return [batch.file(candidate) for candidate in candidates]


class _Batch:
    """The views as they grow while the batch is decided."""

    def __init__(self, rules: Rules, views: Views) -> None:
        self._rules = rules
        self._views = views
        self._made: dict[tuple[int, str], list[NewRecord]] = {}
        self._emails: dict[NewEmail, _Copies] = {}
        self._allowances: dict[tuple[int, int], Allowance] = {}

    def file(self, candidate: Candidate) -> Filing:
        """One message, for each of its owners."""
        verdicts = [self._verdict(candidate.content, claim) for claim in candidate.judgement.accepted]
        verdicts += candidate.judgement.rejected
        content = candidate.content
        return filing_of(candidate.arrival, content.head, tuple(verdicts), content.subject, content)

    def _verdict(self, content: Content, claim: Claim) -> Verdict:
        owner = claim.owner
        view = self._views.get(owner.account_id, AccountView())
        email, copies = self._email(content, owner.account_id, view)
        recipients = recipients_of(content.head, owner, self._rules.dropbox, view, self._rules.max_recipients)
        search = search_of(owner.pattern, owner.permissions)
        allowance = self._allowance(owner, view)
        traces = [
            _named(
                resolve(address, owner, search, view, self._made.get((owner.account_id, address.key), ()), allowance),
                owner,
                content.head,
            )
            for address in recipients.counted
        ]
        trace = replace(claim.trace, recipients=(*traces, *recipients.skipped))
        unmatched = [
            address
            for address, found in zip(recipients.counted, traces, strict=True)
            if found.result is RecipientResult.UNMATCHED
        ]
        associations = copies.missing(traces)
        waiting = tuple(address for address in unmatched if address.key not in copies.unmatched)
        if owner.id in copies.owners and not associations and not waiting:  # R19
            return Verdict(Outcome.DUPLICATE, claim.trace, owner=owner, email=email, proven_sender=claim.proven_sender)
        if not unmatched and all(found.record is None for found in traces):
            return replace(claim, trace=trace).rejected(Reason.NO_RECIPIENTS)
        verdict = Verdict(
            Outcome.ASSOCIATED,
            trace,
            owner=owner,
            email=email,
            associations=associations,
            unmatched=waiting,
            proven_sender=claim.proven_sender,
            is_certain=claim.is_certain,
        )
        self._remember(verdict, copies, owner)
        return verdict

    def _allowance(self, owner: Owner, view: AccountView) -> Allowance:
        """Return what is left of the owner's new records for today (R13)."""
        fresh = Allowance(self._rules.max_new_records_per_day, view.made_today.get(owner.id, 0))
        return self._allowances.setdefault((owner.account_id, owner.id), fresh)

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


def _named(trace: RecipientTrace, owner: Owner, head: Head) -> RecipientTrace:
    """Give a new record the name that the mail gives the recipient, where the account wants it (R17)."""
    record = trace.record
    if owner.record_names is not RecordNames.DISPLAY_NAME or trace.result is not RecipientResult.CREATED:
        return trace
    if not isinstance(record, NewRecord):
        return trace
    return replace(trace, record=replace(record, name=person_name(head.addressees.decoded_name(record.address))))


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
            if record is None or isinstance(record, NamedRecord) or record in self.records:
                continue
            if isinstance(record, Record) and record.id in self.record_ids:
                continue
            found.setdefault(record, Association(record, created=trace.result is RecipientResult.CREATED))
        return tuple(found.values())
