"""Sentences for each code of a trace, advice when a mail is missing, and the command that helps when a rule says no."""

import shlex
from typing import TYPE_CHECKING, Final

from worker.domain.address_lists import Syntax
from worker.domain.errors import DropboxError, Refused
from worker.domain.outcomes import Code, Detail, Outcome, Reason, Value
from worker.domain.verdicts import Trace

if TYPE_CHECKING:
    from worker.crm.decisions import OwnersVerdict

_SENTENCES = {
    Code.RECIPIENT_IS_NO_DROPBOX: "the mail server recorded an envelope recipient, and it is no dropbox address",
    Code.RECIPIENT_NOT_RECORDED: "no field that records the envelope recipient stands where it can be believed",
    Code.REGISTERED: "registered",
    Code.NOT_REGISTERED: "not registered",
    Code.UNPROVEN: "registered, not proven yet",
    Code.NO_FROM: "no From field",
    Code.NO_MAILBOX_IN_FROM: "no mailbox in From",
    Code.SEVERAL_FROM_FIELDS: "{count} From fields",
    Code.SEVERAL_MAILBOXES_IN_FROM: "{count} mailboxes in From",
    Code.GROUP_IN_FROM: "a group in From",
    Code.ANOTHER_ADDRESS_IN_FROM: "another address in a comment or in brackets in From",
    Code.FROM_NOT_PLAIN: "From is not written plainly",
    Code.HEAD_TOO_LONG: "the header block is too long to be read whole",
    Code.PASSES: "{method} passes for {domain}",
    Code.NO_RESULTS: "no Authentication-Results field that can be read stands where our server writes it",
    Code.RESULTS_NOT_OURS: "the Authentication-Results field is not from our server",
    Code.RESULTS_DISAGREE: "our server's Authentication-Results fields disagree about {method}",
    Code.DMARC_FAILS: "DMARC fails",
    Code.DMARC_ALONE: "DMARC passes, but no DKIM or SPF pass in alignment with From stands beside it",
    Code.NOT_ALIGNED: "neither DMARC, DKIM nor SPF passes in alignment with From",
    Code.SIGNATURE_NOT_PLAIN: "a DKIM-Signature is written so that it could forge results",
    Code.FIELDS_REPEATED: "these fields stand more than once: {fields}",
    Code.AUTOMATIC_FIELD: "{field}: {value}",
    Code.ATTACHMENTS_SIZE: "attachments of {size} bytes, the limit is {limit}",
    Code.MESSAGE_SIZE: "message of {size} bytes, the limit is {limit}",
    Code.ERROR: "{error}",
    Code.PROCESS_CRASHED: "the process crashed each time it worked on this message",
    Code.OWN_RECORD: "the owner's own {module} with this address",
    Code.OLDEST_RECORD: "the oldest {module} with this address",
    Code.JUST_MADE: "{module} made by an earlier message of the same poll",
    Code.NEW_RECORD: "nobody among {searched}: new {module}",
    Code.NOBODY_FOUND: "nobody among {searched}, and the pattern or permissions make none",
    Code.NEW_RECORDS_LIMIT: "nobody found; the owner's mail has made {limit} records today and may make no more",
    Code.COLLEAGUE: "a colleague: never made a record, and none exists",
    Code.DOMAIN_WITHOUT_DOT: "a domain without a dot: never made a record, and none exists",
    Code.DOMAIN_WITHIN_NETWORK: "an address within a network (.{top}): never made a record, and none exists",
    Code.EXCHANGE_INTERNAL: "an Exchange-internal address: never made a record, and none exists",
    Code.UNDISCLOSED: "undisclosed recipients: never made a record, and none exists",
    Code.DROPBOX_ADDRESS: "a dropbox address",
    Code.OWN_ADDRESS: "the owner's own address",
    Code.NEVER_LOG: "on the never-log list",
    Code.NEVER_LOG_DOMAIN: "{domain} is on the never-log list",
    Code.BEYOND_LIMIT: "beyond the first {limit} recipients",
    Code.MORE_BEYOND_LIMIT: "{count} more beyond the first {limit} recipients",
    Code.ENTRY_UNREADABLE: "cannot be read whole",
    Code.FORWARDED_MAIL: "attached mail {number} of {count}, from {sender} as its owner claims",
    Code.FORWARDED_TEXT: "in the text, from {sender} as its owner claims",
    Code.FORWARD_QUOTED_REPLY: "it quotes another mail, and is no forward of it",
    Code.FORWARD_NO_BLOCK: "it says that it is a forward, but no fields as mail programs write them follow",
    Code.FORWARD_SENDER_UNREADABLE: "From in the forwarded mail does not name one address",
    Code.FORWARD_BLOCK_IN_TEXT: "the fields of the other mail stand in the middle of a text",
    Code.FORWARD_NOT_MARKED: "its subject does not say that it is a forward, and a reply looks the same",
    Code.FORWARD_UNLIKE_SUBJECT: "it holds several mails, and the first has another subject",
    Code.FORWARD_TEXTS_DIFFER: "its plain text and its HTML name different people",
    Code.FORWARD_NAMES_ANOTHER: "the text above the forwarded mail names {address}, which may be its real sender",
    Code.FORWARD_OF_OUR_OWN: "the forwarded mail is from the user or a colleague, and names no customer in To or Cc",
    Code.FORWARD_MAIL_AND_TEXT: "its text forwards one mail, and mails of other people are attached",
    Code.FORWARD_LEFT_OUT: "{count} attached mails are too many, or cannot be taken out byte for byte",
    Code.FORWARD_NOT_ATTACHED: "only attached mails are filed (FORWARDS=attached)",
    Code.TEXT: "{text}",
}

