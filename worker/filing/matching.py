"""Where an accepted message goes: the records of its recipients, found or to be made (R14 to R19)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from worker.domain.address_lists import AddressList
from worker.domain.messages import Content
from worker.domain.outcomes import Code, Outcome, Reason, detail
from worker.domain.permissions import search_of
from worker.domain.recipients import Allowance, recipients_of, resolve
from worker.domain.records import (
    AccountView,
    Direction,
    NewRecord,
    Record,
    RecordNames,
    StoredEmail,
    Wanted,
    person_name,
)
from worker.domain.tokens import Owner
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
from worker.filing.forwarding import Mail, mails_forwarded
from worker.filing.judging import Candidate, Claim, Rules, filing_of

Views = Mapping[int, AccountView]


def wanted(candidates: Sequence[Candidate]) -> dict[int, Wanted]:
    """Return by account what has to be read before `file_batch` can decide."""
    addresses: dict[int, set[str]] = {}
    fingerprints: dict[int, set[bytes]] = {}
    owners: dict[int, set[int]] = {}
    for candidate in candidates:
        claimed = [claim.owner for claim in candidate.judgement.accepted]
        if not claimed:
            continue
        keys, prints = _asked_for(candidate)
        for owner in claimed:
            addresses.setdefault(owner.account_id, set()).update(keys)
            fingerprints.setdefault(owner.account_id, set()).update(prints)
            owners.setdefault(owner.account_id, set()).add(owner.id)
    return {
        account_id: Wanted(frozenset(keys), frozenset(fingerprints[account_id]), frozenset(owners[account_id]))
        for account_id, keys in addresses.items()
    }


def _asked_for(candidate: Candidate) -> tuple[set[str], set[bytes]]:
    """Return the address keys and the fingerprints of a message, and of the mails that it forwards."""
    content, forwarded = candidate.content, candidate.forwarded
    keys = {address.key for address in content.head.addressees.addresses}
    prints = {content.fingerprint}
    if forwarded is not None:
        keys.update(address.key for address in forwarded.addresses)
        prints.update(original.fingerprint for original in forwarded.contents)
    return keys, prints


def file_batch(candidates: Sequence[Candidate], rules: Rules, views: Views) -> list[Filing]:
    """Decide on the messages in the order of arrival; what an earlier one makes, a later one finds (R14 to R19)."""
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
        """Decide on one message for each of its owners."""
        verdicts = [each for claim in candidate.judgement.accepted for each in self._verdicts(candidate, claim)]
        verdicts += candidate.judgement.rejected
        content = candidate.content
        return filing_of(candidate.arrival, content.head, tuple(verdicts), content.subject, content)

    def _verdicts(self, candidate: Candidate, claim: Claim) -> Iterator[Verdict]:
        """Decide for one owner: one verdict, or one for each mail that is attached to a forward (R28)."""
        view = self._view(claim.owner)
        head, dropbox = candidate.content.head, self._rules.dropbox
        recipients = recipients_of(head, claim.owner, dropbox, view, self._rules.max_recipients)
        if candidate.forwarded is None or recipients.counted:
            yield self._verdict(claim, Mail(candidate.content, recipients, head.addressees))
            return
        claim = replace(claim, trace=replace(claim.trace, recipients=recipients.skipped))
        for mail in mails_forwarded(candidate.content, candidate.forwarded, claim, self._rules, view):
            verdict = self._forwarded(claim, mail) if isinstance(mail, Mail) else mail
            if verdict is not None:
                yield verdict

    def _forwarded(self, claim: Claim, mail: Mail) -> Verdict | None:
        """Decide on a forwarded mail; return None when only known people may get it and none is known."""
        verdict = self._verdict(replace(claim, trace=replace(claim.trace, forward=mail.what)), mail)
        if verdict.reason is not Reason.NO_RECIPIENTS:
            return verdict
        if mail.only_known:
            return None
        if mail.direction is Direction.RECEIVED:
            return verdict
        claim = replace(claim, trace=verdict.trace)
        return claim.rejected(Reason.FORWARD_UNREADABLE, detail(Code.FORWARD_OF_OUR_OWN))

    def _verdict(self, claim: Claim, mail: Mail) -> Verdict:
        """Decide on one mail for one owner (R15 to R19)."""
        owner = claim.owner
        email, copies = self._email(mail.content, owner.account_id, self._view(owner))
        traces = self._resolved(owner, mail)
        trace = replace(claim.trace, recipients=(*traces, *mail.recipients.skipped))
        unmatched = [
            address
            for address, found in zip(mail.recipients.counted, traces, strict=True)
            if found.result is RecipientResult.UNMATCHED and not mail.only_known
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
            direction=mail.direction,
            is_claimed=mail.what is not None,
            stated=mail.stated,
            proven_sender=claim.proven_sender,
            is_certain=claim.is_certain,
        )
        self._remember(verdict, copies, owner)
        return verdict

    def _resolved(self, owner: Owner, mail: Mail) -> list[RecipientTrace]:
        """Find or make the record of each recipient."""
        view = self._view(owner)
        search = search_of(owner.pattern, owner.permissions)
        if mail.only_known:
            search = replace(search, makes=None)
        allowance = self._allowance(owner, view)
        return [
            _named(
                resolve(address, owner, search, view, self._made.get((owner.account_id, address.key), ()), allowance),
                owner,
                mail.names,
            )
            for address in mail.recipients.counted
        ]

    def _view(self, owner: Owner) -> AccountView:
        return self._views.get(owner.account_id, AccountView())

    def _allowance(self, owner: Owner, view: AccountView) -> Allowance:
        """Return how many records the owner's mail may still make today (R13)."""
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


def _named(trace: RecipientTrace, owner: Owner, names: AddressList) -> RecipientTrace:
    """Give a new record the name that the mail gives its person, where the account wants it (R17)."""
    record = trace.record
    if owner.record_names is not RecordNames.DISPLAY_NAME or trace.result is not RecipientResult.CREATED:
        return trace
    if not isinstance(record, NewRecord):
        return trace
    return replace(trace, record=replace(record, name=person_name(names.decoded_name(record.address))))


@dataclass(slots=True)
class _Copies:
    """The owners, records and unmatched recipients that one email has so far."""

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
        """Return one association for each record that has none with this email (R18)."""
        found: dict[Record | NewRecord, Association] = {}
        for trace in traces:
            record = trace.record
            if record is None or isinstance(record, NamedRecord) or record in self.records:
                continue
            if isinstance(record, Record) and record.id in self.record_ids:
                continue
            found.setdefault(record, Association(record, created=trace.result is RecipientResult.CREATED))
        return tuple(found.values())
