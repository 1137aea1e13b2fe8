"""A Received field (RFC 5321 §4.4): by whom, with which protocol, for whom."""

import re
from dataclasses import dataclass

_ADDRESS = re.compile(r"[^\s,;<>()\"]+@[^\s,;<>()\"]+")
_CLAUSES = ("from", "by", "via", "with", "id", "for")


@dataclass(frozen=True, slots=True)
class Received:
    """The clauses that routing asks about, in lower case (``recipient`` as written)."""

    by: str
    protocol: str
    recipient: str

    @property
    def is_local_handover(self) -> bool:
        """LMTP (RFC 3848: LMTP, LMTPS, LMTPA, LMTPSA): from the mail server to its own mailbox store."""
        return self.protocol.startswith("lmtp")


def read_received(value: str) -> Received:
    """Read the clauses in the order the grammar gives them, comments dropped.

    Each clause name is looked for only where the grammar allows it: the word after ``from`` is what the sending client
    said its name was, and it may say ``by`` or ``for``.
    """
    words = _without_comments(value.partition(";")[0] if value.count(";") == 1 else value.rpartition(";")[0]).split()
    clauses: dict[str, str] = {}
    position, rank = 0, 0
    while position < len(words):
        word = words[position].lower()
        if word in _CLAUSES[rank:] and position + 1 < len(words):
            rank = _CLAUSES.index(word) + 1
            clauses[word] = words[position + 1]
            position += 2
        else:
            position += 1
    recipient = _ADDRESS.search(clauses.get("for", ""))
    return Received(
        by=clauses.get("by", "").lower().rstrip("."),
        protocol=clauses.get("with", "").lower(),
        recipient=recipient[0] if recipient else "",
    )


def _without_comments(value: str) -> str:
    kept: list[str] = []
    depth = 0
    for piece in re.split(r"(\\.|[()])", value):
        if piece == "(":
            depth += 1
        elif piece == ")":
            depth = max(0, depth - 1)
        elif depth == 0:
            kept.append(piece)
    return "".join(kept)