_FAULTS = {
    Syntax.ADDRESS_OUTSIDE: "address outside of the angle brackets",
    Syntax.BRACKET_EMPTY: "empty angle brackets",
    Syntax.BRACKET_NESTED: "angle bracket within angle brackets",
    Syntax.BRACKET_OPEN: "angle bracket left open",
    Syntax.COMMENT_WITHIN: "comment within an address",
    Syntax.CONTROL: "control character",
    Syntax.GROUP_OPEN: "group left open",
    Syntax.NAME_ALONE: "a name without an address",
    Syntax.NOT_AN_ADDRESS: "not an e-mail address: {!r}",
    Syntax.SOURCE_ROUTE: "source route",
    Syntax.SPACE_WITHIN: "space within an address",
    Syntax.STRAY: "stray {}",
    Syntax.TEXT_AFTER: "text after the address",
    Syntax.TOO_LONG: "too long to be read whole",
    Syntax.TOO_MANY: "more than {} addresses",
}


def _fault_text(stored: str) -> str:
    """Say a fault of an address list. Versions before the codes stored the sentence itself."""
    code, _, value = stored.partition(":")
    return _FAULTS[Syntax(code)].format(value) if code in _FAULTS else stored


def sentence(reason: Detail) -> str:
    """Say a reason; what was wrong with an address list is named behind it."""
    values = {name: _shown(name, value) for name, value in reason.values.items()}
    said = _SENTENCES[reason.code].format_map(_Missing(values))
    return f"{said}: {values['faults']}" if "faults" in values else said


class _Missing(dict[str, str]):
    """Values by name. One that an older or newer version did not store is shown as a question mark."""

    def __missing__(self, name: str) -> str:
        return "?"


def _shown(name: str, value: Value) -> str:
    if not isinstance(value, tuple):
        return str(value)
    match name:
        case "searched":
            return " or ".join(f"{module}s" for module in value) or "no module"
        case "fields":
            return ", ".join(field.title() for field in value)
        case "faults":
            return "; ".join(map(_fault_text, value))
        case _:
            return "; ".join(value)


_AGAIN = "Then `bcc-dropbox replay {uid}` decides it again, `--rejected {reason}` all such mail."
_THIS_AGAIN = "Then `bcc-dropbox replay {uid}` decides it again."
"""Where others of that reason are strangers' mail."""

