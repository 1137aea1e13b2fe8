"""Leads and contacts out of a CSV file, as spreadsheets really write them: encodings, separators, odd headings."""

import csv
import io
from collections.abc import Iterator, Mapping

from worker.domain.addresses import Address, NotAnAddress
from worker.domain.errors import Refused
from worker.domain.text import clean
from worker.store.administration.record_import import BadRow
from worker.store.administration.record_rows import RecordDraft

COLUMNS = ("email", "last_name", "first_name", "secondary_email", "owner")
_SEPARATORS = ",;\t"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_LONGEST_NAME = 200


def read_drafts(content: bytes, name: str) -> Iterator[RecordDraft | BadRow]:
    """The rows in order; a bad one is named by the line that it begins on, and costs no other row.

    Raises:
        Refused: when the first line names no column ``email``.
    """
    text = _decoded(content)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text))
    places = _places(next(reader, []), name)
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield BadRow(line, str(error))
            continue
        if any(cell.strip() for cell in row):
            yield _draft(line, {column: row[place].strip() for column, place in places.items() if place < len(row)})


def _decoded(content: bytes) -> str:
    if content.startswith(_UTF_16_MARKS):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")  # what a spreadsheet on Windows writes


def _separator(text: str) -> str:
    heading = text.partition("\n")[0]
    return max(_SEPARATORS, key=heading.count)


def _places(heading: list[str], name: str) -> dict[str, int]:
    names = [cell.strip().lower().replace(" ", "_").replace("-", "_") for cell in heading]
    places = {column: names.index(column) for column in COLUMNS if column in names}
    if "email" not in places:
        raise Refused(f"{name} has no column email: the first line must name the columns ({', '.join(COLUMNS)})")
    return places


def _draft(line: int, cells: Mapping[str, str]) -> RecordDraft | BadRow:
    for column, cell in cells.items():
        if "\n" in cell or "\r" in cell:
            return BadRow(line, f"a line break within {column}: is a quotation mark left open?")
    if not cells.get("email"):
        return BadRow(line, "no email")
    try:
        email = Address.parse(cells["email"])
        secondary = Address.parse(cells["secondary_email"]) if cells.get("secondary_email") else None
    except NotAnAddress as error:
        return BadRow(line, clean(str(error), 200))
    return RecordDraft(
        email=email,
        last_name=clean(cells.get("last_name", ""), _LONGEST_NAME),
        first_name=clean(cells.get("first_name", ""), _LONGEST_NAME),
        secondary_email=secondary,
        owner=cells.get("owner") or None,
        line=line,
    )
