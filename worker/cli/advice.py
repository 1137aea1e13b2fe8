"""What to do about a mail that is not there: for each reason the command or the change that mends it."""

import shlex

from worker.domain.outcomes import Outcome, Reason

_AGAIN = "Then `bcc-dropbox replay --rejected {reason}` has such mail decided anew."

_ADVICE = {
    Reason.NO_TOKEN: "No field that can be trusted names a dropbox address. `bcc-dropbox check` tells whether the mail"
    " server keeps the envelope recipient, and which TOKEN_HEADERS and RECEIVED_BY to set.",
    Reason.UNKNOWN_TOKEN: "The address was never given out: mistyped or guessed."
    " `bcc-dropbox dropbox show USER` shows the right one.",
    Reason.REVOKED_TOKEN: "The address was replaced by a new one: `bcc-dropbox dropbox show {owner}` shows it.",
    Reason.USER_DISABLED: "The user is disabled: `bcc-dropbox user enable {owner}` lets mail in again. " + _AGAIN,
    Reason.PERMISSION_DENIED: "The user's profile lacks bcc_dropbox:"
    " `bcc-dropbox profile grant PROFILE bcc_dropbox --as ADMIN` allows it. " + _AGAIN,
    Reason.MODULE_FORBIDDEN: "The user's profile forbids every module of the search pattern:"
    " `bcc-dropbox profile grant PROFILE leads --as ADMIN` (or contacts) allows it. " + _AGAIN,
    Reason.SENDER_MISSING: "The mail names no sender that can be read. It has to be sent again, with one From address.",
    Reason.SENDER_AMBIGUOUS: "From can be read in more than one way, so it proves nobody."
    " The mail has to be sent again, with one plain From address.",
    Reason.SENDER_NOT_REGISTERED: "If this address is really the user's own,"
    " `bcc-dropbox sender add {owner} {sender}` registers it. " + _AGAIN,
    Reason.SENDER_UNAUTHENTICATED: "The mail server did not vouch for the sender. The mail has to go out through the"
    " sender's own mail service (SPF, DKIM); `bcc-dropbox check` tells whether the server stamps its findings at all.",
    Reason.AUTOMATIC: "Nothing to do: replies, reports and notices of machines are no correspondence.",
    Reason.NO_RECIPIENTS: "Nobody in To and Cc is a customer: own addresses, colleagues and the never-log list do not"
    " count. `bcc-dropbox never-log list` shows the list.",
    Reason.ATTACHMENTS_TOO_LARGE: "The attachments are over the limit: send it again with smaller ones, or raise"
    " MAX_ATTACHMENT_BYTES. " + _AGAIN,
    Reason.MESSAGE_TOO_LARGE: "The message is over the limit: send it again without what makes it large, or raise"
    " MAX_ATTACHMENT_BYTES. " + _AGAIN,
}

_QUARANTINED = (
    "The program failed on this message three times; it lies untouched in the folder Quarantine. Please report the"
    " error. `bcc-dropbox replay --quarantined` has such mail tried again."
)


def advice_on(outcome: Outcome, reason: Reason | None, owner: str | None, sender: str | None) -> str | None:
    """What to do, or None where all is well. Names from the mail are quoted: people paste commands into shells."""
    if outcome is Outcome.QUARANTINED:
        return _QUARANTINED
    if reason is None:
        return None
    return _ADVICE[reason].format(
        reason=reason.value, owner=shlex.quote(owner or "USER"), sender=shlex.quote(sender or "ADDRESS")
    )


def advice_on_waiting(address: str) -> str:
    """What to do about a recipient that waits for a record (R15)."""
    return f"`bcc-dropbox contact add {shlex.quote(address)}` (or lead add) attaches it."
