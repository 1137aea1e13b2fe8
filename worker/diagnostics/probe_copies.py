"""Read the copies of a probe: which fields hold the tokens, whom the worker would believe, which settings fit."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from worker.diagnostics.probe_letter import FORGED_DOMAIN, Probe
from worker.domain.authentication import AuthenticationResults
from worker.domain.messages import Head
from worker.domain.outcomes import Folder
from worker.domain.routing import DEFAULT_TOKEN_HEADERS, read_received, route
from worker.mime.authentication import read_results

_STAMP = "authentication-results"
_VOUCHING = re.compile(
    r"=\s*pass\b[^;]*?\b(?:header\.(?:d|from|i)|smtp\.(?:mailfrom|helo))\s*=\s*"
    rf"\"?(?:[^\s;\"@]*@)?{re.escape(FORGED_DOMAIN)}(?![\w.(/\"@-])",
    re.IGNORECASE,
)
"""A result that says pass for the domain of the forged senders, also where the worker would not believe it."""
_SPELLINGS = {name.lower(): name for name in DEFAULT_TOKEN_HEADERS}


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy that came back, and its folder (None: the queue)."""

    head: Head
    folder: Folder | None = None

    @property
    def vouches_for_forgery(self) -> bool:
        """Tell whether a mail server says that the mail really comes from the forged domain."""
        return any(_VOUCHING.search(value) for value in self.head.all(_STAMP))


@dataclass(frozen=True, slots=True)
class Trust:
    """The two settings that decide which fields the worker believes."""

    received_by: str | None
    token_headers: tuple[str, ...]

    @property
    def settings(self) -> tuple[str, ...]:
        """Return them as lines of the env file."""
        host = (f"BCC_DROPBOX_RECEIVED_BY={self.received_by}",) if self.received_by else ()
        return (*host, f"BCC_DROPBOX_TOKEN_HEADERS={','.join(self.token_headers)}")


@dataclass(frozen=True, slots=True)
class Routed:
    """The owners for whom the worker would file the copies."""

    missed: tuple[str, ...]
    """Canaries for which the worker would file no copy."""
    forgeries: tuple[str, ...]
    """The fields whose forged token the worker would believe."""

    @property
    def is_right(self) -> bool:
        """Tell whether each owner gets the mail, and no other."""
        return not self.missed and not self.forgeries


@dataclass(frozen=True, slots=True)
class Stamp:
    """The topmost Authentication-Results of the copies. Where copies differ, the worst one."""

    is_forged: bool
    authserv_id: str | None
    """Its first word, even if the rest cannot be read; None without such a field."""
    found: AuthenticationResults | None
    value: str = ""


@dataclass(frozen=True, slots=True)
class Copies:
    """All copies of one probe."""

    probe: Probe
    copies: tuple[Copy, ...]

    @property
    def fields_with_tokens(self) -> tuple[str, ...]:
        """Return the names of the fields in which the mail server wrote a canary, in the order of R4."""
        found = {field.name for copy in self.copies for field in copy.head.fields if self._names_canary(field.value)}
        known = [name for name in DEFAULT_TOKEN_HEADERS if name.lower() in found]
        return (*known, *sorted(_spelt(name) for name in found - _SPELLINGS.keys()))

    @property
    def lost(self) -> tuple[str, ...]:
        """Return the canaries that no field of any copy names."""
        text = "\n".join(field.value.lower() for copy in self.copies for field in copy.head.fields)
        return tuple(token for token in self.probe.canaries if token not in text)

    @property
    def kept_forgeries(self) -> tuple[str, ...]:
        """Return the forged fields that the mail server left in."""
        names = {field.name for copy in self.copies for field in copy.head.fields if self.probe.forged in field.value}
        return tuple(sorted(map(_spelt, names)))

    def routed(self, trust: Trust) -> Routed:
        """Route the copies as the worker does with these settings (R4 to R6)."""
        routes = [route(copy.head, self.probe.dropbox, trust.token_headers, trust.received_by) for copy in self.copies]
        named = {token for found in routes for token in found.tokens}
        forgeries = dict.fromkeys(found.header or "" for found in routes if self.probe.forged in found.tokens)
        return Routed(tuple(token for token in self.probe.canaries if token not in named), tuple(forgeries))

    def best_trust(self) -> Trust | None:
        """Return settings that are right for every copy: our own server's name, and one field if one is enough."""
        names = self.fields_with_tokens
        choices = [*((name,) for name in names), names]
        candidates = (Trust(host, choice) for choice in choices for host in self._hosts())
        return next((trust for trust in candidates if self.routed(trust).is_right), None)

    def stamp(self) -> Stamp:
        """Return the topmost stamp (R13), of the worst copy."""
        stamps = [self._stamp(copy.head) for copy in self.copies]
        return min(stamps, key=lambda stamp: (not stamp.is_forged, stamp.authserv_id is not None))

    def server_time(self) -> datetime | None:
        """Return the time of delivery by the mail server's clock, as its Received field says; None without one."""
        for copy in self.copies:
            try:
                moment = parsedate_to_datetime(copy.head.first("received").rpartition(";")[2].strip())
            except ValueError:
                continue
            if moment.tzinfo:
                return moment
        return None

    def _names_canary(self, value: str) -> bool:
        return any(token in value.lower() for token in self.probe.canaries)

    def _hosts(self) -> Sequence[str]:
        """Return the hosts that wrote the Received fields, the last server first, without the forged field."""
        return tuple(dict.fromkeys(host for copy in self.copies for host in self._hosts_in(copy.head)))

    def _hosts_in(self, head: Head) -> Iterator[str]:
        for value in head.all("received"):
            if self.probe.forged not in value:
                yield from sorted(read_received(value).hosts)

    def _stamp(self, head: Head) -> Stamp:
        value = head.first(_STAMP)
        words = value.replace(";", " ").split()
        return Stamp(self.probe.forged in value, words[0] if words else None, read_results(value), value)


def _spelt(name: str) -> str:
    return _SPELLINGS.get(name, name.title())
