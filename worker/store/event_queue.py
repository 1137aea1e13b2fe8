"""The endpoints of accounts and the events that wait for them: claimed by one worker at a time, settled in bulk."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    case,
    exists,
    func,
    or_,
    select,
    text,
    update,
)
from sqlmodel import col

from worker.domain.endpoints import Attempt, Blocked, Delivery, Endpoint, EndpointState, Outlook, Pause, State
from worker.domain.events import envelope, event_id
from worker.domain.permissions import Permission
from worker.store.columns import UtcDateTime, among_numbers, time_of
from worker.store.database import Database
from worker.store.tables import EVENT_WAITS, AccountRow, EventRow, ProfileRow, UserRow, WebhookRow

LEASE = timedelta(seconds=5)
"""A claim on an endpoint lasts so long unless it is renewed: another worker takes over that soon after a crash."""

_WAITS = text(f"({EVENT_WAITS})")
_FREE = or_(
    col(WebhookRow.leased_until).is_(None), col(WebhookRow.leased_until) < bindparam("moment", type_=UtcDateTime)
)
_FAILED = (
    update(EventRow)
    .where(col(EventRow.account_id) == bindparam("of_account"), col(EventRow.id) == bindparam("of_event"), _WAITS)
    .values(
        state=bindparam("to_state"),
        attempts=col(EventRow.attempts) + 1,
        first_attempt_at=func.coalesce(col(EventRow.first_attempt_at), bindparam("attempted_at", type_=UtcDateTime)),
        next_attempt_at=bindparam("again_at", type_=UtcDateTime),
        settled_at=bindparam("given_up_at", type_=UtcDateTime),
        last_error=bindparam("error"),
    )
)


class EventOutbox:
    """`worker.domain.endpoints.Outbox` on a database, shared by all workers on it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._worker = uuid4().hex

    def has_endpoints(self) -> bool:
        """Return whether any account has an endpoint: if not, there is nothing to do.

        Raises:
            Unavailable: the database is down.
        """
        with self._database.read() as connection:
            return bool(connection.scalar(select(exists().select_from(WebhookRow))))

    def lease(self, now: datetime) -> list[Endpoint]:
        """Claim each active endpoint for which something is due and that no other worker delivers to.

        Raises:
            Conflict, Unavailable: others wrote the same rows first, or the database is down.
        """
        is_due = exists().where(
            col(EventRow.account_id) == col(WebhookRow.account_id), _WAITS, col(EventRow.next_attempt_at) <= now
        )
        with self._database.read() as connection:
            wanted = select(col(WebhookRow.account_id)).where(
                col(WebhookRow.state) == EndpointState.ACTIVE.value,
                or_(col(WebhookRow.retry_at).is_(None), col(WebhookRow.retry_at) <= now),
                _FREE,
                is_due,
            )
            found = list(connection.scalars(wanted, {"moment": time_of(connection)}))
        if not found:
            return []
        with self._database.note() as connection:
            moment = time_of(connection)
            claim = update(WebhookRow).where(
                _FREE,
                col(WebhookRow.state) == EndpointState.ACTIVE.value,
                among_numbers(connection, col(WebhookRow.account_id), found),
            )
            claimed = claim.values(leased_to=self._worker, leased_until=moment + LEASE)
            ours = set(connection.scalars(claimed.returning(col(WebhookRow.account_id)), {"moment": moment}))
            return read_endpoints(connection, ours, now)

    def renew(self, accounts: Collection[int], now: datetime) -> list[Endpoint]:
        """Extend the claims; returns those endpoints that are still ours and active, as they are now.

        Raises:
            Conflict, Unavailable: others wrote the same rows first, or the database is down.
        """
        with self._database.note() as connection:
            renewed = (
                self._of(connection, accounts)
                .where(col(WebhookRow.state) == EndpointState.ACTIVE.value)
                .values(leased_until=time_of(connection) + LEASE)
            )
            ours = set(connection.scalars(renewed.returning(col(WebhookRow.account_id))))
            return read_endpoints(connection, ours, now)

    def release(self, accounts: Collection[int]) -> None:
        """Give the claims up.

        Raises:
            Conflict, Unavailable: others wrote the same rows first, or the database is down.
        """
        with self._database.note() as connection:
            connection.execute(self._of(connection, accounts).values(leased_to=None, leased_until=None))

    def due(self, account_id: int, now: datetime, *, above: int, most: int) -> list[Delivery]:
        """Return up to ``most`` events that are due, with numbers ``above``, in the order of their numbers.

        Raises:
            Unavailable: the database is down.
        """
        query = (
            select(
                *(col(EventRow.id), col(EventRow.type), col(EventRow.created_at), col(EventRow.data)),
                *(col(EventRow.record_id), col(EventRow.merged_id)),
                *(col(EventRow.attempts), col(EventRow.first_attempt_at)),
            )
            .where(
                *(col(EventRow.account_id) == account_id, _WAITS),
                *(col(EventRow.next_attempt_at) <= now, col(EventRow.id) > above),
            )
            .order_by(col(EventRow.id))
            .limit(most)
        )
        with self._database.read() as connection:
            return [_delivery(*row) for row in connection.execute(query)]

    def blocked(self, account_id: int, now: datetime) -> list[Blocked]:
        """Return the events of records that failed and are not due yet.

        Raises:
            Unavailable: the database is down.
        """
        query = select(col(EventRow.id), col(EventRow.record_id), col(EventRow.merged_id)).where(
            *(col(EventRow.account_id) == account_id, _WAITS),
            *(col(EventRow.next_attempt_at) > now, col(EventRow.record_id).is_not(None)),
        )
        with self._database.read() as connection:
            return [Blocked(number, _records(*records)) for number, *records in connection.execute(query)]

    def settle(self, account_id: int, attempts: Sequence[Attempt], outlook: Outlook) -> None:
        """Store what came of the attempts.

        A power cut may lose it, which delivers the events once more: the end does not wait for the disk.

        Raises:
            Conflict, Unavailable: others wrote the same rows first, or the database is down.
        """
        delivered = [attempt.delivery.number for attempt in attempts if attempt.answer.is_success]
        failed = [attempt for attempt in attempts if not attempt.answer.is_success]
        with self._database.note() as connection:
            if delivered:
                connection.execute(
                    update(EventRow)
                    .where(
                        col(EventRow.account_id) == account_id, among_numbers(connection, col(EventRow.id), delivered)
                    )
                    .values(
                        state=State.DELIVERED.value,
                        attempts=col(EventRow.attempts) + 1,
                        next_attempt_at=None,
                        settled_at=attempts[-1].at,
                        last_error=None,
                    )
                )
            if failed:
                connection.execute(_FAILED, [_failure(account_id, attempt) for attempt in failed])
            connection.execute(self._of(connection, [account_id]).values(_endpoint_values(attempts, outlook)))

    def pauses(self) -> list[Pause]:
        """Return the paused endpoints that the operator does not know of.

        Raises:
            Unavailable: the database is down.
        """
        untold = select(
            col(WebhookRow.account_id), col(AccountRow.name), col(WebhookRow.url), col(WebhookRow.paused_because)
        ).join(AccountRow, col(AccountRow.id) == col(WebhookRow.account_id))
        with self._database.read() as connection:
            return [
                Pause(account, name, url, because or "", _backlog(connection, account), _managers(connection, account))
                for account, name, url, because in connection.execute(untold.where(~col(WebhookRow.pause_told))).all()
            ]

    def told(self, pause: Pause) -> None:
        """Remember that the operator knows of this pause.

        Raises:
            Conflict, Unavailable: others wrote the same rows first, or the database is down.
        """
        with self._database.begin() as connection:
            of_account = col(WebhookRow.account_id) == pause.account_id
            connection.execute(update(WebhookRow).where(of_account).values(pause_told=True))

    def _of(self, connection: Connection, accounts: Collection[int]) -> Any:
        return update(WebhookRow).where(
            col(WebhookRow.leased_to) == self._worker,
            among_numbers(connection, col(WebhookRow.account_id), accounts),
        )


