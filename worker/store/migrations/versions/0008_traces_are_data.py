"""A trace holds codes and values instead of sentences; an email says whether its sender was verified.

Sentences that no code says, of a version long ago, are kept as they stand under the code ``text``.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_AT_ONCE = 2000
"""Verdicts read and written in one round trip."""

_VERDICT = sa.table(
    "verdict",
    sa.column("decision_id", sa.BigInteger),
    sa.column("ordinal", sa.Integer),
    sa.column("account_id", sa.BigInteger),
    sa.column("email_id", sa.BigInteger),
    sa.column("outcome", sa.Text),
    sa.column("trace", sa.JSON),
)
_EMAIL = sa.table(
    "email", sa.column("account_id", sa.BigInteger), sa.column("id", sa.BigInteger), sa.column("verified", sa.Boolean)
)

_Detail = dict[str, Any]
_Make = Callable[[re.Match[str]], _Detail]


def upgrade() -> None:
    op.add_column("email", sa.Column("verified", sa.Boolean(), nullable=False, server_default=sa.false()))
    connection = op.get_bind()
    last = (-1, -1)
    while rows := _next(connection, last):
        connection.execute(
            sa.update(_VERDICT)
            .where(_VERDICT.c.decision_id == sa.bindparam("decision"), _VERDICT.c.ordinal == sa.bindparam("place"))
            .values(trace=sa.bindparam("converted", type_=sa.JSON)),
            [
                {"decision": row.decision_id, "place": row.ordinal, "converted": _trace(row.trace, row.outcome)}
                for row in rows
            ],
        )
        verified = {(row.account_id, row.email_id) for row in rows if row.email_id is not None and _is_verified(row)}
        if verified:
            connection.execute(
                sa.update(_EMAIL)
                .where(_EMAIL.c.account_id == sa.bindparam("account"), _EMAIL.c.id == sa.bindparam("email"))
                .values(verified=True),
                [{"account": account, "email": email} for account, email in sorted(verified)],
            )
        last = (rows[-1].decision_id, rows[-1].ordinal)


def _next(connection: sa.Connection, last: tuple[int, int]) -> list[Any]:
    key = sa.tuple_(_VERDICT.c.decision_id, _VERDICT.c.ordinal)
    query = sa.select(_VERDICT).where(key > last).order_by(_VERDICT.c.decision_id, _VERDICT.c.ordinal)
    return list(connection.execute(query.limit(_AT_ONCE)))


def _is_verified(row: Any) -> bool:
    said = (row.trace.get("sender") or {}).get("authentication")
    return row.outcome in {"associated", "duplicate"} and isinstance(said, str) and " passes for " in said


def _trace(old: Mapping[str, Any], outcome: str) -> dict[str, Any]:
    sender = old.get("sender") or {}
    return {
        "route": old.get("route") or {"header": None, "token": None},
        "sender": {
            "address": sender.get("address"),
            "check": _converted(sender.get("check"), _CHECKS),
            "authentication": _converted(sender.get("authentication"), _AUTHENTICATION),
        },
        "recipients": [_recipient(each) for each in old.get("recipients") or ()],
        "note": _note(old.get("note"), outcome),
    }


def _recipient(old: Mapping[str, Any]) -> dict[str, Any]:
    why = _converted(old.get("why") or "", _RECIPIENTS)
    if why and why["code"] == "beyond_limit" and (more := re.fullmatch(r"(\d+) more", old["address"])):
        return {**old, "address": "", "why": {**why, "code": "more_beyond_limit", "count": int(more[1])}}
    return {**old, "why": why}


def _note(old: Any, outcome: str) -> Any:
    if not isinstance(old, str):
        return old
    if outcome == "quarantined":
        return {"code": "error", "error": old}
    return _converted(old, _NOTES)


def _converted(old: Any, forms: Iterable[tuple[re.Pattern[str], _Make]]) -> Any:
    """Return the code of a sentence. What is no sentence was written by this version, or is nothing."""
    if not isinstance(old, str):
        return old
    for form, make in forms:
        if found := form.fullmatch(old):
            return make(found)
    return {"code": "text", "text": old}


def _form(pattern: str, code: str, **values: Callable[[str], Any]) -> tuple[re.Pattern[str], _Make]:
    """Return the form of a sentence whose groups are the values of the code."""

    def make(found: re.Match[str]) -> _Detail:
        stated = {name: read(found[name]) for name, read in values.items() if found[name] is not None}
        return {"code": code, **stated}

    return re.compile(pattern, re.DOTALL), make


def _faults(text: str) -> list[str]:
    return text.split("; ")


def _modules(text: str) -> list[str]:
    return [] if text == "no module" else [name.removesuffix("s") for name in text.split(" or ")]


_CHECKS = [
    _form("registered", "registered"),
    _form("not registered", "not_registered"),
    _form("registered, not proven yet", "unproven"),
    _form("no From field", "no_from"),
    _form(r"no mailbox in From(?:; (?P<faults>.+))?", "no_mailbox_in_from", faults=_faults),
    _form(r"(?P<count>\d+) From fields", "several_from_fields", count=int),
    _form(r"(?P<count>\d+) mailboxes in From", "several_mailboxes_in_from", count=int),
    _form("a group in From", "group_in_from"),
    _form("another address beside the one in From", "another_address_in_from"),
    _form("the header block is too long to be read whole", "head_too_long"),
    _form(r"(?P<faults>.+)", "from_not_plain", faults=_faults),
]
_AUTHENTICATION = [
    _form(r"(?P<method>[A-Z]+) passes for (?P<domain>\S+)", "passes", method=str, domain=str),
    _form("no Authentication-Results field that can be read", "no_results"),
    _form("the topmost Authentication-Results is not from our server", "results_not_ours"),
    _form("(?P<method>DMARC) has several results", "results_disagree", method=str.lower),
    _form("DMARC fails", "dmarc_fails"),
    _form("neither DMARC, DKIM nor SPF passes in alignment with From", "not_aligned"),
    _form("a DKIM-Signature is written so that it could forge results", "signature_not_plain"),
]
_NOTES = [
    _form("the mail server recorded an envelope recipient, and it is no dropbox address", "recipient_is_no_dropbox"),
    _form("no field that records the envelope recipient stands where it can be believed", "recipient_not_recorded"),
    _form(r"attachments of (?P<size>\d+) octets, the limit is (?P<limit>\d+)", "attachments_size", size=int, limit=int),
    _form(r"message of (?P<size>\d+) octets, the limit is (?P<limit>\d+)", "message_size", size=int, limit=int),
    _form(
        r"(?P<field>this worker's own loop mark)(?P<value>)",
        "automatic_field",
        field=lambda _: "x-bcc-dropbox-loop",
        value=str,
    ),
    _form(
        r"(?P<field>empty Return-Path)(?P<value>)",
        "automatic_field",
        field=lambda _: "return-path",
        value=lambda _: "<>",
    ),
    _form(
        r"(?P<field>delivery report|a report)(?:: )?(?P<value>.*)",
        "automatic_field",
        field=lambda _: "content-type",
        value=lambda text: text or "multipart/report",
    ),
    _form(r"(?P<field>[\w-]+): (?P<value>.*)", "automatic_field", field=str.lower, value=str),
]
_RECIPIENTS = [
    _form(r"the owner's own (?P<module>lead|contact) with this address", "own_record", module=str),
    _form(r"the oldest (?P<module>lead|contact) with this address", "oldest_record", module=str),
    _form(r"(?P<module>lead|contact) made by an earlier message of the same poll", "just_made", module=str),
    _form(
        r"nobody among (?P<searched>[a-z ]+): new (?P<module>lead|contact)",
        "new_record",
        searched=_modules,
        module=str,
    ),
    _form(
        r"nobody among (?P<searched>[a-z ]+), and the pattern or permissions make none",
        "nobody_found",
        searched=_modules,
    ),
    _form("a colleague: never made a record, and none exists", "colleague"),
    _form("a dropbox address", "dropbox_address"),
    _form("the owner's own address", "own_address"),
    _form("on the never-log list", "never_log"),
    _form(r"(?P<domain>\S+) is on the never-log list", "never_log_domain", domain=str),
    _form(r"beyond the first (?P<limit>\d+) recipients", "beyond_limit", limit=int),
    _form(r"cannot be read whole: (?P<faults>.+)", "entry_unreadable", faults=_faults),
]
