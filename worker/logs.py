"""The log: the only place that configures structlog, and the names of all events."""

import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Callable, Collection, Iterable, MutableMapping
from enum import StrEnum
from functools import lru_cache
from pathlib import PurePath
from types import TracebackType
from typing import Any, TextIO

import structlog

from worker.domain.errors import DropboxError
from worker.domain.text import ALPHABET, LENGTH, clean, masked
from worker.domain.verdicts import Filing

_LATE_SECONDS = 180
"""R22: from arrival to association."""

_HIDDEN = "***"
_JSON = json.JSONEncoder(ensure_ascii=False, default=repr)
_SHORTEST_SECRET = 6
_TOKEN = re.compile(rf"(?<![0-9a-z])[{ALPHABET}]{{{LENGTH}}}(?![0-9a-z])", re.IGNORECASE)
_TAG = re.compile(rf"(?<=\+)[{ALPHABET}]{{{LENGTH}}}", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(?<=://)([^/@:\s]*):[^/\s]*@")
_OUR_KEYS = frozenset({"event", "level", "timestamp"})
"""Only this module writes these; their values are not searched for secrets: a password may be the word "database"."""
_SECRET_KEYS = re.compile(r"password|passwd|secret|credential|authorization|token$", re.IGNORECASE)

Fields = MutableMapping[str, Any]


class Event(StrEnum):
    """Every event that is logged. The names are an interface and are never renamed."""

    SERVICE_STARTED = "service.started"
    SERVICE_STOPPING = "service.stopping"
    SERVICE_STOPPED = "service.stopped"
    SERVICE_FAILED = "service.failed"
    SETTINGS_RELOADED = "settings.reloaded"
    SETTINGS_REFUSED = "settings.refused"
    SENDER_AUTH_OFF = "sender_auth.off"
    WORKER_STANDBY = "worker.standby"
    WORKER_ACTIVE = "worker.active"
    POLL_FINISHED = "poll.finished"
    POLL_HUNG = "poll.hung"
    MESSAGE_ASSOCIATED = "message.associated"
    MESSAGE_DUPLICATE = "message.duplicate"
    MESSAGE_REJECTED = "message.rejected"
    MESSAGE_QUARANTINED = "message.quarantined"
    MESSAGE_DEFERRED = "message.deferred"
    MESSAGE_LATE = "message.late"
    RECORDS_LIMITED = "records.limited"
    MAILBOX_CONNECTED = "mailbox.connected"
    MAILBOX_LOST = "mailbox.lost"
    MAILBOX_LOGIN_REFUSED = "mailbox.login_refused"
    MAILBOX_RETRYING = "mailbox.retrying"
    MAILBOX_IDLE = "mailbox.idle"
    MAILBOX_IDLE_MISSING = "mailbox.idle_missing"
    NOTICE_SENT = "notice.sent"
    NOTICE_REFUSED = "notice.refused"
    NOTICE_DELAYED = "notice.delayed"
    WEBHOOK_DELIVERED = "webhook.delivered"
    WEBHOOK_DOWN = "webhook.down"
    WEBHOOK_RECOVERED = "webhook.recovered"
    WEBHOOK_PAUSED = "webhook.paused"
    EVENT_GIVEN_UP = "event.given_up"
    PERSON_ERASED = "person.erased"
    DATABASE_UNAVAILABLE = "database.unavailable"
    DATABASE_RETRYING = "database.retrying"
    DATABASE_RECOVERED = "database.recovered"
    RETENTION_REMOVED = "retention.removed"
    RETENTION_DELAYED = "retention.delayed"
    LIBRARY = "library"


def configure(
    *, level: str = "info", as_json: bool | None = None, stream: TextIO | None = None, secrets: Collection[str] = ()
) -> None:
    """Log to ``stream`` (stderr). By default (``as_json=None``) use colours on a terminal and JSON lines elsewhere.

    ``secrets`` are masked wherever they appear. May be called again when the settings change.
    """
    target = stream or sys.stderr
    on_terminal = target.isatty()
    if on_terminal if as_json is None else not as_json:
        render: Any = structlog.dev.ConsoleRenderer(colors=on_terminal, pad_event_to=22, sort_keys=False)
    else:
        render = structlog.processors.JSONRenderer(_as_json)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _one_line_exception,
            _tidier(secrets),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(target),
        cache_logger_on_first_use=False,
    )
    _bridge_libraries(level)


def _as_json(fields: Fields, **_: Any) -> str:
    return _JSON.encode(fields)


def catch_uncaught() -> None:
    """Log an uncaught exception of any thread as one line instead of a traceback."""
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def log_filed(filing: Filing, seconds: float) -> None:
    """Log a message that was committed ``seconds`` after it arrived, and once more if that was late (R22)."""
    verdict = filing.deciding
    event = Event(f"message.{verdict.outcome}")
    fields: dict[str, Any] = {"uid": filing.uid, "message_id": filing.message_id}
    if verdict.owner:
        fields["owner"] = verdict.owner.login
        if verdict.owner.account:
            fields["account"] = verdict.owner.account
    if verdict.reason:
        fields["reason"] = verdict.reason.value
    if event is Event.MESSAGE_QUARANTINED:
        fields["error"] = verdict.trace.note and verdict.trace.note.values.get("error", verdict.trace.note.code.value)
    fields["seconds"] = round(seconds, 3)
    log = structlog.get_logger()
    if event is Event.MESSAGE_QUARANTINED:
        log.error(event, **fields)
    else:
        log.info(event, **fields)
    if seconds > _LATE_SECONDS:
        log.warning(Event.MESSAGE_LATE, uid=filing.uid, message_id=filing.message_id, seconds=round(seconds, 3))
    for limited in (verdict for verdict in filing.verdicts if verdict.is_limited and verdict.owner):
        owner = limited.owner and limited.owner.login
        log.warning(Event.RECORDS_LIMITED, uid=filing.uid, message_id=filing.message_id, owner=owner)


def log_deferred(uid: int, error: str, message_id: str | None = None, seconds: float | None = None) -> None:
    """Log a message that stays in the queue and is tried again, with what could be read of its head."""
    fields: dict[str, Any] = {"uid": uid}
    if message_id is not None:
        fields["message_id"] = message_id
    fields["error"] = error
    if seconds is not None:
        fields["seconds"] = round(seconds, 3)
    structlog.get_logger().warning(Event.MESSAGE_DEFERRED, **fields)


def described(error: BaseException) -> str:
    """Describe an exception on one line: type, first line of its text, and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({PurePath(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name})" if frames else ""
    text = clean((str(error).splitlines() or [""])[0], most=200)
    if isinstance(error, DropboxError):
        return text
    return f"{type(error).__name__}{': ' if text else ''}{text}{place}"


def _one_line_exception(_logger: Any, _method: str, fields: Fields) -> Fields:
    """Turn ``exc_info`` into one line: the lines of a traceback may quote confidential mail."""
    raised = fields.pop("exc_info", None)
    if raised is True:
        raised = sys.exc_info()
    if isinstance(raised, tuple):
        raised = raised[1]
    if isinstance(raised, BaseException):
        fields["error"] = described(raised)
    return fields


def _tidier(secrets: Iterable[str]) -> Callable[[Any, str, Fields], Fields]:
    """Return a processor that masks secrets, shortens tokens, and removes control characters."""
    known = tuple(sorted((secret for secret in secrets if len(secret) >= _SHORTEST_SECRET), key=len, reverse=True))

    def tidy_text(key: str, text: str) -> str:
        for secret in known:
            text = text.replace(secret, _HIDDEN)
        text = clean(text)
        if len(text) >= LENGTH:
            # A Message-ID is often made of an identifier that looks like a token; there only a plus tag is one.
            pattern = _TAG if key == "message_id" else _TOKEN
            text = pattern.sub(lambda found: masked(found[0]), text)
        return _URL_PASSWORD.sub(rf"\1:{_HIDDEN}@", text) if "://" in text else text

    def tidy(_logger: Any, _method: str, fields: Fields) -> Fields:
        for key, value in fields.items():
            if key in _OUR_KEYS:
                continue
            if _names_a_secret(key):
                fields[key] = _HIDDEN
            elif isinstance(value, str):
                fields[key] = tidy_text(key, value)
            elif isinstance(value, list | tuple):
                fields[key] = [tidy_text(key, str(each)) for each in value]
        return fields

    return tidy


@lru_cache(maxsize=256)
def _names_a_secret(key: str) -> bool:
    return bool(_SECRET_KEYS.search(key))


class _Bridge(logging.Handler):
    """Passes on what libraries log, so that it is masked and formatted as our own events are."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            text = str(record.msg)
        fields = {"exc_info": record.exc_info} if record.exc_info else {}
        structlog.get_logger().log(record.levelno, Event.LIBRARY, library=record.name, message=text, **fields)


def _bridge_libraries(level: str) -> None:
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if not isinstance(each, _Bridge)]
    root.addHandler(_Bridge())
    # At INFO, libraries log each of their steps.
    root.setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
    # APScheduler warns of each wake-up that comes late.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)


def _log_uncaught(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
    structlog.get_logger().error(Event.SERVICE_FAILED, exc_info=error)


def _log_uncaught_in_thread(found: threading.ExceptHookArgs) -> None:
    if found.exc_value is not None and found.exc_type is not SystemExit:
        structlog.get_logger().error(Event.SERVICE_FAILED, exc_info=found.exc_value)
