"""Outcomes of a message, the reasons of a rejection, the folder of each outcome, and a message as it was decided."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Outcome(StrEnum):
    """The end of a message for one owner. The order is the precedence when owners differ."""

    ASSOCIATED = "associated"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"
    REJECTED = "rejected"

    @property
    def folder(self) -> "Folder":
        """Folder to which the message is moved."""
        return _FOLDERS[self]

    @property
    def is_filed(self) -> bool:
        """True when the email is stored for this owner."""
        return self in {Outcome.ASSOCIATED, Outcome.DUPLICATE}


class Folder(StrEnum):
    """The IMAP folders of finished mail, without the server's prefix."""

    ASSOCIATED = "Associated"
    REJECTED = "Rejected"
    QUARANTINE = "Quarantine"


_FOLDERS = {
    Outcome.ASSOCIATED: Folder.ASSOCIATED,
    Outcome.DUPLICATE: Folder.ASSOCIATED,
    Outcome.REJECTED: Folder.REJECTED,
    Outcome.QUARANTINED: Folder.QUARANTINE,
}


class Reason(StrEnum):
    """Why a message was rejected."""

    NO_TOKEN = "no_token"
    UNKNOWN_TOKEN = "unknown_token"
    REVOKED_TOKEN = "revoked_token"
    USER_DISABLED = "user_disabled"
    PERMISSION_DENIED = "permission_denied"
    MODULE_FORBIDDEN = "module_forbidden"
    SENDER_MISSING = "sender_missing"
    SENDER_AMBIGUOUS = "sender_ambiguous"
    SENDER_NOT_REGISTERED = "sender_not_registered"
    SENDER_UNAUTHENTICATED = "sender_unauthenticated"
    FIELDS_REPEATED = "fields_repeated"
    AUTOMATIC = "automatic"
    NO_RECIPIENTS = "no_recipients"
    FORWARD_UNREADABLE = "forward_unreadable"
    ATTACHMENTS_TOO_LARGE = "attachments_too_large"
    MESSAGE_TOO_LARGE = "message_too_large"


DEFERRED = "deferred"
"""Not an outcome: the message stays in the queue because something outside is down."""


@dataclass(frozen=True, slots=True)
class Decided:
    """A message as it was decided last. ``uid`` is its UID in the queue; in its folder it has another one."""

    uid: int
    outcome: Outcome
    reasons: tuple[Reason, ...]
    is_filed_for_all: bool
    """True when the mail is stored for every owner, so that a replay would change nothing."""
    message_id: str
    """Cut to the stored length; empty when there is none or the head could not be read."""
    size: int
    arrived_at: datetime
