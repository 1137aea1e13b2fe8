"""The letters themselves, in plain words, and the notices that are sent after each poll; an outage only delays them."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from email.utils import format_datetime, make_msgid
from typing import Self

from worker.domain.addresses import Address
from worker.domain.endpoints import Pause
from worker.domain.errors import Unavailable
from worker.domain.messages import LOOP_MARK
from worker.domain.outcomes import Outcome, Reason
from worker.domain.text import clean
from worker.domain.verdicts import Cause, Limit, Notice, Outbox
from worker.outgoing.post import Post, Undeliverable, wire_address

_NAME = "BCC Dropbox"
_MOST_SUBJECT = 120
_MOST_RECIPIENTS = 5
_MESSAGE_ID = re.compile(r"<(?!.*=\?)[!-;=?A-~]{1,400}@[!-;=?A-~]{1,400}>")
"""One that can be written down as it stands: no program takes it for an encoded word (RFC 2047)."""
_ASK = "Your CRM administrator can allow it; then send the mail again."


class _Verbatim(str):
    """A field's value that the library neither reads nor decodes, so that no stranger's text becomes a field.

    Given a plain string, it decodes encoded words within it, and writes line ends of theirs (CVE-2024-6923).
    """

    __slots__ = ("name",)
    name: str

    def __new__(cls, name: str, value: str) -> Self:
        """Keep the name beside the value: the library asks a value that has one to fold itself."""
        made = super().__new__(cls, value)
        made.name = name
        return made

    def fold(self, *, policy: EmailPolicy) -> str:
        """Write the line; what is not plain ASCII, or looks encoded, is encoded as a whole."""
        value = str(self)
        if not (value.isascii() and value.isprintable()) or "=?" in value:
            value = Header(value, "utf-8", header_name=self.name).encode(linesep=policy.linesep)
        return f"{self.name}: {value}{policy.linesep}"


_WORDS: dict[Cause, tuple[str, str]] = {
    Reason.REVOKED_TOKEN: (
        "it went to a dropbox address that was replaced by a new one",
        "Take the new address, which your CRM shows, and send the mail again.",
    ),
    Reason.USER_DISABLED: ("your dropbox is switched off", "Your CRM administrator can switch it on again."),
    Reason.PERMISSION_DENIED: ("your profile does not allow a dropbox", _ASK),
    Reason.MODULE_FORBIDDEN: ("your profile allows neither leads nor contacts that it could be filed on", _ASK),
    Reason.NO_RECIPIENTS: (
        "nobody in To and Cc is a customer (you, your colleagues and addresses that are never logged do not count)",
        "If a customer is missing there, send it again with them in To or Cc.",
    ),
    Reason.FORWARD_UNREADABLE: (
        "it does not say for certain which customer's mail you forward",
        "Forward the customer's mail again as an attachment; then it is filed as it is.",
    ),
    Reason.ATTACHMENTS_TOO_LARGE: (
        "its attachments are too large",
        "Send it again with smaller ones, or with a link to them.",
    ),
    Reason.MESSAGE_TOO_LARGE: ("it is too large", "Send it again without what makes it so large."),
    Outcome.QUARANTINED: (
        "the program failed on it; it is kept for a person to look at",
        "You need not do anything. Your CRM administrator knows where it is.",
    ),
    Limit.NEW_RECORDS: (
        "your mail has made as many records today as it may",
        "Its recipients wait for a record. Your CRM administrator can add them. Tell them of mail that is not yours.",
    ),
}
_SUBJECTS: dict[Cause, str] = {Limit.NEW_RECORDS: "Filed without new records"}
_ENDS: dict[Cause, str] = {Limit.NEW_RECORDS: "was filed in the CRM, but no new lead or contact was made"}
_SIZES = frozenset({Reason.ATTACHMENTS_TOO_LARGE, Reason.MESSAGE_TOO_LARGE})


def notice_letter(notice: Notice, sender: Address, now: datetime) -> EmailMessage:
    """Write the notice to an owner: which mail was not filed, why, and what to do.

    A second copy has the same Message-ID, by which mailboxes tell that it is one.
    """
    subject = clean(notice.subject, most=_MOST_SUBJECT)
    recipients = _some(notice.recipients)
    key = notice.key
    letter = _letter(notice.login, sender, now, "auto-replied")
    letter["Subject"] = _Verbatim(
        "Subject", f"{_SUBJECTS.get(key.cause, 'Not filed')}: {subject or f'your mail to {recipients}'}"
    )
    letter["Message-ID"] = f"<notice.{key.account_id}.{key.user_id}.{key.cause.value}.{key.day:%Y%m%d}@{sender.domain}>"
    if _MESSAGE_ID.fullmatch(notice.message_id):
        letter["In-Reply-To"] = _Verbatim("In-Reply-To", notice.message_id)
    why, what_to_do = _words(notice)
    facts = [
        ("Subject", subject),
        ("From", clean(notice.sender, most=320)),
        ("To", recipients),
        ("Arrived", f"{notice.arrived_at:%d %B %Y, %H:%M} UTC"),
        ("Message-ID", clean(notice.message_id)),
    ]
    told = "\n".join(f"{name + ':':<12}{text}" for name, text in facts if text)
    letter.set_content(
        f"This mail of yours {_ENDS.get(key.cause, 'was not filed in the CRM')}:\n\n{told}\n\nWhy: {why}.\n\n"
        f"{what_to_do}\n\n"
        "Of other mails that end for the same reason today you are not told.\n",
        cte="quoted-printable",
    )
    return letter


def code_letter(address: Address, login: str, code: str, sender: Address, now: datetime) -> EmailMessage:
    """Write the letter with the code that proves that the user reads this address's mail."""
    letter = _letter(address, sender, now, "auto-generated")
    letter["Subject"] = "Your code for the BCC dropbox"
    letter["Message-ID"] = make_msgid(domain=sender.domain)
    letter.set_content(
        f"{address} was registered as an address that {login} sends from.\n\nThe code is:  {code}\n\n"
        "Give it to your CRM administrator within an hour, who types:\n\n"
        f"    bcc-dropbox sender verify {login} {code}\n\n"
        "If you know nothing of this, do nothing: without the code the address does not count.\n",
        cte="quoted-printable",
    )
    return letter


