"""What the copies of a probe show: in which fields the tokens stand, who would be believed, what to set."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

from worker.diagnostics.probe_letter import Probe
from worker.domain.authentication import AuthenticationResults
from worker.domain.messages import Head
from worker.domain.outcomes import Folder
from worker.domain.received import read_received
from worker.domain.routing import DEFAULT_TOKEN_HEADERS, route
from worker.mime.authentication import read_results

_STAMP = "authentication-results"
_SPELLINGS = {name.lower(): name for name in DEFAULT_TOKEN_HEADERS}


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy that came back, and the folder it lay in (None: the queue)."""

    head: Head
    folder: Folder | None = None


@dataclass(frozen=True, slots=True)
class Trust:
    """The two settings by which a field is believed."""

    received_by: str | None
    token_headers: tuple[str, ...]

    @property
    def settings(self) -> tuple[str, ...]:
        """As lines of the env file."""
        host = (f"BCC_DROPBOX_RECEIVED_BY={self.received_by}",) if self.received_by else ()
        return (*host, f"BCC_DROPBOX_TOKEN_HEADERS={','.join(self.token_headers)}")


@dataclass(frozen=True, slots=True)
class Routed:
    """Whom the worker would take the copies to be for."""

    missed: tuple[str, ...]
    """Canaries that no copy would be filed for."""
    forgeries: tuple[str, ...]
    """The fields whose forged token would be believed."""

    @property
    def is_right(self) -> bool:
        """Each owner gets the mail and nobody else."""
        return not self.missed and not self.forgeries


@dataclass(frozen=True, slots=True)
class Stamp:
    """The topmost Authentication-Results of the copies, as far as they agree."""

    is_forged: bool
    authserv_id: str | None
    """Its first word, also where the rest cannot be read (Exim ends it there for unsigned mail); None without one."""
    found: AuthenticationResults | None
    value: str = ""


@dataclass(frozen=True, slots=True)
class Copies:
    """All copies of one probe."""

    probe: Probe
    copies: tuple[Copy, ...]

    @property
    def fields_with_tokens(self) -> tuple[str, ...]:
        """The names of the fields in which the mail server wrote down a canary, in the order of R4."""
        found = {field.name for copy in self.copies for field in copy.head.fields if self._names_canary(field.value)}
        known = [name for name in DEFAULT_TOKEN_HEADERS if name.lower() in found]
        return (*known, *sorted(_spelt(name) for name in found - _SPELLINGS.keys()))

    @property
    def lost(self) -> tuple[str, ...]:
        """The canaries that no field of any copy names."""
        text = "\n".join(field.value.lower() for copy in self.copies for field in copy.head.fields)
        return tuple(token for token in self.probe.canaries if token not in text)

    @property
    def kept_forgeries(self) -> tuple[str, ...]:
        """The forged fields that the mail server left in."""
        names = {field.name for copy in self.copies for field in copy.head.fields if self.probe.forged in field.value}
        return tuple(sorted(map(_spelt, names)))

    def routed(self, trust: Trust) -> Routed:
        """What the worker makes of the copies with these settings (R4 to R6)."""
        routes = [route(copy.head, self.probe.dropbox, trust.token_headers, trust.received_by) for copy in self.copies]
        named = {token for found in routes for token in found.tokens}
        forgeries = dict.fromkeys(found.header or "" for found in routes if self.probe.forged in found.tokens)
        return Routed(tuple(token for token in self.probe.canaries if token not in named), tuple(forgeries))

    def best_trust(self) -> Trust | None:
        """The settings that are right for every copy: by our own server's name, and by one field if one will do."""
        names = self.fields_with_tokens
        choices = [*((name,) for name in names), names]
        candidates = (Trust(host, choice) for choice in choices for host in self._hosts())
        return next((trust for trust in candidates if self.routed(trust).is_right), None)

    def stamp(self) -> Stamp:
        """R13: what stands topmost is what counts; the worst copy is shown."""
        stamps = [self._stamp(copy.head) for copy in self.copies]
        return min(stamps, key=lambda stamp: (not stamp.is_forged, stamp.authserv_id is not None))

    def server_time(self) -> datetime | None:
        """What the mail server's clock said at the delivery, as it wrote it into its Received."""
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
        """Who wrote the Received fields, the last server first, without the forged one."""
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
