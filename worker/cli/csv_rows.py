"""Leads and contacts out of a CSV file, as spreadsheets really write them: encodings, separators, odd headings."""

import csv
import io
from collections.abc import Iterator, Mapping

from worker.crm.record_import import BadRow
from worker.crm.record_rows import RecordDraft
from worker.domain.addresses import Address, NotAnAddress
from worker.domain.errors import Refused
from worker.domain.text import clean

COLUMNS = ("email", "last_name", "first_name", "secondary_email", "owner")
_SEPARATORS = ",;\t"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_LONGEST_NAME = 200
_LEFT_OPEN = "a quotation mark is left open"


class _Table:
    """The records of a CSV file. What a quotation mark that was left open swallowed can be read again, line by line."""

    def __init__(self, text: str) -> None:
        self._lines = io.StringIO(text, newline="").readlines()
        self._separator = _separator(text)
        self._reader = csv.reader(self, delimiter=self._separator)
        self._begin = self._end = 0
        self._ran_out = False

    @property
    def line(self) -> int:
        """The line that the record begins on, counted from 1."""
        return self._begin + 1

    def record(self) -> list[str] | None:
        """The next record; None after the last. Raises `csv.Error` for one that cannot be read."""
        self._begin, self._ran_out = self._end, False
        record = next(self._reader, None)
        if record is not None and self._ran_out:
            raise csv.Error(_LEFT_OPEN)
        if self._end - self._begin > 1:
            self._check_quotation_marks()
        return record

    def go_on_below(self) -> None:
        """Have the next record begin on the line below that of this one, wherever this one ended."""
        self._end = self._begin + 1

    def _check_quotation_marks(self) -> None:
        """A mark that is left open ends where the next row opens one, and takes that row for its own text."""
        lines = self._lines[self._begin : self._end]
        try:
            next(csv.reader(lines, delimiter=self._separator, strict=True))
        except csv.Error as error:
            raise csv.Error(_LEFT_OPEN) from error

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """One line, as the reader asks for it: within a record only where a cell goes on."""
        if self._end == len(self._lines):
            self._ran_out = True
            raise StopIteration
        self._end += 1
        return self._lines[self._end - 1]


def read_drafts(content: bytes, name: str) -> Iterator[RecordDraft | BadRow]:
    """The rows in order; a bad one is named by the line that it begins on, and costs no other row.

    Raises:
        Refused: when the first line names no column ``email``, or cannot be read.
    """
    table = _Table(_decoded(content))
    try:
        places = _places(table.record() or [], name)
    except csv.Error as error:
        raise Refused(f"the first line of {name} cannot be read: {error}") from error
    while True:
        try:
            record = table.record()
            if record is None:
                return
            cells = {column: record[place] for column, place in places.items() if place < len(record)}
            _refuse_line_breaks(cells)
        except csv.Error as error:
            yield BadRow(table.line, str(error))
            table.go_on_below()
            continue
        if any(cell.strip() for cell in record):
            yield _draft(table.line, {column: cell.strip() for column, cell in cells.items()})


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


def _refuse_line_breaks(cells: Mapping[str, str]) -> None:
    for column, cell in cells.items():
        if "\n" in cell.rstrip() or "\r" in cell.rstrip():
            raise csv.Error(f"a line break within {column}: is a quotation mark left open?")


def _draft(line: int, cells: Mapping[str, str]) -> RecordDraft | BadRow:
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
