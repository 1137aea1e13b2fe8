"""Whether the receiving server vouches for the From domain (R13, RFC 8601, RFC 7489 §3.1)."""

from collections.abc import Callable, Mapping
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


def authenticate(
    found: AuthenticationResults | None,
    authserv_id: str,
    from_domain: str,
    organisational: OrganisationalDomain,
) -> Authentication:
    """Judge the topmost Authentication-Results field for a From domain (both in IDNA form).

    A DMARC that failed is final, and one that passed for this domain is enough; else DKIM or SPF must pass in relaxed
    alignment.
    """
    if found is None:
        return Authentication(passed=False, why="no Authentication-Results field that can be read")
    if found.authserv_id.lower() != authserv_id.lower():
        return Authentication(passed=False, why="the topmost Authentication-Results is not from our server")
    for entry in found.results:
        if entry.method == "dmarc" and entry.result == "fail":
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
        # header.d is the signer; header.i lies within it (RFC 6376 §3.5) and counts where the server wrote no header.d.
        claim = _domain(stated("header.d") or stated("header.i", ""))
    elif entry.method == "spf":
        claim = _domain(stated("smtp.mailfrom", ""))
    else:
        return None
    return claim if claim and organisational(claim) == organisational(from_domain) else None


def _domain(claim: str) -> str | None:
    try:
        return domain_in_idna(claim.rpartition("@")[2]) if claim else None
    except NotAnAddress:
        return None