def read_endpoints(connection: Connection, accounts: Collection[int], now: datetime) -> list[Endpoint]:
    """Read the endpoints of these accounts, with the secrets that are in use now.

    Raises:
        Unavailable: the database is down.
    """
    query = (
        select(
            *(col(WebhookRow.account_id), col(AccountRow.name), col(WebhookRow.url), col(WebhookRow.secret)),
            case((col(WebhookRow.old_secret_until) > now, col(WebhookRow.old_secret))).label("old_secret"),
            *(col(WebhookRow.failing_since), col(WebhookRow.failures)),
        )
        .join(AccountRow, col(AccountRow.id) == col(WebhookRow.account_id))
        .where(among_numbers(connection, col(WebhookRow.account_id), accounts))
        .order_by(col(WebhookRow.account_id))
    )
    return [
        Endpoint(
            row.account_id, row.name, row.url, _secrets(row.secret, row.old_secret), row.failing_since, row.failures
        )
        for row in connection.execute(query)
    ]


def _secrets(secret: str, old_secret: str | None) -> tuple[str, ...]:
    return (secret, old_secret) if old_secret else (secret,)


def _delivery(  # noqa: PLR0913, PLR0917 - a row
    number: int,
    type_: str,
    created_at: datetime,
    data: str,
    record_id: int | None,
    merged_id: int | None,
    attempts: int,
    first_attempt_at: datetime | None,
) -> Delivery:
    return Delivery(
        number,
        event_id(number, created_at),
        envelope(type_, created_at, data),
        _records(record_id, merged_id),
        attempts,
        first_attempt_at,
    )


