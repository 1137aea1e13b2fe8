"""Rows of leads and contacts out of a file as programs really write it, CSV or JSON Lines, and their import (R24)."""

import codecs
import csv
import io
import json
import re
import shutil
import tempfile
import unicodedata
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import typer

from worker.cli.output import STDIN, note, opened, print_fields, print_json, progress_bar
from worker.crm.record_import import BadRow, Imported, ImportPlan, Key, import_records
from worker.crm.work import By, Crm
from worker.domain.addresses import Address, NotAnAddress
from worker.domain.errors import Refused
from worker.domain.records import BAD_EXTERNAL_ID, RecordChange, is_external_id
from worker.domain.text import clean

COLUMNS = ("external_id", "email", "last_name", "first_name", "secondary_email", "owner", "source")
_HEADINGS = {column.replace("_", ""): column for column in COLUMNS} | {"emailaddress": "email"}
"""How a column is named in the first line, without case, spaces and punctuation; each may stand there once."""
_OTHER_HEADINGS = {
    "email": ("email1value", "emailadresse", "adresseemail", "adressemail", "courriel"),
    "secondary_email": ("email2value", "email2address", "email2adresse", "secondaryemailaddress"),
    "last_name": ("nachname", "familienname", "nom", "nomdefamille", "surname"),
    "first_name": ("vorname", "prénom", "givenname"),
}
"""How Google, Outlook, and German and French programs name a column; used if no heading is the column's own name."""
_SEPARATORS = ",;\t|"
_LONGEST_NAME = 200
"""Characters of a name or source that are kept."""
_LONGEST_LINE = 1024 * 1024
"""Characters; a longer line is no row of people."""
_MOST_LINES = 200
"""Of one row: a quotation mark that is left open would take all that follows for its text."""
_MOST_COLUMNS = 1000
_BLOCK = 1024 * 1024
"""Bytes that are read at once to find out the encoding."""
_BROKEN = "\ufffd"
"""What stands for bytes that cannot be decoded."""
_SEPARATOR_LINE = re.compile(r"sep=(.)[\r\n]*")
"""What Excel writes above the names of the columns, and reads."""
_LEFT_OPEN = "a quotation mark is left open"


@dataclass(frozen=True, slots=True)
class RecordFile:
    """A file of rows that is open; ``size`` in bytes."""

    name: str
    size: int
    _binary: BinaryIO
    _text: IO[str]
    _is_json: bool

    def rows(self, key: Key | None) -> Iterator[RecordChange | BadRow]:
        """Read the rows in order; a bad one is named by the line that it begins on, and costs no other row.

        Raises:
            Refused: when the first line of a CSV names no column that finds a record, or cannot be read.
        """
        return _json_rows(self._text) if self._is_json else _csv_rows(self._text, self.name, key)

    @property
    def done(self) -> int:
        """The bytes that have been read so far."""
        return self._binary.tell()


@contextmanager
def open_records(file: Path) -> Iterator[RecordFile]:
    """Open a file of rows, ``-`` for stdin; a stream is copied to a temporary file first.

    Raises:
        Refused: when it cannot be read.
    """
    name = "stdin" if file == STDIN else str(file)
    with opened(file) as source, _seekable(source) as binary:
        encoding = _encoding_of(binary)
        size = binary.seek(0, io.SEEK_END)
        binary.seek(0)
        text = io.TextIOWrapper(cast("Any", binary), encoding=encoding, errors="replace", newline="")
        first = text.read(_BLOCK).lstrip("\ufeff \t\r\n")
        text.seek(0)
        try:
            yield RecordFile(name, size, binary, text, _is_json=first.startswith("{"))
        finally:
            text.detach()  # else it would close stdin


@contextmanager
def _seekable(source: BinaryIO) -> Iterator[BinaryIO]:
    if source.seekable():
        yield source
        return
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(source, copy)
        copy.seek(0)
        yield cast("BinaryIO", copy)


def _encoding_of(binary: BinaryIO) -> str:
    """Tell UTF-16, with or without its mark, from UTF-8; what is neither is what a spreadsheet on Windows writes.

    A few bad bytes do not make a file something else than UTF-8.
    """
    block = binary.read(_BLOCK)
    if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    sample = block[:1000]
    zeros = sample[0::2].count(0), sample[1::2].count(0)
    if max(zeros) > len(sample) // 5 and min(zeros) * 10 < max(zeros):
        return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
    letters = broken = 0
    while block:
        if not block.isascii():
            text = decoder.decode(block)
            broken += text.count(_BROKEN)
            letters += sum(not char.isascii() for char in text)
        block = binary.read(_BLOCK)
    return "cp1252" if broken > letters - broken else "utf-8-sig"


