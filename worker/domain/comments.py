"""Comments in a structured field (RFC 5322 §3.2.2): within parentheses, and within one another."""

import re

_DEEPEST = 2
"""Comments within comments that servers write: what TLS was used, with the bits of its cipher."""
_INNERMOST_COMMENT = re.compile(r"\([^()]*\)")


def without_comments(value: str) -> str:
    """Return the value without its comments and those within them. An open comment goes on to the end."""
    left = value
    for _ in range(_DEEPEST):
        left = _INNERMOST_COMMENT.sub("", left)
    if "\\" in value or "(" in left or ")" in left:
        return _as_written(value)
    return left


def is_balanced(value: str) -> bool:
    """Tell whether each comment that is opened is closed, and none is closed that is not open."""
    if "(" not in value and ")" not in value:
        return True
    depth = 0
    for piece in re.findall(r"\\.|[()]", value):
        depth += (piece == "(") - (piece == ")")
        if depth < 0:
            return False
    return depth == 0


def _as_written(value: str) -> str:
    """Read the same where some are nested deeper or left open, or where characters are quoted."""
    kept: list[str] = []
    depth = 0
    for piece in re.split(r"(\\.|[()])", value):
        if piece == "(":
            depth += 1
        elif piece == ")":
            depth = max(0, depth - 1)
        elif depth == 0:
            kept.append(piece)
    return "".join(kept)
