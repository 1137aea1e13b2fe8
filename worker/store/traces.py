"""A verdict's trace as it is stored: the one writer and the one reader of that JSON, and the traces of recent mail."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from worker.domain.outcomes import Code, Detail
from worker.domain.permissions import Module
from worker.domain.records import NewRecord, RecordRef
from worker.domain.verdicts import NamedRecord, RecipientResult, RecipientTrace, Trace
from worker.store.database import Database
from worker.store.tables import DecisionRow, MailboxRow, VerdictRow


def stored_trace(trace: Trace, made: Mapping[NewRecord, int]) -> dict[str, Any]:
    """Return plain values. Leave out each None: they would be half of a trace's bytes.

    ``made`` gives the numbers of the records that this very batch makes.
    """
    return _present(
        route=_present(header=trace.token_header, token=trace.token),
        sender=_present(
            address=trace.sender,
            check=_stored(trace.sender_check),
            authentication=_stored(trace.authentication),
        ),
        recipients=[_stored_recipient(recipient, made) for recipient in trace.recipients],
        note=_stored(trace.note),
        forward=_stored(trace.forward),
    )


def read_trace(stored: Mapping[str, Any]) -> Trace:
    """Return the trace that `stored_trace` wrote."""
    route, sender = stored.get("route") or {}, stored.get("sender") or {}
    return Trace(
        token_header=route.get("header"),
        token=route.get("token"),
        sender=sender.get("address"),
        sender_check=_read(sender.get("check")),
        authentication=_read(sender.get("authentication")),
        note=_read(stored.get("note")),
        forward=_read(stored.get("forward")),
        recipients=tuple(_read_recipient(recipient) for recipient in stored.get("recipients") or ()),
    )


def record_id(record: RecordRef | NamedRecord, made: Mapping[NewRecord, int]) -> int:
    """Return the number of a record, old or new."""
    return made[record] if isinstance(record, NewRecord) else record.id


def _stored(found: Detail | None) -> dict[str, Any] | None:
    return {"code": found.code.value, **found.values} if found else None


def _read(stored: Any) -> Detail | None:
    """Read a code with its values. What another version of this program wrote is shown as it stands."""
    match stored:
        case None:
            return None
        case {"code": str(code), **values} if code in _CODES:
            kept: dict[str, Any] = {
                str(name): tuple(value) if isinstance(value, list) else value for name, value in values.items()
            }
            return Detail(Code(code), kept)
        case {"code": code}:
            return Detail(Code.TEXT, {"text": str(code)})
        case _:
            return Detail(Code.TEXT, {"text": str(stored)})


_CODES = frozenset(code.value for code in Code)


def _stored_recipient(recipient: RecipientTrace, made: Mapping[NewRecord, int]) -> dict[str, Any]:
    record = recipient.record
    return _present(
        address=recipient.address,
        result=recipient.result.value,
        why=_stored(recipient.why),
        module=record and record.module.value,
        record=record and record_id(record, made),
    )


def _present(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, {}, [])}


def _read_recipient(stored: Mapping[str, Any]) -> RecipientTrace:
    module, number = stored.get("module"), stored.get("record")
    return RecipientTrace(
        stored["address"],
        RecipientResult(stored["result"]),
        _read(stored.get("why")) or Detail(Code.TEXT, {"text": ""}),
        NamedRecord(Module(module), number) if module and number is not None else None,
    )


def recent_traces(database: Database, mailbox: str, most: int = 100) -> list[Trace]:
    """Return the traces of the deciding verdicts of a mailbox, newest first.

    Raises:
        Unavailable: the database is down.
    """
    of_mailbox = select(col(MailboxRow.id)).where(col(MailboxRow.name) == mailbox).scalar_subquery()
    query = (
        select(col(VerdictRow.trace))
        .join(DecisionRow, col(DecisionRow.id) == col(VerdictRow.decision_id))
        .where(col(DecisionRow.mailbox_id) == of_mailbox, col(VerdictRow.ordinal) == 0)
        .order_by(col(DecisionRow.decided_at).desc(), col(DecisionRow.id).desc())
        .limit(most)
    )
    with database.read() as connection:
        return [read_trace(stored) for stored in connection.scalars(query)]
