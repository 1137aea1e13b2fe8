"""Outcomes of a message, the reasons of a rejection, and the codes and values of a trace, which are never sentences."""

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    """The reason why a message was rejected."""

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
    """Cut to the stored length; empty without a Message-ID, or when the head could not be read."""
    size: int
    arrived_at: datetime


Value = str | int | tuple[str, ...]


class Code(StrEnum):
    """Every reason that a trace can give; its values stand behind it. The names are stored: they never change."""

    # The envelope recipient (R4, R5)
    RECIPIENT_IS_NO_DROPBOX = "recipient_is_no_dropbox"
    RECIPIENT_NOT_RECORDED = "recipient_not_recorded"

    # From (R12)
    REGISTERED = "registered"
    NOT_REGISTERED = "not_registered"
    UNPROVEN = "unproven"
    NO_FROM = "no_from"
    NO_MAILBOX_IN_FROM = "no_mailbox_in_from"  # faults
    SEVERAL_FROM_FIELDS = "several_from_fields"  # count
    SEVERAL_MAILBOXES_IN_FROM = "several_mailboxes_in_from"  # count
    GROUP_IN_FROM = "group_in_from"
    ANOTHER_ADDRESS_IN_FROM = "another_address_in_from"
    FROM_NOT_PLAIN = "from_not_plain"  # faults
    HEAD_TOO_LONG = "head_too_long"

    # The sender's authentication (R13)
    PASSES = "passes"  # method, domain
    NO_RESULTS = "no_results"
    RESULTS_NOT_OURS = "results_not_ours"
    RESULTS_DISAGREE = "results_disagree"  # method
    DMARC_FAILS = "dmarc_fails"
    DMARC_ALONE = "dmarc_alone"
    NOT_ALIGNED = "not_aligned"
    SIGNATURE_NOT_PLAIN = "signature_not_plain"
    FIELDS_REPEATED = "fields_repeated"  # fields

    # What the end rests on
    AUTOMATIC_FIELD = "automatic_field"  # field, value
    ATTACHMENTS_SIZE = "attachments_size"  # size, limit
    MESSAGE_SIZE = "message_size"  # size, limit
    ERROR = "error"  # error
    PROCESS_CRASHED = "process_crashed"

    # Recipients: found, made or waiting (R15 to R17)
    OWN_RECORD = "own_record"  # module
    OLDEST_RECORD = "oldest_record"  # module
    JUST_MADE = "just_made"  # module
    NEW_RECORD = "new_record"  # searched, module
    NOBODY_FOUND = "nobody_found"  # searched
    NEW_RECORDS_LIMIT = "new_records_limit"  # limit

    # Recipients: skipped (R14)
    COLLEAGUE = "colleague"
    DOMAIN_WITHOUT_DOT = "domain_without_dot"
    DOMAIN_WITHIN_NETWORK = "domain_within_network"  # top
    EXCHANGE_INTERNAL = "exchange_internal"
    UNDISCLOSED = "undisclosed"
    DROPBOX_ADDRESS = "dropbox_address"
    OWN_ADDRESS = "own_address"
    NEVER_LOG = "never_log"
    NEVER_LOG_DOMAIN = "never_log_domain"  # domain
    BEYOND_LIMIT = "beyond_limit"  # limit
    MORE_BEYOND_LIMIT = "more_beyond_limit"  # count, limit
    ENTRY_UNREADABLE = "entry_unreadable"  # faults

    # Forwards (R28)
    FORWARDED_MAIL = "forwarded_mail"  # sender, number, count
    FORWARDED_TEXT = "forwarded_text"  # sender
    FORWARD_QUOTED_REPLY = "forward_quoted_reply"
    FORWARD_NO_BLOCK = "forward_no_block"
    FORWARD_SENDER_UNREADABLE = "forward_sender_unreadable"
    FORWARD_BLOCK_IN_TEXT = "forward_block_in_text"
    FORWARD_NOT_MARKED = "forward_not_marked"
    FORWARD_UNLIKE_SUBJECT = "forward_unlike_subject"
    FORWARD_TEXTS_DIFFER = "forward_texts_differ"
    FORWARD_NAMES_ANOTHER = "forward_names_another"  # address
    FORWARD_OF_OUR_OWN = "forward_of_our_own"
    FORWARD_MAIL_AND_TEXT = "forward_mail_and_text"
    FORWARD_LEFT_OUT = "forward_left_out"  # count
    FORWARD_NOT_ATTACHED = "forward_not_attached"

    TEXT = "text"  # text: a sentence of an older version that no code says


@dataclass(frozen=True, slots=True)
class Detail:
    """One reason."""

    code: Code
    values: Mapping[str, Value] = field(default_factory=dict)


def detail(code: Code, **values: Value) -> Detail:
    """Return the reason with these values."""
    return Detail(code, values)
