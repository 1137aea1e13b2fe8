"""Stored decisions: explain why messages ended as they did, and find the messages that a replay takes again."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    ScalarSelect,
    Select,
    and_,
    exists,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.orm import aliased
from sqlmodel import col

from worker.crm.decision_search import MessageFilter, matching_ids, of_known_queue, of_present_queue
from worker.crm.work import Account, Crm, Work
from worker.domain.outcomes import Decided, Outcome, Reason
from worker.domain.verdicts import Trace
from worker.store.columns import among_numbers
from worker.store.database import Database
from worker.store.snapshot import name_among_several
from worker.store.tables import NOT_FILED, AttemptRow, DecisionRow, MailboxRow, UnmatchedRow, UserRow, VerdictRow
from worker.store.traces import read_trace


@dataclass(frozen=True, slots=True)
class OwnersVerdict:
    """The end of the message for one owner (None: no owner was found)."""

    outcome: Outcome
    reason: Reason | None
    owner: str | None
    email_id: int | None
    trace: Trace
    waiting: frozenset[str] = frozenset()
    """The recipients of the trace that have no record up to now (R15)."""
    account: str | None = None
    """The owner's account, where there are several."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The one decision on one message, with the verdicts of all its owners."""

    verdicts: Sequence[OwnersVerdict]
    uid: int
    uidvalidity: int
    mailbox: str
    message_id: str
    sender: str
    subject: str
    recipients: Sequence[str]
    size: int
    arrived_at: datetime
    decided_at: datetime

    @property
    def outcome(self) -> Outcome:
        """The end of the message for the accounts that were asked for: no account learns of another (R6)."""
        return self.deciding.outcome

    @property
    def deciding(self) -> OwnersVerdict:
        """The verdict that decides the folder, among the accounts that were asked for."""
        return min(self.verdicts, key=lambda verdict: list(Outcome).index(verdict.outcome))


@dataclass(frozen=True, slots=True)
class Attempt:
    """A message that is not decided yet, but was tried."""

    mailbox: str
    strikes: int
    error: str | None


def explain_uid(crm: Crm, uid: int, *, limit: int | None) -> list[Explanation]:
    """Return the decisions on messages with that UID in any mailbox, the latest first.

    Raises:
        Refused: there is no such account.
        Unavailable: the database is down.
    """
    with crm.read() as work:
        account = _asking(work)
        query = _DECISIONS.where(of_known_queue(), col(DecisionRow.uid) == uid, *_concerns(account))
        return _explanations(work.connection, query.limit(limit), account)


def explain_message_id(crm: Crm, message_id: str, *, limit: int | None) -> list[Explanation]:
    """Return the decisions on messages with that Message-ID, typed with or without angle brackets, the latest first.

    Raises:
        Refused: there is no such account.
        Unavailable: the database is down.
    """
    bare = message_id.strip().removeprefix("<").removesuffix(">")
    with crm.read() as work:
        account = _asking(work)
        query = _DECISIONS.where(col(DecisionRow.message_id).in_([bare, f"<{bare}>"]), *_concerns(account))
        return _explanations(work.connection, query.limit(limit), account)


def explain_matching(crm: Crm, wanted: MessageFilter, *, limit: int | None) -> list[Explanation]:
    """Return the decisions on messages from and to these people since then, the latest first.

    Raises:
        Refused: there is no such account.
        Unavailable: the database is down.
    """
    with crm.read() as work:
        account = _asking(work)
        ids = matching_ids(work.connection, wanted, _concerns(account), limit)
        query = _DECISIONS.where(among_numbers(work.connection, col(DecisionRow.id), ids))
        return _explanations(work.connection, query, account)


def attempts_on(crm: Crm, uid: int) -> list[Attempt]:
    """Return undecided messages of that UID that were tried. Their owners are not known yet (R6).

    Raises:
        Unavailable: the database is down.
    """
    if crm.account is not None:
        return []
    query = (
        select(col(MailboxRow.name), col(AttemptRow.strikes), col(AttemptRow.error))
        .join(MailboxRow, col(MailboxRow.id) == col(AttemptRow.mailbox_id))
        .where(col(AttemptRow.uid) == uid, of_present_queue())
    )
    with crm.read() as work:
        return [Attempt(*row) for row in work.connection.execute(query)]


