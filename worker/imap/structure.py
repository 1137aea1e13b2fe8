"""How much the attachments of a message hold at the least, told by its BODYSTRUCTURE alone (R21)."""

from typing import Any

_PLACES = 7
"""Type, subtype, parameters, id, description, encoding, size: what each part that is no multipart begins with."""
_LEAST_DECODED = {b"BASE64": (45, 62), b"QUOTED-PRINTABLE": (25, 78)}
"""Decoded octets of encoded ones: base64 in lines of 60, the shortest that mail programs write; each octet as =XX."""


def attachment_octets(structure: Any) -> int:
    """Decoded octets at the least. Walks without recursion; parts that are not as RFC 9051 has them count nothing."""
    total = 0
    waiting = [structure]
    while waiting:
        part = waiting.pop()
        if not isinstance(part, tuple) or not part:
            continue
        if isinstance(part[0], list | tuple):  # a multipart: imapclient puts its parts into a list, a server does not
            waiting.extend(part[0] if isinstance(part[0], list) else (piece for piece in part if _is_part(piece)))
        elif _is_message(part):
            waiting.append(part[_PLACES + 1])
        else:
            total += _octets(part)
    return total


def _is_part(piece: object) -> bool:
    return isinstance(piece, tuple) and bool(piece) and isinstance(piece[0], bytes | tuple | list)


def _is_message(part: tuple[Any, ...]) -> bool:
    """A message within: its own attachments count, however the reader of the body takes the message itself."""
    return _upper(part[0]) == b"MESSAGE" and len(part) > _PLACES + 1 and isinstance(part[_PLACES + 1], tuple)


def _octets(part: tuple[Any, ...]) -> int:
    if len(part) < _PLACES or not isinstance(part[6], int):
        return 0
    if _upper(part[0]) == b"TEXT" and not _is_attached(part):
        return 0
    decoded, encoded = _LEAST_DECODED.get(_upper(part[5]), (1, 1))
    return max(0, part[6] * decoded // encoded - 2)


def _is_attached(part: tuple[Any, ...]) -> bool:
    """The disposition stands at a place that depends on the type, and is told apart by its form."""
    return any(
        isinstance(extension, tuple) and extension and _upper(extension[0]) == b"ATTACHMENT"
        for extension in part[_PLACES:]
    )


def _upper(value: object) -> bytes:
    return value.upper() if isinstance(value, bytes) else b""
