"""The sentence for each code of a trace: what `explain` says to people."""

from worker.domain.outcomes import Code, Detail, Value

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
    Code.FORWARD_OF_OUR_OWN: "the forwarded mail is from the user or a colleague, and names no customer in To or Cc",
    Code.FORWARD_MAIL_AND_TEXT: "its text forwards one mail, and mails of other people are attached",
    Code.FORWARD_LEFT_OUT: "{count} attached mails are too many, or cannot be taken out byte for byte",
    Code.FORWARD_NOT_ATTACHED: "only attached mails are filed (FORWARDS=attached)",
    Code.TEXT: "{text}",
}


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
        case _:
            return "; ".join(value)