class _Lines:
    """The lines of a file as a CSV reader asks for them. Lines that a row swallowed can be given again."""

    def __init__(self, text: IO[str]) -> None:
        self._text = text
        self._again: deque[str] = deque()
        self.row: list[str] = []
        """The lines of the present row."""
        self.begin = 0
        """The lines before the present row."""
        self.ran_out = False

    def start_row(self) -> None:
        """Begin the next row below this one."""
        self.begin += len(self.row)
        self.row = []
        self.ran_out = False

    def give_back(self) -> None:
        """Have the next row begin on the second line of this one."""
        self.put_back(self.row[1:])
        del self.row[1:]

    def put_back(self, lines: Sequence[str]) -> None:
        """Have the next row begin with these lines."""
        self._again.extendleft(reversed(lines))

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self.row) >= _MOST_LINES:
            raise csv.Error(_LEFT_OPEN)
        line = self._again.popleft() if self._again else self._text.readline(_LONGEST_LINE)
        if not line:
            self.ran_out = True
            raise StopIteration
        self.row.append(line)
        if len(line) == _LONGEST_LINE and not line.endswith(("\n", "\r")):
            self._skip_rest_of_line()
            raise csv.Error(f"the line is longer than {_LONGEST_LINE} characters")
        return line

    def _skip_rest_of_line(self) -> None:
        self.row[-1] = ""
        while (more := self._text.readline(_LONGEST_LINE)) and not more.endswith(("\n", "\r")):
            pass


class _Table:
    """The rows of a CSV file."""

    def __init__(self, text: IO[str]) -> None:
        self._lines = _Lines(text)
        heading = text.readline(_LONGEST_LINE)
        while heading and not heading.strip(_SEPARATORS + " \r\n"):
            self._lines.begin += 1
            heading = text.readline(_LONGEST_LINE)
        named = _SEPARATOR_LINE.fullmatch(heading)
        if named:
            self._lines.begin += 1
        else:
            self._lines.put_back([heading])
        self._separator = named[1] if named else max(_SEPARATORS, key=heading.count)
        self._reader = csv.reader(self._lines, delimiter=self._separator)

    @property
    def line(self) -> int:
        """The line that the row begins on, counted from 1."""
        return self._lines.begin + 1

    def next_row(self) -> list[str] | None:
        """Read the next row; None after the last. After an error the next row begins on the line below."""
        self._lines.start_row()
        try:
            row = next(self._reader, None)
            self._check_quotation_marks()
        except csv.Error:
            self._lines.give_back()
            raise
        return row

    def refuse_line_breaks(self, row: list[str], places: Mapping[str, int]) -> None:
        """Refuse a row with a line break in a cell that no program writes there."""
        if len(self._lines.row) == 1:
            return
        for column, place in places.items():
            cell = row[place].rstrip() if place < len(row) else ""
            if "\n" in cell or "\r" in cell:
                self._lines.give_back()
                raise csv.Error(f"a line break within {column}: is a quotation mark left open?")

    def _check_quotation_marks(self) -> None:
        """Refuse a row whose open mark ended with the file, or where the next row opens one."""
        lines = self._lines
        if lines.row and lines.ran_out:
            raise csv.Error(_LEFT_OPEN)
        if len(lines.row) > 1:
            try:
                next(csv.reader(lines.row, delimiter=self._separator, strict=True))
            except csv.Error as error:
                raise csv.Error(_LEFT_OPEN) from error


def _csv_rows(text: IO[str], name: str, key: Key | None) -> Iterator[RecordChange | BadRow]:
    table = _Table(text)
    try:
        heading = table.next_row()
    except csv.Error as error:
        raise Refused(f"line 1 of {name} cannot be read: {error}") from error
    if heading is None:
        raise Refused(f"{name} is empty: line 1 must name the columns ({', '.join(COLUMNS)})")
    return _rows_below(table, heading, _places(heading, name, key))


def _rows_below(table: _Table, heading: list[str], places: Mapping[str, int]) -> Iterator[RecordChange | BadRow]:
    while True:
        try:
            row = table.next_row()
            if row is None:
                return
            table.refuse_line_breaks(row, places)
        except csv.Error as error:
            yield BadRow(table.line, str(error))
            continue
        if row == heading:
            yield BadRow(table.line, "the names of the columns once more")
        elif len(row) > len(heading) and "".join(row[len(heading) :]).strip():
            yield BadRow(table.line, f"{len(row)} cells, but line 1 names {len(heading)} columns")
        elif "".join(row).strip():
            yield _change(table.line, _cells(row, places))


def _cells(row: list[str], places: Mapping[str, int]) -> dict[str, str]:
    """Return the cells by column. A short row lacks some, and the record keeps its values there."""
    width = len(row)
    return {column: row[place].strip() for column, place in places.items() if place < width}


