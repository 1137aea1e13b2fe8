"""What the program may never show: each output that a test sees of it is searched for secrets and whole tokens (R1).

The harnesses hand over what commands wrote (`judge`); what tests of this very process wrote is judged as they end.
"""

import re
from collections.abc import Iterable

from worker.domain.text import ALPHABET, LENGTH

DOVECOTS_PASSWORD = "dovecots-password-7Kq2"
CLIENT_SECRET = "client~secret+with/odd=marks&more%20"
REFRESH_TOKEN = "first-refresh-token"
SECRETS = {DOVECOTS_PASSWORD, CLIENT_SECRET, REFRESH_TOKEN, "hunter22", "hunter2-hunter2"}

_GIVEN = re.compile(r"\b(?:access-token|refresh-token)-\d+\b")
_TAG = re.compile(rf"\+([{ALPHABET}]{{{LENGTH}}})(?![{ALPHABET}])", re.IGNORECASE)
_SHOWING = [{"user", "add"}, {"dropbox"}, {"email", "export"}, {"demo"}]
"""Commands that show an address because that is what they are for, or octets as they came."""
_shown: set[str] = set()
"""Tokens that those commands showed: from then on looked for without their address, too."""


class Shown(AssertionError):
    """An output holds what it may not."""


def judge(arguments: Iterable[object], text: str) -> None:
    """Search what a command wrote.

    Raises:
        Shown: it holds a secret, or a whole token without being one of the commands that are there to show it.
    """
    command = [str(argument) for argument in arguments]
    if _secrets_in(text):
        raise Shown(f"{command} shows a secret:\n{text}")
    tokens = {token.lower() for token in _TAG.findall(text)}
    if any(words <= set(command) for words in _SHOWING):
        _shown.update(tokens)
    elif tokens or (tokens := {token for token in _shown if token in text.lower()}):
        raise Shown(f"{command} shows a whole token, {tokens}:\n{text}")


def secrets_in(sections: Iterable[tuple[str, str]]) -> str | None:
    """Name the first section of a test's output that holds a secret; what a test itself prints may hold tokens.

    pytest's own record of what libraries logged is no output of ours: that went another way, through `worker.logs`.
    """
    return next((name for name, text in sections if "log" not in name.split() and _secrets_in(text)), None)


def _secrets_in(text: str) -> bool:
    return bool(_GIVEN.search(text)) or any(secret in text for secret in SECRETS)
