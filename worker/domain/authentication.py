"""Whether our own mail server vouches for the From domain (R13, RFC 8601, RFC 7489 §3.1).

What a server writes about a message quotes its author: tags of a DKIM-Signature, MAIL FROM, HELO. Servers have quoted
them so that they read as results. So a message vouches for nobody when such a text is written in any but a plain way.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from worker.domain.addresses import NotAnAddress, domain_in_idna
from worker.domain.messages import Head
from worker.domain.outcomes import Code, Detail, detail
from worker.domain.routing import boundary_of


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
    """The result of the check: passed or not, and why."""

    passed: bool
    why: Detail


@dataclass(frozen=True, slots=True)
class Stamps:
    """The Authentication-Results fields of a message that may be our server's own, topmost first."""

    deciding: tuple[str, ...]
    confirming: tuple[str, ...] = ()
    """Those below the deciding one, where milters write: they can confirm or contradict it, and prove nothing alone."""
    are_complete: bool = False
    """No sender can have written any of them, and none of our server's is left out."""


ReadResults = Callable[[str], AuthenticationResults | None]
"""Reads one Authentication-Results field; None where it cannot be read in one way only."""
OrganisationalDomain = Callable[[str], str]

_FIELD = "authentication-results"
_MILTER_FIELDS = frozenset({_FIELD, "dkim-filter", "dmarc-filter"})
_SIGNATURES = ("dkim-signature", "arc-message-signature", "arc-seal")
"""What receiving servers verify, and quote from."""
_NO_VERDICT = frozenset({"none", "temperror", "permerror", "bestguesspass"})
"""What DMARC says where it found nothing to go by; whatever else is no pass is a failure."""
_PROVING = frozenset({"dkim", "spf"})

_LONGEST_SIGNATURE = 16 * 1024
"""Characters; real ones have a thousand. What is longer is not read, and vouches for nothing."""
_NAME = r"[A-Za-z0-9._-]+"
_WORD = re.compile(_NAME)
_DIGITS = re.compile(r"[0-9]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/=]*")
_TAGS: Mapping[str, re.Pattern[str]] = {
    # RFC 6376 §3.5; of i= only what is plain: it may be encoded (=3B is a semicolon), and servers write it decoded.
    "v": re.compile(r"1"),
    "a": re.compile(r"[A-Za-z0-9-]+"),
    "b": _BASE64,
    "bh": _BASE64,
    "c": re.compile(r"[A-Za-z/]+"),
    "d": _WORD,
    "h": re.compile(rf"{_NAME}(?::{_NAME})*:?"),
    "i": re.compile(rf"[A-Za-z0-9.!#$%&'*+/?^_`{{|}}~-]*@{_NAME}|[0-9]{{1,2}}"),  # a number in ARC (RFC 8617 §4.1)
    "l": _DIGITS,
    "q": re.compile(r"[A-Za-z/:]+"),
    "s": _WORD,
    "t": _DIGITS,
    "x": _DIGITS,
    "z": re.compile(r"(?:[!-:<>-~]|=[0-9A-F]{2})+"),
    # Registered with IANA since: reports (RFC 6651), third parties (RFC 6541).
    "r": re.compile(r"[a-z]"),
    "atps": _WORD,
    "atpsh": re.compile(r"[A-Za-z0-9-]+"),
    # Of ARC-Seal (RFC 8617 §4.1.3).
    "cv": re.compile(r"[a-z]+"),
    # Google writes these two into most of its signatures.
    "dara": _WORD,
    "darn": _WORD,
}
"""Each tag that a signature may have, exactly so written, and its value without white space."""


def _is_plain_signature(signature: str) -> bool:
    """Tell whether a signature is written so that no program can read results out of it."""
    if len(signature) > _LONGEST_SIGNATURE or not signature.isascii():
        return False
    seen: set[str] = set()
    for tag in signature.strip(" \t").removesuffix(";").split(";"):
        stated, equals, value = tag.partition("=")
        name = stated.strip(" \t")
        form = _TAGS.get(name)
        if not equals or form is None or name in seen or not form.fullmatch(value.replace(" ", "").replace("\t", "")):
            return False
        seen.add(name)
    return True


def carries_odd_signature(head: Head) -> bool:
    """Tell whether any signature of a message is not plain: then it vouches for nothing, whatever the server says."""
    return not all(_is_plain_signature(value) for name in _SIGNATURES for value in head.all(name))


def stamps_of(head: Head, received_by: str | None) -> Stamps:
    """Find the Authentication-Results fields that count (R13).

    With ``received_by``, those above our own server's Received field count. If none is there, the topmost below it
    decides, which is where milters write, and those right below confirm it. Without it, only the topmost counts.
    """
    if received_by is None:
        return Stamps(tuple(head.all(_FIELD)[:1]))
    boundary = boundary_of(head, received_by)
    if boundary is None:
        return Stamps(())
    if above := tuple(each.value for each in head.fields[:boundary] if each.name == _FIELD):
        return Stamps(above, are_complete=True)
    below = tuple(_of_milters(head, boundary))
    return Stamps(below[:1], below[1:])


