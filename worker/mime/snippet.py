"""The first words of a message for lists and searches, as plain text: HTML is read, never rendered."""

from collections.abc import Iterable

from worker.domain.text import clean
from worker.mime.html_text import text_of_html

LENGTH = 200
_MOST_READ = 64 * 1024
"""How far the first words are looked for in an HTML part, style sheets included."""


def snippet_of(plain: Iterable[str], html: Iterable[str]) -> str:
    """Return the first words of the first plain text part that has any, else of an HTML part."""
    for text in plain:
        if words := clean(text, LENGTH):
            return words
    for text in html:
        if words := clean(text_of_html(text, most_read=_MOST_READ, most_shown=2 * LENGTH), LENGTH):
            return words
    return ""