def pause_letter(to: Address, pause: Pause, sender: Address, now: datetime) -> EmailMessage:
    """Tell that an account's webhook is paused, why, and how to go on."""
    letter = _letter(to, sender, now, "auto-generated")
    account = clean(pause.account, most=_MOST_SUBJECT)
    letter["Subject"] = _Verbatim("Subject", f"Webhook paused: {account}")
    letter["Message-ID"] = make_msgid(domain=sender.domain)
    letter.set_content(
        f"The CRM of account {account} gets no events any more:\n\nWebhook:    {pause.host}\n"
        f"Why:        {clean(pause.because, most=300)}\nWaiting:    {pause.waiting} events\n\n"
        "No event is lost. When the receiver works again:\n\n"
        "    bcc-dropbox webhook test\n    bcc-dropbox webhook enable\n",
        cte="quoted-printable",
    )
    return letter


def _letter(to: Address, sender: Address, now: datetime, auto_submitted: str) -> EmailMessage:
    letter = EmailMessage(policy=SMTP)
    letter["From"] = f"{_NAME} <{wire_address(sender)}>"
    letter["To"] = wire_address(to)
    letter["Date"] = format_datetime(now)
    letter["Auto-Submitted"] = auto_submitted  # RFC 3834 §5
    letter["X-Auto-Response-Suppress"] = "All"  # what Exchange looks at instead
    letter[LOOP_MARK] = "yes"  # R23
    return letter


def _words(notice: Notice) -> tuple[str, str]:
    cause = notice.key.cause
    why, what_to_do = _WORDS.get(cause, (f"a rule said no ({cause.value})", "Your CRM administrator can see why."))
    if cause in _SIZES and notice.note and "size" in notice.note.values:
        return f"{why} ({notice.note.values['size']} bytes, the limit is {notice.note.values['limit']})", what_to_do
    return why, what_to_do


def _some(recipients: tuple[str, ...]) -> str:
    shown = ", ".join(clean(recipient, most=320) for recipient in recipients[:_MOST_RECIPIENTS])
    more = len(recipients) - _MOST_RECIPIENTS
    return f"{shown} and {more} more" if more > 0 else shown


_ROUND_SECONDS = 20.0
"""A mail server that is slow keeps nobody's mail waiting: the rest is sent after the next poll."""


@dataclass(frozen=True, slots=True)
class Round:
    """The result of one round: notices sent, notices that the mail server refused (with its text), and the outage."""

    sent: tuple[Notice, ...] = ()
    refused: tuple[tuple[Notice, str], ...] = ()
    outage: Unavailable | None = None


class Notifier:
    """The step after the poll. Not for two threads at once; any number of processes may share an outbox."""

    def __init__(self, outbox: Outbox, post: Post) -> None:
        self._outbox = outbox
        self._post = post
        self._unsettled: list[tuple[Notice, str | None]] = []

    def send_waiting(self, stop: Callable[[], bool] = lambda: False) -> Round:
        """Send until no notice waits, time is up, ``stop()`` is true, or an outage ends it.

        Never raises `Unavailable`: the result holds it.
        """
        ends: list[tuple[Notice, str | None]] = []
        outage: Unavailable | None = None
        began = time.monotonic()
        try:
            while time.monotonic() < began + _ROUND_SECONDS and not stop():
                self._settle()
                notice = self._outbox.take(datetime.now(UTC))
                if notice is None:
                    break
                end = notice, self._send(notice)
                ends.append(end)
                self._unsettled.append(end)
            self._settle()
        except Unavailable as error:
            outage = error
        return Round(
            tuple(notice for notice, refusal in ends if refusal is None),
            tuple((notice, refusal) for notice, refusal in ends if refusal is not None),
            outage,
        )

    def _send(self, notice: Notice) -> str | None:
        """Send one notice; return None when it was sent, else why it never will be."""
        try:
            letter = notice_letter(notice, self._post.sender, datetime.now(UTC))
        except Exception as error:  # noqa: BLE001 - a notice that cannot be written must not hold up the others
            return f"the letter cannot be written ({type(error).__name__})"
        try:
            self._post.deliver(letter, notice.login, bounces=False)
        except Undeliverable as error:
            return str(error)
        except Unavailable:
            self._outbox.put_back(notice)
            raise
        return None

    def _settle(self) -> None:
        """Record what was sent. A record that the database did not take is written again before anything else."""
        while self._unsettled:
            notice, refusal = self._unsettled[0]
            self._outbox.settle(notice, datetime.now(UTC), refusal)
            del self._unsettled[0]
