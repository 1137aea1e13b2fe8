"""E-mail addresses and hosts as this program compares them: local part without case, domain in IDNA form."""

import ipaddress
import re
import socket
import unicodedata
from dataclasses import dataclass, field

from worker.domain.errors import DropboxError
from worker.domain.text import without_tokens

_ATEXT = r"[^\x00-\x20\x7f-\x9f()<>\[\]:;@\\,.\"]"
_DOT_ATOM = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*")
_DOTTED = re.compile(rf"\.*{_ATEXT}(?:\.|{_ATEXT})*")
"""A dot-atom with dots anywhere. Some providers gave out addresses such as ``a..b@`` and ``a.@``."""
_QUOTED = re.compile(r'"(?:[^\x00-\x1f\x7f-\x9f"\\]|\\[\x20-\x7e])+"')
_ASCII_DOMAIN = re.compile(
    r"(?=.{1,255}\Z)[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?)*"
)
_PLAIN = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-][A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]*")
_LOCAL_OCTETS = 64
_DOMAIN_OCTETS = 255


class NotAnAddress(DropboxError, ValueError):
    """The text is not a single address of the form ``local@domain``."""


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """One addr-spec (RFC 5322 §3.4.1). Equal when ``key`` is equal; ``text`` keeps the spelling."""

    key: str
    text: str = field(compare=False)

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read ``local@domain``.

        Raises:
            NotAnAddress: The text has controls, spaces, two ``@`` or look-alike dots, or is too long
                (RFC 5321 §4.5.3.1).
        """
        local, at, domain = text.strip(" \t\r\n").rpartition("@")
        if not at or not _is_local_part(local):
            raise NotAnAddress(f"not an e-mail address: {without_tokens(text[:80])!r}")
        domain_key = domain_in_idna(domain)
        return cls(key=f"{_local_key(local)}@{domain_key}", text=f"{local}@{domain.lower()}")

    @property
    def local(self) -> str:
        """The local part, in the form that is compared."""
        return self.key.rpartition("@")[0]

    @property
    def domain(self) -> str:
        """The domain in lower-case A-labels (RFC 5890)."""
        return self.key.rpartition("@")[2]

    @property
    def has_odd_dots(self) -> bool:
        """A dot first, last or after another: mail gets there, but RFC 5322 §3.2.3 has no such address."""
        local = self.local
        return not local.startswith('"') and (local[0] == "." or local[-1] == "." or ".." in local)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Address({without_tokens(self.text)!r})"


def domain_in_idna(domain: str) -> str:
    """Return the domain as lower-case A-labels.

    Full-width letters and look-alike dots (U+3002, U+FF0E, U+FF61) are refused, not mapped. Some mail clients map
    them and some do not, and so one domain can pose as another. ``ß`` and ``ς`` keep their own labels (RFC 5891);
    the standard library's codec (RFC 3490) would make another domain of them. ASCII labels are taken as they are: the
    name system has hosts with ``_``, and labels that begin with ``xn--`` and were registered before RFC 5891.

    Raises:
        NotAnAddress: The text is not a domain.
    """
    lowered = domain.lower()
    if not domain.isascii():
        if len(domain) > _DOMAIN_OCTETS or not _is_written_plainly(domain):
            raise NotAnAddress(f"not a domain: {domain[:80]!r}")
        lowered = ".".join(_a_label(label) for label in unicodedata.normalize("NFC", lowered).split("."))
    if not _ASCII_DOMAIN.fullmatch(lowered):
        raise NotAnAddress(f"not a domain: {domain[:80]!r}")
    return lowered


def _is_written_plainly(text: str) -> bool:
    """Tell whether no character is a mere variant of another: full-width letters, ligatures, the Kelvin sign for K."""
    composed = unicodedata.normalize("NFC", text)
    if unicodedata.normalize("NFKC", composed) != composed:
        return False
    return not any(unicodedata.normalize("NFC", char).isascii() for char in text if not char.isascii())


def _a_label(label: str) -> str:
    """Return the A-label of one label."""
    if label.isascii():
        return label
    import idna  # noqa: PLC0415 - its tables take 5 ms, and most programs that run see ASCII domains only

    try:
        return idna.alabel(label).decode("ascii")
    except UnicodeError as error:  # the library's own errors, and those of its codec
        raise NotAnAddress(f"not a domain label: {label[:80]!r}") from error


def _is_local_part(local: str) -> bool:
    if len(local.encode("utf-8", "replace")) > _LOCAL_OCTETS:
        return False
    if _PLAIN.fullmatch(local):
        return True
    return (
        bool(_DOTTED.fullmatch(local) or _QUOTED.fullmatch(local)) and _is_clean(local) and _is_written_plainly(local)
    )


def _is_clean(text: str) -> bool:
    """Tell whether all that is not ASCII are letters, marks and digits.

    Quotes, bullets and dashes belong to the text beside an address. Others are invisible, or U+FFFD: any byte.
    """
    return all(char.isascii() or unicodedata.category(char)[0] in "LMN" for char in text) and text.isprintable()


def _local_key(local: str) -> str:
    """Return it in lower case, without quotes that it does not need (RFC 5321 §4.1.2)."""
    if local.startswith('"'):
        inner = re.sub(r"\\(.)", r"\1", local[1:-1])
        if _DOT_ATOM.fullmatch(inner):
            local = inner
    return unicodedata.normalize("NFC", local).lower()


def is_loopback(host: str) -> bool:
    """Tell whether a host name or an IP address (a zone may follow) means this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def is_wildcard(host: str) -> bool:
    """Tell whether listening there means all addresses of this machine: ``0.0.0.0``, ``::``, or ``0`` for short."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0]).is_unspecified
    except ValueError:
        return _is_zero(host)


def _is_zero(host: str) -> bool:
    """Read the short forms of IPv4 addresses (``0``, ``0x0``, ``0.0``) as the system does."""
    try:
        return not any(socket.inet_aton(host))
    except OSError:
        return False
