"""Who sent the message: one From mailbox, registered by the owner (R12), and automatic mail (R23)."""

import re
from dataclasses import dataclass

from worker.domain.addresses import Address
from worker.domain.comments import without_comments
from worker.domain.mailboxes import MailboxList, read_mailboxes
from worker.domain.messages import LOOP_MARK, Head
from worker.domain.outcomes import Reason

UNPROVEN = "registered, not proven yet"
"""What the trace says of a sender that is registered and does not count; the advice on such mail reads it."""

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_PART_OF_WORD = r"[^\s<>()\[\],;:\"]"
_KEYWORD_END = re.compile(r"[;\s]")


@dataclass(frozen=True, slots=True)
class Sender:
    """The From mailbox, or the reason why there is none to decide by, in words."""

    address: Address | None
    reason: Reason | None
    why: str


def sender_of(head: Head) -> Sender:
    """R12: exactly one From field with exactly one mailbox, written so that every program reads it the same way."""
    fields = head.all("from")
    found = read_mailboxes(fields[0]) if fields else MailboxList(())
    if why := _ambiguity(head, len(fields), found):
        return Sender(None, Reason.SENDER_AMBIGUOUS, why)
    if not found.addresses:
        why = "; ".join(["no mailbox in From" if fields else "no From field", *_named(found)])
        return Sender(None, Reason.SENDER_MISSING, why)
    return Sender(found.addresses[0], None, "one From mailbox")


def _ambiguity(head: Head, fields: int, found: MailboxList) -> str | None:
    """What could be read in more than one way, or might go on where reading stopped."""
    if not head.is_complete:
        return "the header block is too long to be read whole"
    if fields > 1:
        return f"{fields} From fields"
    if len(found.addresses) > 1:
        return f"{len(found.addresses)} mailboxes in From"
    if found.addresses and found.has_group:
        return "a group in From"
    if found.addresses and _names_another(head.first("from"), found.addresses[0]):
        return "another address beside the one in From"
    return "; ".join(_named(found)) if found.addresses else None


def _names_another(value: str, address: Address) -> bool:
    """Tell whether a From has another address in a comment or in brackets: some programs read that one.

    A display name within quotes may say what it likes.
    """
    if value.count("@") == 1:  # nearly always
        return False
    itself = re.compile(rf"(?<!{_PART_OF_WORD}){re.escape(address.text)}(?!{_PART_OF_WORD})", re.IGNORECASE)
    return "@" in _QUOTED.sub(" ", itself.sub(" ", value))


def _named(found: MailboxList) -> list[str]:
    return [fault.what for fault in found.faults[:3]]


def automatic_sign(head: Head) -> str | None:
    """What shows that no person wrote this (R23, RFC 3834 §5, RFC 3464), or None."""
    if head.all(LOOP_MARK.lower()):
        return "this worker's own loop mark"
    for value in head.all("auto-submitted"):
        keyword = _KEYWORD_END.split(without_comments(value[:998]).strip(), maxsplit=1)[0].lower()
        if keyword not in {"no", ""}:
            return f"Auto-Submitted: {keyword[:40]}"
    if "".join(head.first("return-path").split()) == "<>":
        return "empty Return-Path"
    content_type = head.first("content-type").lower()
    if content_type.lstrip().startswith("multipart/report") and "delivery-status" in content_type:
        return "delivery report"
    return None
