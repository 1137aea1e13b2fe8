"""Authentication-Results as authres reads it (RFC 8601), and organisational domains by the public suffix list (R13)."""

import re
from functools import cache, lru_cache
from typing import Any

from worker.domain.authentication import AuthenticationResults, MethodResult
from worker.domain.decoding import without_comments

_MOST_CHARACTERS = 16 * 1024
"""authres takes time by the square of the length; receiving servers write one or two thousand characters."""
_PIECE = re.compile(r'"[^"]*"|[()"]')

_OWN_WORD = re.compile(r"[\s;][A-Za-z0-9-]+=[A-Za-z]+\Z")
"""What the server itself writes before a comment: ``dmarc=pass(p=REJECT)``."""
_UNQUOTED = re.compile(r"(?<==)(\[[0-9A-Za-z:.]+\]|[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)(?=[\s;]|\Z)")
"""An IPv6 address or an address literal, which RFC 8601 wants within quotes and Exim writes without."""
_WITHIN_QUOTES = re.compile(r'"[^"]*"')
_RESULT = re.compile(
    r"\s*[\w-]+\s*(?:/\s*[0-9]+\s*)?=\s*[\w-]+"
    r"(?:\s+[\w-]+\s*(?:\.\s*[\w-]+\s*=\s*\S*|=\s*[^\s@]+))*+\s*"
)
"""A result and its properties. authres passes over any other words, and they can be part of a stranger's address."""
_BEGINNINGS, _ENDS = ("", " ", "\t", ";"), ("", " ", "\t", ";")
_SIGNER = "header.d"
_OF_ENVELOPE = "smtp."


def read_results(value: str) -> AuthenticationResults | None:
    """Read one Authentication-Results field; None when it cannot be read in one way only."""
    value = value.strip()
    return _read(value) if 0 < len(value) <= _MOST_CHARACTERS else None


@lru_cache(maxsize=512)  # each field is asked for twice: with the heads of a batch and with its bodies
def _read(value: str) -> AuthenticationResults | None:
    if not _is_plain(value):
        return None
    try:
        found = _features().parse_value(_with_results(_UNQUOTED.sub(r'"\1"', value)))
    except Exception:  # noqa: BLE001 - its own errors, and RecursionError or TypeError of hostile values
        return None
    results = tuple(_method_result(result) for result in found.results)
    if value.lower().count(_SIGNER) != sum(_SIGNER in result.properties for result in results):
        return None  # one that stands there twice, or that authres passed over
    if any(result.method == "dkim" and _OF_ENVELOPE in " ".join(result.properties) for result in results):
        return None  # the end of another result, which a stranger's text has cut in two
    return AuthenticationResults(found.authserv_id, results)


def _is_plain(value: str) -> bool:
    """Tell whether comments and quotes are the server's own.

    A server may copy a stranger's local part or host name. A bracket or a quote in it then begins or ends what the
    server wrote. So brackets and quotes are accepted only in the places where servers write them.
    """
    if "\\" in value or not value.replace("\t", " ").isprintable():
        return False
    depth = 0
    for found in _PIECE.finditer(value):
        piece, before, behind = found[0], value[: found.start()][-80:], value[found.end() : found.end() + 1]
        if piece[0] == '"':
            if depth or before[-1:] != "=" or behind not in _ENDS:
                return False
        elif piece == "(":
            if not (depth or before[-1:] in _BEGINNINGS or _OWN_WORD.search(before)):
                return False
            depth += 1
        else:
            depth -= 1
            if depth < 0 or not (depth or behind in _ENDS):
                return False
    return depth == 0 and _has_plain_results(value)


def _has_plain_results(value: str) -> bool:
    stated = without_comments(_WITHIN_QUOTES.sub("x", value)).split(";")[1:]
    return all(_RESULT.fullmatch(each) or each.strip().lower() in {"none", ""} for each in stated)


def _with_results(value: str) -> str:
    """Exim writes its bare name where it has checked nothing, without the "none" that RFC 8601 §2.2 asks for."""
    bare = value.rstrip("; \t\r\n")
    return value if ";" in bare else f"{bare}; none"


def _method_result(result: Any) -> MethodResult:
    """Drop a property that is stated twice with different values: one of them may be somebody else's."""
    stated: dict[str, set[str]] = {}
    for each in result.properties:
        stated.setdefault(f"{each.type}.{each.name}", set()).add(str(each.value or ""))
    properties = {name: value for name, (value, *others) in stated.items() if not others}
    return MethodResult(result.method, result.result, properties)


@lru_cache(maxsize=4096)
def organisational_domain(domain: str) -> str:
    """Return the registrable part of an IDNA domain (RFC 7489 §3.2), or the domain itself if it is a public suffix."""
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