_DECISIONS: Select[*tuple[Any, ...]] = (
    select(
        *(col(DecisionRow.id), col(DecisionRow.uid), col(DecisionRow.uidvalidity), col(MailboxRow.name)),
        *(col(DecisionRow.message_id), col(DecisionRow.sender), col(DecisionRow.subject), col(DecisionRow.recipients)),
        *(col(DecisionRow.size), col(DecisionRow.arrived_at), col(DecisionRow.decided_at)),
    )
    .join(MailboxRow, col(MailboxRow.id) == col(DecisionRow.mailbox_id))
    .order_by(col(DecisionRow.decided_at).desc(), col(DecisionRow.id).desc())
)


def _asking(work: Work) -> Account | None:
    """Return the account that was named; None is the operator, who sees the mail of every account."""
    return work.account if work.account_name is not None else None


def _concerns(account: Account | None) -> list[ColumnElement[bool]]:
    """Return the condition that a message concerns the account. After the limit, others' mail would fill the list."""
    if account is None:
        return []
    return [
        exists().where(col(VerdictRow.decision_id) == col(DecisionRow.id), col(VerdictRow.account_id) == account.id)
    ]


def _explanations(
    connection: Connection, query: Select[*tuple[Any, ...]], account: Account | None
) -> list[Explanation]:
    rows = connection.execute(query).all()
    verdicts = _verdicts(connection, [row.id for row in rows], account)
    return [Explanation(verdicts[number], *of_message) for number, *of_message in rows]


def _verdicts(
    connection: Connection, decision_ids: Sequence[int], account: Account | None
) -> dict[int, list[OwnersVerdict]]:
    """Read the verdicts of these decisions.

    Verdicts of other accounts are left out here: in the query, SQLite would begin with all verdicts of the account.
    """
    is_owner = and_(col(UserRow.account_id) == col(VerdictRow.account_id), col(UserRow.id) == col(VerdictRow.user_id))
    query = (
        select(
            VerdictRow.__table__,  # type: ignore[attr-defined]
            col(UserRow.login),
            name_among_several(col(VerdictRow.account_id)),
        )
        .outerjoin(UserRow, is_owner)
        .where(among_numbers(connection, col(VerdictRow.decision_id), decision_ids))
        .order_by(col(VerdictRow.decision_id), col(VerdictRow.ordinal))
    )
    verdicts: dict[int, list[OwnersVerdict]] = defaultdict(list)
    rows = [row for row in connection.execute(query) if account is None or row.account_id == account.id]
    waiting = _waiting(connection, {(row.account_id, row.email_id) for row in rows if row.email_id is not None})
    for row in rows:
        reason = Reason(row.reason) if row.reason else None
        still = frozenset(waiting[row.account_id, row.email_id])
        verdict = OwnersVerdict(
            Outcome(row.outcome), reason, row.login, row.email_id, read_trace(row.trace, row.packed), still, row.account
        )
        verdicts[row.decision_id].append(verdict)
    return verdicts


def _waiting(connection: Connection, emails: Collection[tuple[int, int]]) -> defaultdict[tuple[int, int], set[str]]:
    """Return by account and email who still waits: a record may have been added since the decision."""
    waiting: defaultdict[tuple[int, int], set[str]] = defaultdict(set)
    if not emails:
        return waiting
    query = select(col(UnmatchedRow.account_id), col(UnmatchedRow.email_id), col(UnmatchedRow.address)).where(
        among_numbers(connection, col(UnmatchedRow.account_id), {account for account, _ in emails}),
        among_numbers(connection, col(UnmatchedRow.email_id), {email for _, email in emails}),
    )
    for account, email, address in connection.execute(query):
        waiting[account, email].add(address)
    return waiting


def decided_as(database: Database, mailbox: str, outcome: Outcome, reason: Reason | None = None) -> list[Decided]:
    """Find the messages of the mailbox with this end (and reason, if given) that were not decided again since.

    Raises:
        Unavailable: the database is down.
    """
    ended_so = and_(
        col(DecisionRow.mailbox_id) == _mailbox_id(mailbox),
        literal_column(NOT_FILED),
        col(DecisionRow.outcome) == outcome.value,
    )
    if reason is not None:
        is_verdict = and_(col(VerdictRow.decision_id) == col(DecisionRow.id), col(VerdictRow.reason) == reason.value)
        ended_so = and_(ended_so, exists().where(is_verdict))
    conditions = [ended_so, col(DecisionRow.id).in_(_last_of_those(ended_so))]
    if outcome is Outcome.QUARANTINED:
        conditions.append(~_was_read_since())
    with database.read() as connection:
        return decided_of(connection, conditions)