_ADVICE = {
    Reason.NO_TOKEN: "No field that can be trusted names an envelope recipient. `bcc-dropbox check --probe` tells"
    " whether the mail server loses it, and which TOKEN_HEADERS and RECEIVED_BY to set.",
    Reason.UNKNOWN_TOKEN: "The address was never given out: mistyped or guessed."
    " `bcc-dropbox dropbox show USER` shows the right one.",
    Reason.REVOKED_TOKEN: "The address was replaced by a new one: `bcc-dropbox dropbox show {owner}{at}` shows it.",
    Reason.USER_DISABLED: "The user is disabled: `bcc-dropbox user enable {owner}{at}` lets mail in again. " + _AGAIN,
    Reason.PERMISSION_DENIED: "The user's profile lacks bcc_dropbox:"
    " `bcc-dropbox profile grant PROFILE bcc_dropbox --as ADMIN{at}` allows it. " + _AGAIN,
    Reason.MODULE_FORBIDDEN: "The user's profile forbids every module of the search pattern:"
    " `bcc-dropbox profile grant PROFILE leads --as ADMIN{at}` (or contacts) allows it. " + _AGAIN,
    Reason.SENDER_MISSING: "The mail names no sender that can be read. It has to be sent again, with one From address.",
    Reason.SENDER_AMBIGUOUS: "From can be read in more than one way, so it proves nobody."
    " The mail has to be sent again, with one plain From address.",
    Reason.SENDER_NOT_REGISTERED: "If this address is really the user's own,"
    " `bcc-dropbox sender add {owner} {sender}{at}` registers it. " + _THIS_AGAIN,
    Reason.SENDER_UNAUTHENTICATED: "The mail server did not vouch for the sender. The mail has to go out through the"
    " sender's own mail service (SPF, DKIM); `bcc-dropbox check` tells whether the server stamps its findings at all.",
    Reason.FIELDS_REPEATED: "A mail has each of these fields once. With a second one on top, anybody can show another"
    " subject or other recipients on a mail that was signed by the user. If the user's own program writes them twice,"
    " the mail has to be sent with another program.",
    Reason.AUTOMATIC: "Nothing to do: replies, reports and notices of machines are no correspondence.",
    Reason.NO_RECIPIENTS: "Nobody in To and Cc is a customer: own addresses, colleagues and the never-log list do not"
    " count. `bcc-dropbox never-log list{at}` shows the list.",
    Reason.FORWARD_UNREADABLE: "Forward the customer's mail again as an attachment (in most mail programs: Forward as"
    " attachment). Then it is filed as it is. To log a mail of one's own, put the dropbox into Bcc and the customer"
    " into To.",
    Reason.ATTACHMENTS_TOO_LARGE: "The attachments are over the limit: send it again with smaller ones, or raise"
    " MAX_ATTACHMENT_BYTES. " + _AGAIN,
    Reason.MESSAGE_TOO_LARGE: "The message is over the limit: send it again without what makes it large, or raise"
    " MAX_ATTACHMENT_BYTES. " + _AGAIN,
}

_FOR_NO_DROPBOX = (
    "Nothing, if it was for no dropbox: it was delivered to another address of this mailbox. If somebody did put a"
    " dropbox into Bcc, `bcc-dropbox check --probe` tells whether the mail server loses it."
)
_DMARC_ALONE = (
    "The mail server says that DMARC passes, and not by what. It has to write its DKIM or SPF result as well. Where"
    " these stand in fields of their own, set BCC_DROPBOX_RECEIVED_BY, so that all fields of the server count."
)
_UNQUOTED = (
    "The name in From has a comma and no quotes, so it reads as two senders. The mail program has to write"
    ' "Smith, Ann" <ann@acme.example>, with the quotes; without the comma the name needs none.'
)
_UNPROVEN = (
    "The address is registered, and does not count before it is proven: `bcc-dropbox sender verify {owner} CODE{at}`"
    " with the code that was mailed to it, or `bcc-dropbox sender add {owner} {sender} --trusted{at}` where it is"
    " certainly the user's own. " + _THIS_AGAIN
)
_QUARANTINED = (
    "The program failed on this message three times; it lies untouched in the folder Quarantine. Please report the"
    " error. `bcc-dropbox replay {uid}` has it tried again, `--quarantined` all such mail."
)