def _places(heading: Sequence[str], name: str, key: Key | None) -> dict[str, int]:
    """Find where the columns are that a record can have."""
    if len(heading) > _MOST_COLUMNS:
        raise Refused(f"line 1 of {name} names {len(heading)} columns: at most {_MOST_COLUMNS} can be read")
    names = [_column_of(cell) for cell in heading]
    for column in COLUMNS:
        if names.count(column) > 1:
            raise Refused(f"line 1 of {name} names the column {column} twice")
        other = next((other for other in _OTHER_HEADINGS.get(column, ()) if other in names), None)
        if column not in names and other:
            names[names.index(other)] = column
    needed = {"email", "external_id"} if key is None else {key.value}
    if not needed.intersection(names):
        raise Refused(
            f"{name} has no column {' or '.join(sorted(needed))}: line 1 must name the columns"
            f" ({', '.join(COLUMNS)}), and begins with {clean(','.join(heading)[:60], 60)!r}"
        )
    return {column: names.index(column) for column in COLUMNS if column in names}


def _column_of(cell: str) -> str:
    name = re.sub(r"[\W_]+", "", unicodedata.normalize("NFC", cell).lower())
    return _HEADINGS.get(name, name)


def _json_rows(text: IO[str]) -> Iterator[RecordChange | BadRow]:
    line = 0
    while content := text.readline(_LONGEST_LINE):
        line += 1
        if len(content) == _LONGEST_LINE and not content.endswith("\n"):
            while (more := text.readline(_LONGEST_LINE)) and not more.endswith("\n"):
                pass
            yield BadRow(line, f"the line is longer than {_LONGEST_LINE} characters")
        elif content.strip():
            yield _json_row(line, content)


def _json_row(line: int, content: str) -> RecordChange | BadRow:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return BadRow(line, "this is no JSON")
    if not isinstance(found, dict):
        return BadRow(line, "this is no JSON object")
    cells: dict[str, str] = {}
    for name, value in found.items():
        column = _column_of(name)
        if column not in COLUMNS:
            continue
        if isinstance(value, bool) or not isinstance(value, (str, int, type(None))):
            return BadRow(line, f"{column} must be text")
        cells[column] = "" if value is None else str(value).strip()
    return _change(line, cells)


def _change(line: int, cells: Mapping[str, str]) -> RecordChange | BadRow:
    external_id = cells.get("external_id", "")
    if not external_id and not cells.get("email"):
        return BadRow(line, "no email" if "external_id" not in cells else "neither an external ID nor an email")
    if not is_external_id(external_id):
        return BadRow(line, BAD_EXTERNAL_ID)
    values: dict[str, Any] = {}
    for column, cell in cells.items():
        if _BROKEN in cell:
            return BadRow(line, f"{column} holds bytes that cannot be decoded")
        try:
            values[column] = _READERS[column](cell)
        except NotAnAddress as error:
            return BadRow(line, clean(str(error), 200))
    return RecordChange(**values, line=line)


def _address(cell: str) -> Address | None:
    return Address.parse(cell) if cell else None


def _text_or_null(cell: str) -> str | None:
    return cell or None


def _name(cell: str) -> str:
    return clean(cell, _LONGEST_NAME)


_READERS: Mapping[str, Callable[[str], object]] = {
    "external_id": _text_or_null,
    "email": _address,
    "last_name": _name,
    "first_name": _name,
    "secondary_email": _address,
    "owner": _text_or_null,
    "source": _name,
}
"""How each column is read."""

_MOST_LISTED = 1000
"""Refused rows that the JSON names; stderr names them all."""


def key_named(name: str | None) -> Key | None:
    """Read the value of ``--key``.

    Raises:
        typer.BadParameter: when there is no such key.
    """
    try:
        return None if name is None else Key(name.strip().lower().replace("-", "_"))
    except ValueError as error:
        raise typer.BadParameter(f"--key must be {' or '.join(Key)}") from error


def import_file(crm: Crm, plan: ImportPlan, file: Path, by: By, *, as_json: bool) -> None:
    """Import a file and print what became of its rows.

    Raises:
        Refused: when the file cannot be read, or the acting user may not.
        Unavailable: when the database is down.
        typer.Exit: with code 1 when there are rows and none of them is good.
    """
    counts: Counter[str] = Counter()
    listed: list[BadRow] = []
    with open_records(file) as records, progress_bar(f"{plan.module}s", records.size) as progress:
        for done in import_records(crm, plan, records.rows(plan.key), by):
            for row in done.bad:
                note(f"line {row.line}: {row.why}")
            listed += done.bad[: _MOST_LISTED - len(listed)]
            counts.update(done.counts)
            progress(records.done)
    counts = counts or Counter(Imported().counts)
    if as_json:
        print_json({**counts, "bad": [asdict(row) for row in listed]})
    else:
        print_fields(counts.items())
    if counts["skipped"] and not (counts["created"] or counts["updated"] or counts["unchanged"]):
        raise typer.Exit(1)
