"""A dropbox as the commands show it; the fields of the JSON are a promise."""

from typing import TYPE_CHECKING, Any

from worker.cli.output import print_fields, print_json
from worker.domain.tokens import DropboxAddress

if TYPE_CHECKING:
    from worker.crm.dropboxes import Dropbox

UNPROVEN = "(not proven: does not count)"
"""How a registered address is shown to people that waits for its code, or for authenticated mail."""


def show_dropbox(dropbox: "Dropbox", base: DropboxAddress, *, as_json: bool) -> None:
    """Print it."""
    fields = dropbox_fields(dropbox, base)
    if as_json:
        print_json(fields)
    else:
        senders = [_sender_text(sender, dropbox) for sender in dropbox.senders]
        shown = {**fields, "senders": senders, "profile": dropbox.user.profile, "enabled": dropbox.user.enabled}
        print_fields(shown.items())


def dropbox_fields(dropbox: "Dropbox", base: DropboxAddress) -> dict[str, Any]:
    """Return the documented JSON fields; without the permission the address is empty (R9)."""
    return {
        "user": dropbox.user.login,
        "address": base.with_token(dropbox.token) if dropbox.token else None,
        "pattern": dropbox.user.pattern.value,
        "senders": list(dropbox.senders),
        "permission": dropbox.user.may_have_dropbox,
    }


def _sender_text(sender: str, dropbox: "Dropbox") -> str:
    return f"{sender} {UNPROVEN}" if sender in dropbox.unproven_senders else sender
