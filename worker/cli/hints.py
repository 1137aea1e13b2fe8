"""The commands that help when a rule says no: `Refused` carries a code, and here it gets its advice."""

from typing import Final

from worker.domain.errors import DropboxError, Refused

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