def _of_milters(head: Head, boundary: int) -> Iterator[str]:
    has_begun = False
    for each in head.fields[boundary + 1 :]:
        if each.name == _FIELD:
            has_begun = True
            yield each.value
        elif has_begun and each.name not in _MILTER_FIELDS:
            return


def authenticate(  # noqa: PLR0911 - each is one answer
    stamps: Stamps, read: ReadResults, authserv_id: str, from_domain: str, organisational: OrganisationalDomain
) -> Authentication:
    """Judge what our server says of a From domain (both in IDNA form).

    A DMARC that failed is final. DKIM or SPF must pass in relaxed alignment, in a deciding field or, where DMARC passes
    in that, in one that confirms it. Two fields that disagree prove nothing.
    """
    deciding, confirming = (_ours(fields, read, authserv_id) for fields in (stamps.deciding, stamps.confirming))
    if deciding is None or confirming is None or not stamps.deciding:
        return _refused(Code.NO_RESULTS)
    if not deciding:
        return _refused(Code.RESULTS_NOT_OURS)
    if method := _disputed([*deciding, *confirming]):
        return _refused(Code.RESULTS_DISAGREE, method=method)
    if any(result not in {"pass", *_NO_VERDICT} for result in _results_of("dmarc", [*deciding, *confirming])):
        return _refused(Code.DMARC_FAILS)
    by_dmarc = _aligned("dmarc", deciding, from_domain, organisational)
    for method in ("dkim", "spf"):
        believed = [*deciding, *confirming] if by_dmarc else deciding
        if claim := _aligned(method, believed, from_domain, organisational):
            return _passed("dmarc", by_dmarc) if by_dmarc else _passed(method, claim)
    if by_dmarc and stamps.are_complete and not any(_results_of(method, deciding) for method in _PROVING):
        return _passed("dmarc", by_dmarc)  # our server writes no result of DKIM or SPF
    return _refused(Code.DMARC_ALONE if by_dmarc else Code.NOT_ALIGNED)


def _passed(method: str, domain: str) -> Authentication:
    return Authentication(passed=True, why=detail(Code.PASSES, method=method.upper(), domain=domain))


def _refused(code: Code, **values: str) -> Authentication:
    return Authentication(passed=False, why=detail(code, **values))


def _ours(fields: Sequence[str], read: ReadResults, authserv_id: str) -> list[AuthenticationResults] | None:
    """Read the fields of our authserv-id; None where one that may be ours cannot be read."""
    ours = authserv_id.lower()
    found = [(value, read(value)) for value in fields]
    if any(results is None and ours in value.lower() for value, results in found):
        return None
    if found and all(results is None for _, results in found):
        return None
    return [results for _, results in found if results is not None and results.authserv_id.lower() == ours]


def _results_of(method: str, fields: Iterable[AuthenticationResults]) -> list[str]:
    return [entry.result for each in fields for entry in each.results if entry.method == method]


def _disputed(fields: Sequence[AuthenticationResults]) -> str | None:
    """Name a method of which one field says what another does not say; DMARC is stated once even in one field."""
    for method in ("dmarc", "dkim", "spf"):
        stated = [found for each in fields if (found := _statements(method, each))]
        if any(found != stated[0] for found in stated[1:]):
            return method
        if method == "dmarc" and len(_results_of(method, fields)) > len(stated):
            return method
    return None


def _statements(method: str, found: AuthenticationResults) -> frozenset[tuple[str, str | None]]:
    """Return what a field says of a method: the passes with their domains, or that it did not pass."""
    entries = [entry for entry in found.results if entry.method == method and not _is_of_helo(entry)]
    passes = frozenset(("pass", _claim(entry)) for entry in entries if entry.result == "pass")
    return passes or frozenset(("no pass", None) for _ in entries)


def _is_of_helo(entry: MethodResult) -> bool:
    return entry.method == "spf" and "smtp.mailfrom" not in entry.properties


def _aligned(
    method: str, fields: Iterable[AuthenticationResults], from_domain: str, organisational: OrganisationalDomain
) -> str | None:
    """Return the domain for which a method passes in alignment with From."""
    for entry in (entry for each in fields for entry in each.results):
        if entry.method != method or entry.result != "pass" or (claim := _claim(entry)) is None:
            continue
        is_same = claim == from_domain if method == "dmarc" else organisational(claim) == organisational(from_domain)
        if is_same:
            return claim
    return None


def _claim(entry: MethodResult) -> str | None:
    stated = entry.properties.get
    if entry.method == "dkim":
        return _signer(stated("header.d", ""), stated("header.i", ""))
    return _domain(stated("header.from" if entry.method == "dmarc" else "smtp.mailfrom", ""))


def _signer(domain: str, identity: str) -> str | None:
    """Return the domain that signed: ``header.d``, or else that of ``header.i``. It lies within d (RFC 6376 §3.5)."""
    signer, agent = _domain(domain), _domain(identity)
    if not (domain and identity):
        return signer or agent
    is_within = signer and agent and f".{agent}".endswith(f".{signer}")
    return signer if is_within else None


def _domain(claim: str) -> str | None:
    """Return the domain of an address or a domain; None where somebody could read another one out of it."""
    if claim.count("@") > 1 or not claim.rpartition("@")[2]:
        return None
    try:
        return domain_in_idna(claim.rpartition("@")[2])
    except NotAnAddress:
        return None
