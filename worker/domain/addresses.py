"""An e-mail address as this program compares it: local part without regard to case, domain in its IDNA form."""

import re
import unicodedata
from dataclasses import dataclass, field

from worker.domain.errors import DropboxError
from worker.domain.masking import without_tokens

_DOT_ATOM = re.compile(r"[^\x00-\x20\x7f-\x9f()<>\[\]:;@\\,.\"]+(?:\.[^\x00-\x20\x7f-\x9f()<>\[\]:;@\\,.\"]+)*")
_QUOTED = re.compile(r'"(?:[^\x00-\x1f\x7f-\x9f"\\]|\\[\x20-\x7e])*"')
_ASCII_DOMAIN = re.compile(
    r"(?=.{1,255}\Z)[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?)*"
)
_PLAIN = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LOCAL_OCTETS = 64
_DOMAIN_OCTETS = 255


class NotAnAddress(DropboxError, ValueError):
    """The text is not one address of the form ``local@domain``."""


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """One addr-spec (RFC 5322 §3.4.1). Equal when ``key`` is equal; ``text`` keeps the spelling."""

    key: str
    text: str = field(compare=False)

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read ``local@domain``.

        Raises:
            NotAnAddress: for anything else: controls, spaces, two ``@``, look-alike dots, too long (RFC 5321 §4.5.3.1).
        """
        local, at, domain = text.strip(" \t\r\n").rpartition("@")
        if not at or not _is_local_part(local):
            raise NotAnAddress(f"not an e-mail address: {without_tokens(text[:80])!r}")
        domain_key = domain_in_idna(domain)
        return cls(key=f"{_local_key(local)}@{domain_key}", text=f"{local}@{domain.lower()}")

    @property
    def local(self) -> str:
        """The local part in the form that is compared."""
        return self.key.rpartition("@")[0]

    @property
    def domain(self) -> str:
        """The domain in lower-case A-labels (RFC 5890)."""
        return self.key.rpartition("@")[2]

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Address({without_tokens(self.text)!r})"


def domain_in_idna(domain: str) -> str:
    """The domain as lower-case A-labels.

    Full-width letters and the look-alike dots (U+3002, U+FF0E, U+FF61) are refused rather than mapped: a mapping that
    one mail client makes and another does not is how one domain poses as another. ``ß`` and ``ς`` keep their own
    labels, as in RFC 5891, where the standard library's codec (RFC 3490) would turn them into a different domain.

    Raises:
        NotAnAddress: when it is not a domain.
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
    """No character that only stands for another one: full-width letters, ligatures, the Kelvin sign for K."""
    composed = unicodedata.normalize("NFC", text)
    if unicodedata.normalize("NFKC", composed) != composed:
        return False
    return not any(unicodedata.normalize("NFC", char).isascii() for char in text if not char.isascii())


def _a_label(label: str) -> str:
    if label.isascii():
        return label
    if not all(unicodedata.category(char)[0] in "LMN" or char == "-" for char in label):
        raise NotAnAddress(f"not a domain label: {label[:80]!r}")
    return "xn--" + label.encode("punycode").decode("ascii")


def _is_local_part(local: str) -> bool:
    if len(local.encode("utf-8", "replace")) > _LOCAL_OCTETS:
        return False
    if _PLAIN.fullmatch(local):
        return True
    return (
        bool(_DOT_ATOM.fullmatch(local) or _QUOTED.fullmatch(local)) and _is_clean(local) and _is_written_plainly(local)
    )


def _is_clean(text: str) -> bool:
    """No controls, no surrogates, no invisible format characters, and no U+FFFD, which may stand for any octet."""
    return "\ufffd" not in text and all(
        unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in text
    )


def _local_key(local: str) -> str:
    """Lower case; a quoted local part that needs no quotes means the same address (RFC 5321 §4.1.2)."""
    if local.startswith('"'):
        inner = re.sub(r"\\(.)", r"\1", local[1:-1])
        if _DOT_ATOM.fullmatch(inner):
            local = inner
    return unicodedata.normalize("NFC", local).lower()