def decided_under(database: Database, mailbox: str, uids: Collection[int]) -> list[Decided]:
    """Return the last decision for each of the UIDs; a UID without one is absent.

    Raises:
        Unavailable: the database is down.
    """
    with database.read() as connection:
        of_uids = and_(
            of_known_queue(),
            col(DecisionRow.mailbox_id) == _mailbox_id(mailbox),
            among_numbers(connection, col(DecisionRow.uid), uids),
        )
        last = select(func.max(col(DecisionRow.id))).where(of_uids).group_by(col(DecisionRow.uid))
        return decided_of(connection, [col(DecisionRow.id).in_(last)])


def forgive(database: Database, mailbox: str, uids: Collection[int]) -> list[int]:
    """Forget the strikes of messages that still wait in the queue; gives the UIDs that had been tried.

    Raises:
        Conflict, Unavailable: others wrote the same rows first, or the database is down.
    """
    with database.begin() as connection:
        waiting = and_(
            of_present_queue(),
            col(AttemptRow.mailbox_id) == _mailbox_id(mailbox),
            among_numbers(connection, col(AttemptRow.uid), uids),
        )
        forgiven = update(AttemptRow).where(waiting).values(suspect=False, strikes=0, error=None)
        return sorted(set(connection.scalars(forgiven.returning(col(AttemptRow.uid)))))


def _last_of_those(conditions: ColumnElement[bool]) -> Select[int]:
    """Select the last decision on each of these messages, or on another message of the same Message-ID.

    A message that went back into the queue came out with another UID, and is otherwise the same. The mailbox is no
    condition here but part of what is the same, so that the Message-ID is the only way in.
    """
    same = aliased(DecisionRow)
    message_ids = select(col(DecisionRow.message_id)).where(conditions)
    return (
        select(func.max(col(same.id)))
        .where(col(same.message_id).in_(message_ids))
        .group_by(col(same.mailbox_id), col(same.message_id), col(same.size), col(same.arrived_at))
    )


def _was_read_since() -> ColumnElement[bool]:
    """Return the condition that a message without a Message-ID, whose head could not be read, was decided again."""
    later = aliased(DecisionRow)
    return and_(
        col(DecisionRow.message_id) == "",
        exists().where(
            col(later.mailbox_id) == col(DecisionRow.mailbox_id),
            col(later.decided_at) >= col(DecisionRow.decided_at),
            col(later.size) == col(DecisionRow.size),
            col(later.arrived_at) == col(DecisionRow.arrived_at),
            col(later.id) > col(DecisionRow.id),
        ),
    )


def _mailbox_id(name: str) -> ScalarSelect[int]:
    return select(col(MailboxRow.id)).where(col(MailboxRow.name) == name).scalar_subquery()


def decided_of(connection: Connection, conditions: Sequence[ColumnElement[bool]]) -> list[Decided]:
    """Read the decisions that fulfil the conditions, the oldest first.

    Raises:
        Unavailable: the database is down.
    """
    columns = (DecisionRow.id, DecisionRow.uid, DecisionRow.outcome, DecisionRow.message_id, DecisionRow.size)
    query = select(*map(col, columns), col(DecisionRow.arrived_at)).where(*conditions)
    rows = connection.execute(query.order_by(col(DecisionRow.id))).all()
    verdicts: dict[int, list[tuple[Outcome, Reason | None]]] = defaultdict(list)
    found = select(col(VerdictRow.decision_id), col(VerdictRow.outcome), col(VerdictRow.reason)).where(
        among_numbers(connection, col(VerdictRow.decision_id), [row.id for row in rows])
    )
    for decision, outcome, reason in connection.execute(found.order_by(col(VerdictRow.ordinal))):
        verdicts[decision].append((Outcome(outcome), Reason(reason) if reason else None))
    return [
        Decided(
            uid=row.uid,
            outcome=Outcome(row.outcome),
            reasons=tuple(dict.fromkeys(reason for _, reason in verdicts[row.id] if reason)),
            is_filed_for_all=all(outcome.is_filed for outcome, _ in verdicts[row.id]),
            message_id=row.message_id,
            size=row.size,
            arrived_at=row.arrived_at,
        )
        for row in rows
    ]
