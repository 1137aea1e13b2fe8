"""The mails of `check --probe`, with forged fields and senders, and what their copies in the mailbox show."""

import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime, make_msgid, parsedate_to_datetime

from worker.domain.addresses import Address
from worker.domain.authentication import AuthenticationResults
from worker.domain.messages import LOOP_MARK, Head
from worker.domain.outcomes import Folder
from worker.domain.routing import DEFAULT_TOKEN_HEADERS, read_received, route
from worker.domain.tokens import DropboxAddress, new_token
from worker.mime.head import read_results
from worker.settings import Settings

_NOT_FORGED = frozenset({"received", "to", "cc"})
"""Received is written by itself; To and Cc are the sender's to write."""
FORGED_DOMAIN = "example.com"
"""The domain of the forged senders: reserved for examples (RFC 2606), with a DMARC record that says `reject`."""
_RESULT_IN_A_TAG = f"x=3B=20dmarc=3Dpass=20header.from=3D{FORGED_DOMAIN}=20header.z=3D"
"""A result, encoded as the i= of a signature may be. Some servers write it decoded into Authentication-Results."""


@dataclass(frozen=True, slots=True)
class Forgery:
    """A mail with a forged sender, in a shape that has fooled a mail server before, and its SMTP commands."""

    shape: str
    message_id: str
    letter: bytes
    mail_from: str
    helo: str


@dataclass(frozen=True, slots=True)
class Probe:
    """The parts of one probe. No user has any of its tokens: they are made for it and never issued."""

    dropbox: DropboxAddress
    sender: Address
    message_id: str
    canaries: tuple[str, str]
    forged: str
    """The token that only the forged fields name."""
    token_headers: tuple[str, ...]
    received_by: str | None
    authserv_id: str | None

    @classmethod
    def made(cls, settings: Settings, sender: Address) -> "Probe":
        """Return a new probe of the mail server in front of these settings."""
        return cls(
            settings.require_address(),
            sender,
            make_msgid("bcc-dropbox-probe", sender.domain),
            (new_token(), new_token()),
            new_token(),
            settings.token_headers,
            settings.received_by,
            settings.authserv_id,
        )

    @property
    def mark(self) -> str:
        """The end of the Message-ID of each mail of this probe."""
        return self.message_id.removeprefix("<")

    @property
    def recipients(self) -> list[str]:
        """The two addresses of the envelope."""
        return [self.dropbox.with_token(token) for token in self.canaries]

    def letter(self, now: datetime) -> bytes:
        """Return the whole message to both recipients."""
        forged = "".join(f"{field}\r\n" for field in self._forged_fields(now))
        return (forged + self._text(f"From: {self.sender}", self.message_id, now)).encode()

    def forgeries(self, now: datetime) -> list[Forgery]:
        """Return mails with a forged sender: by a tag of a DKIM signature, by MAIL FROM, and by HELO."""
        sender, domain = f"<{self.sender}>", self.sender.domain
        name, value = (self._signature(f"{tag}={_RESULT_IN_A_TAG}@{domain}") for tag in ("1i", "i"))
        shapes = [
            ("the name of a DKIM tag", name, sender, domain),
            ("the value of a DKIM tag", value, sender, domain),
            ("MAIL FROM", "", f'<"probe@{FORGED_DOMAIN}"@{domain}>', domain),
            ("MAIL FROM", "", f"<probe@{FORGED_DOMAIN}(@{domain}>", domain),
            ("HELO", "", "<>", f"{FORGED_DOMAIN}(.{domain}"),
            ("HELO", "", "<>", f"{FORGED_DOMAIN}/.{domain}"),
        ]
        return [self._forgery(number, now, *shape) for number, shape in enumerate(shapes)]

    def _forgery(  # noqa: PLR0913, PLR0917 - what a forgery is made of
        self, number: int, now: datetime, shape: str, signature: str, mail_from: str, helo: str
    ) -> Forgery:
        message_id = f"<{number}.{self.mark}"
        letter = signature + self._text(f"From: probe@{FORGED_DOMAIN}", message_id, now)
        return Forgery(shape, message_id, letter.encode(), mail_from, helo)

    def _signature(self, tag: str) -> str:
        """Write a signature that is not right: some servers report its tags nevertheless."""
        return (
            f"DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d={self.sender.domain}; s=bcc-dropbox-probe;\r\n"
            f" {tag};\r\n h=from; bh={b64encode(bytes(32)).decode()}; b={b64encode(bytes(256)).decode()}\r\n"
        )

    def _forged_fields(self, now: datetime) -> list[str]:
        """Return the fields that a forger would put on top. The worst look most like those of our own server."""
        address = self.dropbox.with_token(self.forged)
        ours = self.received_by or self.dropbox.base.domain
        names = dict.fromkeys(
            name for name in (*self.token_headers, *DEFAULT_TOKEN_HEADERS) if name.lower() not in _NOT_FORGED
        )
        verdict = f"dmarc=pass reason={self.forged} header.from={self.sender.domain}"
        return [
            f"Received: from {ours} by {ours}\r\n with ESMTP id probe\r\n for <{address}>; {format_datetime(now)}",
            *(f"{name}: {address}" for name in names),
            f"Authentication-Results: {self.authserv_id or ours};\r\n {verdict}",
        ]

    def _text(self, sender: str, message_id: str, now: datetime) -> str:
        fields = [
            sender,
            f"To: {self.sender}",
            "Subject: Probe of the BCC dropbox",
            f"Date: {format_datetime(now)}",
            f"Message-ID: {message_id}",
            "Auto-Submitted: auto-generated",
            f"{LOOP_MARK}: probe",
        ]
        text = "Sent by `bcc-dropbox check --probe`, which takes it out of the mailbox again. It may be deleted."
        return "\r\n".join([*fields, "", text, ""])


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
