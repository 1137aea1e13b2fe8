"""A verdict's trace as it is stored and shown by `explain`."""

from collections.abc import Mapping
from typing import Any

from worker.domain.records import NewRecord, RecordRef
from worker.domain.verdicts import RecipientTrace, Trace


def stored_trace(trace: Trace, made: Mapping[NewRecord, int]) -> dict[str, Any]:
    """Plain values; ``made`` gives the numbers of the records that this very batch makes."""
    return {
        "route": {"header": trace.token_header, "token": trace.token},
        "sender": {
            "address": trace.sender,
            "check": trace.sender_check,
            "authentication": trace.authentication,
        },
        "recipients": [_recipient(recipient, made) for recipient in trace.recipients],
        "note": trace.note,
    }


def _recipient(recipient: RecipientTrace, made: Mapping[NewRecord, int]) -> dict[str, Any]:
    record = recipient.record
    return {
        "address": recipient.address,
        "result": recipient.result.value,
        "why": recipient.why,
        "module": record and record.module.value,
        "record": record and record_id(record, made),
    }


def record_id(record: RecordRef, made: Mapping[NewRecord, int]) -> int:
    """The number of a record, old or new."""
    return made[record] if isinstance(record, NewRecord) else record.id
