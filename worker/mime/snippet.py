"""The first words of a message for lists and searches, as plain text: HTML is read, never rendered."""

from collections.abc import Iterable
from html.parser import HTMLParser

from worker.domain.text import clean

LENGTH = 200
_MOST_READ = 64 * 1024
"""How far the first words are looked for in an HTML part, style sheets included."""
_PIECE = 4 * 1024
_UNSEEN = frozenset({"script", "style", "title", "head", "template", "noscript"})
_BREAKS = frozenset({"br", "p", "div", "td", "th", "tr", "li", "h1", "h2", "h3", "h4", "blockquote", "hr"})


def snippet_of(plain: Iterable[str], html: Iterable[str]) -> str:
    """The first words of the first text part that has any; of an HTML part where no plain one has."""
    for text in plain:
        if words := clean(text, LENGTH):
            return words
    for text in html:
        if words := clean(_seen_text(text), LENGTH):
            return words
    return ""


def _seen_text(html: str) -> str:
    reader = _TextOfHtml()
    try:
        for start in range(0, min(len(html), _MOST_READ), _PIECE):
            reader.feed(html[start : start + _PIECE])
            if reader.seen > 2 * LENGTH:
                break
    except (AssertionError, ValueError):  # of ``<![<`` and of a character number with thousands of digits
        pass
    return "".join(reader.pieces)


class _TextOfHtml(HTMLParser):
    """Collects what a reader would see; stops nothing, believes nothing."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self.seen = 0
        self._unseen_within: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - HTMLParser's
        """A style sheet or script begins, or a line ends."""
        if tag in _UNSEEN:
            self._unseen_within = self._unseen_within or tag
        elif tag == "body":
            self._unseen_within = None
        elif tag in _BREAKS:
            self.pieces.append(" ")

    def handle_endtag(self, tag: str) -> None:
        """A style sheet or script ends."""
        if tag == self._unseen_within:
            self._unseen_within = None

    def handle_data(self, data: str) -> None:
        """Text between tags."""
        if self._unseen_within is None:
            self.pieces.append(data)
            self.seen += len(data.strip())
