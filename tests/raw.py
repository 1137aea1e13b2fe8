"""What of a stranger's text may reach no terminal, log line or column; apart from the code that takes it out."""

import re

RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
"""Controls but for the end of a line, bidi and zero-width characters, lone surrogates."""
