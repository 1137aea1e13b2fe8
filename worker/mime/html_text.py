"""HTML as the lines of text that a reader would see, quoted as plain text is; HTML is read, never rendered."""

from html.parser import HTMLParser

_PIECE = 4 * 1024
_MOST_UNPARSED = 64 * 1024
"""The parser reads a tag that does not end again with each piece."""
_UNSEEN = frozenset({"script", "style", "title", "head", "template", "noscript"})
_LINES = frozenset({"br", "div", "tr", "li", "dt", "dd", "section", "article", "header", "footer"})
_PARAGRAPHS = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "pre"})
_CELLS = frozenset({"td", "th"})
_RULE = "_" * 32
_MAILTO = "mailto:"


def text_of_html(html: str, *, most_read: int, most_shown: int) -> str:
    """Return the first ``most_shown`` visible characters, or a few more, out of ``most_read`` characters of HTML.

    The last line may be cut.
    """
    reader = _TextOfHtml()
    read = min(len(html), most_read)
    try:
        for start in range(0, read, _PIECE):
            reader.feed(html[start : start + _PIECE])
            if reader.shown > most_shown or len(reader.rawdata) > _MOST_UNPARSED:
                break
        else:
            # The parser of Python 3.14 keeps text back until as much again has come. Its close() is no help: on 3.11
            # that shows a comment without an end as text.
            reader.feed(" " * read)
    except (AssertionError, ValueError):  # of ``<![<`` and of a character number with thousands of digits
        pass
    return reader.text()


class _TextOfHtml(HTMLParser):
    """Collects lines; a block quotation becomes ``>``, a ruled line becomes underscores."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.shown = 0
        self._lines: list[str] = []
        self._line: list[str] = []
        self._depth = 0
        self._unseen_within: str | None = None
        self._link: str | None = None

    def text(self) -> str:
        """Return what was collected so far."""
        self._end_line()
        return "\n".join(self._lines)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """End a line where a block begins, or leave out what is not shown."""
        if tag in _UNSEEN:
            self._unseen_within = self._unseen_within or tag
        elif tag == "body":
            self._unseen_within = None
        elif tag == "a":
            self._link = _address_of(dict(attrs).get("href"))
        elif tag == "blockquote":
            self._end_paragraph()
            self._depth += 1
        elif tag == "hr" or (tag == "div" and _is_ruled(dict(attrs).get("style") or "")):
            self._end_paragraph()
            self._show(_RULE)
            self._end_line()
        else:
            self._break_at(tag)

    def handle_endtag(self, tag: str) -> None:
        """End a line where a block ends."""
        if tag == self._unseen_within:
            self._unseen_within = None
        elif tag == "a":
            self._show_link()
        elif tag == "blockquote":
            self._end_paragraph()
            self._depth = max(0, self._depth - 1)
        elif tag != "br":
            self._break_at(tag)

    def handle_data(self, data: str) -> None:
        """Collect text between tags; white space in HTML is one space."""
        if self._unseen_within is None:
            self._show(data)

    def _show(self, data: str) -> None:
        self._line.append(data)
        self.shown += len(data.strip())

    def _show_link(self) -> None:
        """Add the address that a link leads to where the text does not name it."""
        if self._link and self._link.lower() not in "".join(self._line).lower():
            self._show(f" <{self._link}>")
        self._link = None

    def _break_at(self, tag: str) -> None:
        if tag in _LINES:
            self._end_line(keeps_empty=tag == "br")
        elif tag in _PARAGRAPHS:
            self._end_paragraph()
        elif tag in _CELLS:
            self._line.append(" ")

    def _end_line(self, *, keeps_empty: bool = False) -> None:
        written = "".join(self._line)
        line = " ".join(written.split())
        self._line.clear()
        if line or keeps_empty or "\xa0" in written:  # a block that holds &nbsp; alone is an empty line
            self._lines.append(f"{'> ' * min(self._depth, 3)}{line}")

    def _end_paragraph(self) -> None:
        self._end_line()
        if self._lines and self._lines[-1]:
            self._lines.append("")


def _is_ruled(style: str) -> bool:
    """Tell whether a block has a line above it, as Outlook draws one above the mail that it forwards."""
    return any("solid" in each for each in style.lower().split(";") if each.strip().startswith("border-top:"))


def _address_of(href: str | None) -> str | None:
    if href is None or not href.lower().startswith(_MAILTO):
        return None
    return href[len(_MAILTO) :].partition("?")[0].strip() or None