def _records(*numbers: int | None) -> frozenset[int]:
    return frozenset(number for number in numbers if number is not None)


def _failure(account_id: int, attempt: Attempt) -> dict[str, Any]:
    gives_up = attempt.retry_at is None
    return {
        "of_account": account_id,
        "of_event": attempt.delivery.number,
        "to_state": State.GIVEN_UP.value if gives_up else State.FAILED.value,
        "attempted_at": attempt.at,
        "again_at": attempt.retry_at,
        "given_up_at": attempt.at if gives_up else None,
        "error": attempt.answer.text,
    }


def _endpoint_values(attempts: Sequence[Attempt], outlook: Outlook) -> dict[str, Any]:
    values: dict[str, Any] = {
        "failing_since": outlook.failing_since,
        "failures": outlook.failures,
        "retry_at": outlook.retry_at,
    }
    for attempt in attempts:
        if attempt.answer.is_success:
            values["last_delivered_at"] = attempt.at
        else:
            values["last_failed_at"] = attempt.at
            values["last_error"] = attempt.answer.text
    if outlook.paused_because is not None:
        values |= {
            "state": EndpointState.PAUSED.value,
            "paused_because": outlook.paused_because,
            "pause_told": False,
            "leased_to": None,
            "leased_until": None,
        }
    return values


def _backlog(connection: Connection, account_id: int) -> int:
    query = select(func.count()).where(col(EventRow.account_id) == account_id, _WAITS)
    return connection.execute(query).scalar_one()


def _managers(connection: Connection, account_id: int) -> tuple[str, ...]:
    of_profile = and_(
        col(ProfileRow.account_id) == col(UserRow.account_id), col(ProfileRow.id) == col(UserRow.profile_id)
    )
    query = (
        select(col(UserRow.login))
        .join(ProfileRow, of_profile)
        .where(
            *(col(UserRow.account_id) == account_id, col(UserRow.enabled)),
            getattr(ProfileRow, Permission.MANAGE_PROFILES.value),
        )
        .order_by(col(UserRow.id))
        .limit(5)
    )
    return tuple(connection.scalars(query))