def advice_on(uid: int, verdict: "OwnersVerdict") -> str | None:
    """Return the advice, or None where all is well. Names are quoted: people paste commands into shells."""
    words = _words(verdict)
    return words and words.format(
        uid=uid,
        reason=verdict.reason,
        owner=shlex.quote(verdict.owner or "USER"),
        sender=shlex.quote(verdict.trace.sender or "ADDRESS"),
        at=in_account(verdict.account),
    )


def advice_on_waiting(address: str, account: str | None) -> str:
    """Return the advice on a recipient that waits for a record (R15)."""
    return f"`bcc-dropbox contact add {shlex.quote(address)}{in_account(account)}` (or lead add) attaches it."


def in_account(account: str | None) -> str:
    """Return the option that names the account in a command, where there are several."""
    return f" --account {shlex.quote(account)}" if account else ""


def _words(verdict: "OwnersVerdict") -> str | None:
    match verdict.outcome, verdict.reason, verdict.trace:
        case Outcome.QUARANTINED, _, _:
            return _QUARANTINED
        case _, Reason.NO_TOKEN, Trace(note=Detail(code=Code.RECIPIENT_IS_NO_DROPBOX)):
            return _FOR_NO_DROPBOX
        case _, Reason.SENDER_NOT_REGISTERED, Trace(sender_check=Detail(code=Code.UNPROVEN)):
            return _UNPROVEN
        case _, Reason.SENDER_UNAUTHENTICATED, Trace(authentication=Detail(code=Code.DMARC_ALONE)):
            return _DMARC_ALONE
        case _, Reason.SENDER_AMBIGUOUS, Trace(sender_check=Detail(values={"faults": tuple(faults)})) if _fault_text(
            Syntax.NAME_ALONE
        ) in map(_fault_text, faults):
            return _UNQUOTED
        case _:
            return _ADVICE[verdict.reason] if verdict.reason else None


_HINTS: Final = {
    "account_unnamed": "name one with --account",
    "address_of_user": "`user remove {login} --into USER` or `--erase` removes the user",
    "code_not_sent": "`sender add {login} {address}` sends one",
    "code_void": "`sender add {login} {address}` sends a new one",
    "email_unknown": "`email list` shows what there is",
    "last_sender": "`sender add {login} ADDRESS` another one first",
    "lead_into_contact": "`lead convert {id} --into {into}` does it",
    "never_log_entry_unknown": "`never-log list` shows what is",
    "no_code_awaited": "`sender add {login} ADDRESS` sends one",
    "no_dropbox": "`profile grant PROFILE bcc_dropbox --as ADMIN` gives it",
    "no_users": "`user add LOGIN` makes one",
    "senders_full": "`sender remove {login} ADDRESS` makes room",
    "nothing_waits": "`unmatched list` shows what does",
    "address_unknown": "`{module} show {id}` shows its addresses",
    "address_is_email": "--email ADDRESS changes it",
    "record_ambiguous": "name it by its ID",
    "record_of_other_module": "`{module} show {id}` shows it",
    "record_unknown": "`{module} list` shows what there is",
    "event_unknown": "`event list` shows what there is",
    "webhook_exists": "`webhook add URL --rotate` changes it, `webhook remove` removes it",
    "webhook_missing": "`webhook add URL` makes one",
    "user_exists": "`dropbox show {login}` shows it",
}


def with_hint(error: DropboxError) -> str:
    """Return the error's text, and the command that helps if there is one."""
    hint = _HINTS.get(error.code) if isinstance(error, Refused) else None
    return f"{error}: {hint.format(**error.values)}" if hint and isinstance(error, Refused) else str(error)
