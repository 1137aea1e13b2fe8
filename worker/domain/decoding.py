"""Values of header fields, decoded: comments (RFC 5322 §3.2.2), bytes in any charset, encoded words (RFC 2047).

Mail is labelled wrongly so often that mail programs and browsers agree on what a label really means: gb2312 is GBK,
iso-8859-1 is windows-1252. Python's codecs of those names are the narrow ones.
"""

import binascii
import codecs
import re
from functools import lru_cache

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
    """Return the value without comments that are nested deeper or left open, or that hold quoted characters."""
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


_MOST_ENCODED = 8 * 1024
"""Characters of a field in which encoded words are looked for; a subject or a name is cut long before."""
_WORD = re.compile(r"=\?([^?*\s]+)(?:\*[^?\s]*)?\?([bq])\?((?:(?!\?=|=\?(?!=)).)*+)\?=", re.IGNORECASE | re.DOTALL)
"""Charset, perhaps a language (RFC 2231 §5), encoding, text."""
_GLUED = re.compile(r"[^.\0]\0|\0[^.\0]")
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]+")
_BY_LABEL = {
    **dict.fromkeys(("iso-8859-8-i", "iso-8859-8-e", "csiso88598i", "csiso88598e", "logical", "visual"), "iso-8859-8"),
    **dict.fromkeys(("iso-8859-6-i", "iso-8859-6-e", "csiso88596i", "csiso88596e"), "iso-8859-6"),
    **dict.fromkeys(("windows-874", "dos-874"), "cp874"),
    **dict.fromkeys(("gb_2312", "gb_2312-80", "csgb2312", "x-gbk"), "gb18030"),
    **dict.fromkeys(("cn-big5", "x-x-big5"), "big5hkscs"),
    **dict.fromkeys(("windows-31j", "x-sjis"), "cp932"),
    **dict.fromkeys(("cp50220", "cp50221", "cp50222", "iso-2022-jp-ms"), "iso2022_jp"),
    **dict.fromkeys(("cseucpkdfmtjapanese", "x-euc-jp"), "euc_jp"),
    **dict.fromkeys(("ks_c_5601-1989", "ksc_5601", "windows-949", "iso-ir-149", "csksc56011987", "cseuckr"), "cp949"),
    **dict.fromkeys(("csmacintosh", "mac", "x-mac-roman"), "mac-roman"),
    **dict.fromkeys(("x-mac-cyrillic", "x-mac-ukrainian"), "mac-cyrillic"),
    **dict.fromkeys(("koi", "koi8"), "koi8-r"),
    **dict.fromkeys(("unicode", "csunicode", "ucs-2", "iso-10646-ucs-2", "unicodefeff"), "utf-16-le"),
    **dict.fromkeys(("unicode-1-1-utf-8", "unicode11utf8", "unicode20utf8", "x-unicode20utf8"), "utf-8"),
    **{f"x-cp125{number}": f"cp125{number}" for number in range(9)},
    **{f"iso8859{part}": f"iso-8859-{part}" for part in (*range(1, 12), 13, 14, 15)},
    "koi8-ru": "koi8-u",
    "csisolatin9": "iso-8859-15",
    "sun_eu_greek": "iso-8859-7",
    "unicodefffe": "utf-16-be",
}
"""Labels of the WHATWG table that Python does not know."""
_WIDER = {
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}
"""By the name of Python's codec: the codec that the WHATWG table gives its labels."""
_JIS = "iso2022_jp"
_JIS_ESCAPE = re.compile(rb"\x1b(\$[@B]|\([BIJ])")
_JIS_PAIR = re.compile(rb"[\x21-\x7e]{2}")
_NO_CHARSETS = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "ascii"})
"""Codecs that are no charset; and ASCII, which is said of mail of any charset."""


def decode(octets: bytes, label: str = "") -> str:
    """Decode bytes by the label of their charset; never raises. Without a known label it is UTF-8 or windows-1252."""
    codec = _codec(label)
    if codec is None:
        return _decode_unlabelled(octets)
    if codec == _JIS:
        return _decode_jis(octets)
    try:
        return octets.decode(codec, "replace")
    except (LookupError, ValueError):
        return _decode_unlabelled(octets)


def has_glued_word(address: str) -> bool:
    """Tell whether an encoded word stands right beside other text, where RFC 2047 §5 asks for space.

    The word may be the whole address, its whole local part, or whole labels of its domain.
    """
    local, _, domain = _WORD.sub("\0", address).rpartition("@")
    return ("\0" in local and bool(local.strip("\0"))) or bool(_GLUED.search(domain))


def _decode_jis(octets: bytes) -> str:
    """Decode ISO-2022-JP by way of Shift_JIS: Python's own codec lacks NEC's ``①`` and half-width katakana."""
    first, *pieces = _JIS_ESCAPE.split(octets)
    shifted = [first]
    for charset, text in zip(pieces[::2], pieces[1::2], strict=True):
        if charset.startswith(b"$"):
            shifted.append(_JIS_PAIR.sub(_in_shift_jis, text))
        else:
            shifted.append(bytes(octet | 0x80 for octet in text) if charset == b"(I" else text)
    return b"".join(shifted).decode("cp932", "replace")


def _in_shift_jis(pair: re.Match[bytes]) -> bytes:
    row, cell = pair[0]
    lead = (row + 1) // 2 + (0x70 if row < 0x5F else 0xB0)  # noqa: PLR2004 - the rows below and above the gap
    if row % 2 == 0:
        return bytes((lead, cell + 0x7E))
    return bytes((lead, cell + (0x1F if cell < 0x60 else 0x20)))  # noqa: PLR2004 - 0x7F is left out


def decode_words(text: str) -> str:
    """Decode the encoded words of a field's value; whatever is broken stays as it is written."""
    if "=?" not in text:
        return text
    text = text[:_MOST_ENCODED]
    pieces: list[str] = []
    waiting: list[bytes] = []
    label = ""
    end = 0
    for word in _WORD.finditer(text):
        between = text[end : word.start()]
        is_continued = bool(waiting) and not between.strip()
        if waiting and not (is_continued and word[1].lower() == label):
            # A character may be split between two words of one charset.
            pieces.append(decode(b"".join(waiting), label))
            waiting.clear()
        if not is_continued:
            pieces.append(between)
        waiting.append(_octets(*word.groups()))
        label, end = word[1].lower(), word.end()
    pieces.append(decode(b"".join(waiting), label) if waiting else "")
    return "".join([*pieces, text[end:]])


def _octets(label: str, encoding: str, text: str) -> bytes:
    if encoding in "qQ":
        # Some programs leave letters that are not ASCII as they are.
        octets = text.encode("ascii" if text.isascii() else _codec(label) or "utf-8", "replace")
        return binascii.a2b_qp(octets, header=True)
    digits = _NOT_BASE64.sub("", text)
    if len(digits) % 4 == 1:
        digits = digits[:-1]
    return binascii.a2b_base64(digits + "=" * (-len(digits) % 4))


def _decode_unlabelled(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("cp1252", "replace")


@lru_cache(maxsize=256)
def _codec(label: str) -> str | None:
    """Return the name of the codec for a label, or None for a label that is unknown or says nothing."""
    stated = label.strip(" \t\"'").lower()[:40]
    try:
        name = codecs.lookup(_BY_LABEL.get(stated, stated)).name
    except (LookupError, ValueError):
        return None
    return None if name in _NO_CHARSETS else _WIDER.get(name, name)
