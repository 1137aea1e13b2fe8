"""Whether the receiving server vouches for the From domain (R13, RFC 8601, RFC 7489 §3.1)."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from worker.domain.addresses import NotAnAddress, domain_in_idna


@dataclass(frozen=True, slots=True)
class MethodResult:
    """One ``method=result`` of an Authentication-Results field; the keys of its properties as ``header.d``."""

    method: str
    result: str
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuthenticationResults:
    """One Authentication-Results field, read."""

    authserv_id: str
    results: tuple[MethodResult, ...]


@dataclass(frozen=True, slots=True)
class Authentication:
    """What the check said: passed or not, and why, in words for the trace."""

    passed: bool
    why: str


OrganisationalDomain = Callable[[str], str]

UNREADABLE = "no Authentication-Results field that can be read"
NOT_OURS = "the topmost Authentication-Results is not from our server"
"""What the trace says of a message that our server did not stamp; `check` reads both."""

_NO_VERDICT = frozenset({"none", "temperror", "permerror", "bestguesspass"})
"""What DMARC says where it found nothing to go by; whatever else is no pass is a failure."""
_COPIED_TAGS = frozenset("adis")
"""Of a signature: what receiving servers copy into their Authentication-Results."""
_STRUCTURE = re.compile(r'[=;:,()<>\[\]"\\\x00-\x20\x7f]')


def could_forge_results(signatures: Iterable[str]) -> bool:
    """Whether a DKIM-Signature field names its signer in characters that could end up as results of their own.

    ``i=`` is quoted-printable (RFC 6376 §2.11), and servers exist that write it decoded and without quotes into their
    own Authentication-Results: ``i=x=3B=20dkim=3Dpass=20header.d=3D…``, of a signature that need not even be right.
    """
    for signature in signatures:
        for tag in "".join(signature.split()).split(";"):
            name, _, value = tag.partition("=")
            if name.lower() in _COPIED_TAGS and _STRUCTURE.search(value):
                return True
    return False


def authenticate(
    found: AuthenticationResults | None,
    authserv_id: str,
    from_domain: str,
    organisational: OrganisationalDomain,
) -> Authentication:
    """Judge the topmost Authentication-Results field for a From domain (both in IDNA form).

    A DMARC that failed is final, and one that passed for this domain is enough; else DKIM or SPF must pass in relaxed
    alignment. A server says once what DMARC found: where it stands twice, somebody else has had a say.
    """
    if found is None:
        return Authentication(passed=False, why=UNREADABLE)
    if found.authserv_id.lower() != authserv_id.lower():
        return Authentication(passed=False, why=NOT_OURS)
    dmarc = [entry.result for entry in found.results if entry.method == "dmarc"]
    if len(dmarc) > 1:
        return Authentication(passed=False, why="DMARC has several results")
    if dmarc and dmarc[0] != "pass" and dmarc[0] not in _NO_VERDICT:
        return Authentication(passed=False, why="DMARC fails")
    for entry in found.results:
        if entry.result == "pass" and (claim := _aligned_claim(entry, from_domain, organisational)):
            return Authentication(passed=True, why=f"{entry.method.upper()} passes for {claim}")
    return Authentication(passed=False, why="neither DMARC, DKIM nor SPF passes in alignment with From")


def _aligned_claim(entry: MethodResult, from_domain: str, organisational: OrganisationalDomain) -> str | None:
    stated = entry.properties.get
    if entry.method == "dmarc":
        claim = _domain(stated("header.from", ""))
        return claim if claim == from_domain else None
    if entry.method == "dkim":
        claim = _signer(stated("header.d", ""), stated("header.i", ""))
    elif entry.method == "spf":
        claim = _domain(stated("smtp.mailfrom", ""))
    else:
        return None
    return claim if claim and organisational(claim) == organisational(from_domain) else None


def _signer(domain: str, identity: str) -> str | None:
    """``header.i`` counts where the server wrote no ``header.d``, within which it has to lie (RFC 6376 §3.5)."""
    signer, agent = _domain(domain), _domain(identity)
    if not (domain and identity):
        return signer or agent
    is_within = signer and agent and f".{agent}".endswith(f".{signer}")
    return signer if is_within else None


def _domain(claim: str) -> str | None:
    try:
        return domain_in_idna(claim.rpartition("@")[2]) if claim else None
    except NotAnAddress:
        return None
