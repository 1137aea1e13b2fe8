"""A Received field (RFC 5321 §4.4): by whom, with which protocol, for whom.

The word behind ``from`` is what the sending client said its name was, and some servers write down whatever it said:
``by`` and ``for`` and brackets too. So each clause is read in the way that such a name can only make worse for its
author: our own host is recognised wherever it stands, the other two only where the server itself writes them.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from worker.domain.comments import is_balanced, without_comments

_MOST_KEPT = 1000
"""Characters; what servers write has a few hundred."""
_SEPARATORS = "()[];"
"""Besides white space."""


@dataclass(frozen=True, slots=True)
class Received:
    """The clauses that routing asks about, in lower case (``recipient`` as written)."""

    hosts: frozenset[str]
    """Each word behind a ``by``."""
    protocols: frozenset[str]
    """Each word behind a ``with``, within comments too; without the cipher of TLS."""
    recipient: str
    is_balanced: bool = True
    """Each comment that is opened is closed. Else a client's name may hide what the server wrote behind it."""

    @property
    def is_local_handover(self) -> bool:
        """LMTP (RFC 3848: also LMTPS, LMTPA, LMTPSA) and nothing else: from the server to its own mailbox store."""
        is_lmtp = bool(self.protocols) and all(protocol.startswith("lmtp") for protocol in self.protocols)
        return is_lmtp and self.is_balanced


def read_received(value: str) -> Received:
    """Read the clauses; the date behind the last semicolon is no part of them."""
    return _read_again(value) if len(value) <= _MOST_KEPT else _read(value)


def _read(value: str) -> Received:
    clauses = value.rpartition(";")[0] or value
    words = without_comments(clauses).split()
    names = [word.lower() for word in words]
    separated = _separated(clauses.lower())
    return Received(
        hosts=frozenset(host.rstrip(".") for host in _behind("by", separated)),
        protocols=frozenset(_behind("with", separated)) - {"cipher"},
        recipient=_recipient(words, names),
        is_balanced=is_balanced(value),
    )


_read_again = lru_cache(maxsize=2048)(_read)
"""Each field is asked for several times: for its token, for our own host, with the heads of a batch and its bodies."""


def _separated(text: str) -> list[str]:
    for separator in _SEPARATORS:
        text = text.replace(separator, " ")
    return text.split()


def _behind(name: str, words: list[str]) -> list[str]:
    return [after for word, after in pairwise(words) if word == name]


def _recipient(words: list[str], names: list[str]) -> str:
    """Return the word behind ``for``, which the server writes once, behind its own (the last) ``by``.

    ``names`` are the words in lower case.
    """
    if "by" not in names:
        return ""
    last_by = len(names) - names[::-1].index("by")
    behind = zip(names[last_by:], words[last_by + 1 :], strict=False)
    found = {recipient for name, word in behind if name == "for" and "@" in (recipient := word.strip("<>"))}
    return found.pop() if len(found) == 1 else ""
