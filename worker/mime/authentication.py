"""Authentication-Results as authres reads it (RFC 8601), and organisational domains by the public suffix list (R13)."""

import re
from functools import cache, lru_cache
from typing import Any

from worker.domain.authentication import AuthenticationResults, MethodResult
from worker.domain.messages import Head

_FIELD = "authentication-results"
_MOST_CHARACTERS = 16 * 1024
"""authres takes time by the square of the length; receiving servers write one or two thousand characters."""
_OUTSIDE_COMMENTS = re.compile(r'\\.|"(?:[^"\\]|\\.)*+"|[()"]', re.DOTALL)
_SIGNER = "header.d"


def read_authentication(head: Head) -> AuthenticationResults | None:
    """The topmost Authentication-Results; None when there is none, or none that can be read in one way only."""
    value = head.first(_FIELD).strip()
    return _read(value) if 0 < len(value) <= _MOST_CHARACTERS else None


@lru_cache(maxsize=512)  # each field is asked for twice: with the heads of a batch and with its bodies
def _read(value: str) -> AuthenticationResults | None:
    if _has_quote_in_comment(value):
        return None
    try:
        found = _features().parse_value(_with_results(value))
    except Exception:  # noqa: BLE001 - its own errors, and RecursionError or TypeError of hostile values
        return None
    results = tuple(_method_result(result) for result in found.results)
    if value.lower().count(_SIGNER) != sum(_SIGNER in result.properties for result in results):
        return None  # one that stands there twice, or that authres passed over
    return AuthenticationResults(found.authserv_id, results)


def _has_quote_in_comment(value: str) -> bool:
    """A comment that quotes a stranger's local part, which may well end the comment: what follows is theirs, too."""
    depth = 0
    for found in _OUTSIDE_COMMENTS.finditer(value):
        if depth and found[0].startswith('"'):
            return True
        depth += (found[0] == "(") - (found[0] == ")")
    return False


def _with_results(value: str) -> str:
    """Exim writes its bare name where it has checked nothing, without the "none" that RFC 8601 §2.2 asks for."""
    bare = value.rstrip("; \t\r\n")
    return value if ";" in bare else f"{bare}; none"


def _method_result(result: Any) -> MethodResult:
    """A property that is stated twice in two ways is stated by somebody else, too: it counts as none."""
    stated: dict[str, set[str]] = {}
    for each in result.properties:
        stated.setdefault(f"{each.type}.{each.name}", set()).add(str(each.value or ""))
    properties = {name: value for name, (value, *others) in stated.items() if not others}
    return MethodResult(result.method, result.result, properties)


@lru_cache(maxsize=4096)
def organisational_domain(domain: str) -> str:
    """The registrable part of a domain in IDNA form (RFC 7489 §3.2); the domain itself where it is a public suffix."""
    return str(_public_suffixes().privatesuffix(domain) or domain)


@cache
def _public_suffixes() -> Any:
    from publicsuffixlist import PublicSuffixList  # noqa: PLC0415 - 10,000 lines, and only R13 asks for them

    return PublicSuffixList()


@cache
def _features() -> Any:
    import authres  # noqa: PLC0415 - only R13 asks for it
    from authres import dmarc  # noqa: PLC0415

    return authres.FeatureContext(dmarc)
