"""CSV files as spreadsheets write them."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import JANE, CommandLine
from worker.cli.csv_rows import read_drafts
from worker.cli.files import read_file, write_result
from worker.crm.record_import import BadRow
from worker.crm.record_rows import RecordDraft
from worker.domain.errors import Refused

TEXT = "Notes,EMAIL,Last Name,first_name,Secondary-Email,Owner\n,a@x.example,Übel,Änn,b@x.example,jane@acme.example\n"


def drafts(content: bytes | str) -> list[RecordDraft | BadRow]:
    return list(read_drafts(content.encode() if isinstance(content, str) else content, "people.csv"))


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        TEXT.encode("utf-16-be").join([b"\xfe\xff", b""]),
        TEXT.encode("cp1252"),
        TEXT.replace(",", ";").encode(),
        TEXT.replace(",", "\t").encode(),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.rstrip("\n").encode(),
    ],
    ids=["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252", "semicolon", "tab", "crlf", "no last line end"],
)
def test_encodings_separators_and_headings_are_tolerated(content: bytes) -> None:
    [draft] = drafts(content)
    assert isinstance(draft, RecordDraft)
    assert (draft.email.text, draft.last_name, draft.first_name) == ("a@x.example", "Übel", "Änn")
    assert draft.secondary_email is not None
    assert draft.secondary_email.text == "b@x.example"
    assert (draft.owner, draft.line) == (JANE, 2)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("nonsense,A", "not an e-mail address"),
        (",A", "no email"),
        ("a@x.example,A,nonsense", "not an e-mail address"),
        ('a@x.example,A,b@x.example,"open', "quotation mark is left open"),
        (f'a@x.example,"{"x" * 200_000}', "field larger"),
        ("a@x.example, b@x.example", None),
        ('"a@x.example, b@x.example",B', "not an e-mail address"),
    ],
)
def test_a_bad_row_is_named_by_its_line(row: str, why: str | None) -> None:
    [bad] = drafts(f"email,last_name,secondary_email\n{row}")
    if why is None:
        assert isinstance(bad, RecordDraft)
        return
    assert isinstance(bad, BadRow)
    assert bad.line == 2
    assert why in bad.why


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ('a@x.example,"A,\nb@x.example,B,\nc@x.example,C,\nd@x.example,D,\n', "a quotation mark is left open"),
        ('a@x.example,A,"open\nb@x.example,B,\nc@x.example,C,\nd@x.example,D,\n', "a quotation mark is left open"),
        (
            'a@x.example,A,"open\nb@x.example,B,\nc@x.example,C,"its own"\nd@x.example,D,\n',
            "a quotation mark is left open",
        ),
        (
            'a@x.example,"A,\nb@x.example,B",\nc@x.example,C,\nd@x.example,D,\n',
            "a line break within last_name: is a quotation mark left open?",
        ),
        (
            'a@x.example,"\nb@x.example,B",\nc@x.example,C,\nd@x.example,D,\n',
            "a line break within last_name: is a quotation mark left open?",
        ),
    ],
    ids=["our column", "another column", "up to another's mark", "up to a stray mark", "at the cell's begin"],
)
def test_a_quotation_mark_left_open_costs_its_own_row_alone(rows: str, why: str) -> None:
    bad, *rest = drafts(f"email,last_name,notes\n{rows}")
    assert bad == BadRow(2, why)
    assert [(row.email.text, row.line) for row in rest if isinstance(row, RecordDraft)] == [
        ("b@x.example", 3),
        ("c@x.example", 4),
        ("d@x.example", 5),
    ]


def test_a_first_line_with_a_quotation_mark_left_open_is_no_empty_file() -> None:
    with pytest.raises(Refused, match=r"the first line of people\.csv cannot be read: a quotation mark is left open"):
        drafts('email,"notes\na@x.example,A\n')


def test_a_line_break_at_the_end_of_a_name_is_none_within_it() -> None:
    [draft] = drafts('email,last_name\na@x.example,"A\n"\n')
    assert isinstance(draft, RecordDraft)
    assert draft.last_name == "A"


def test_lines_are_counted_as_an_editor_counts_them() -> None:
    rows = drafts('email,notes\na@x.example,"one\ntwo\nthree"\n\n \nnonsense,\nb@x.example\n')
    assert [row.line for row in rows] == [2, 7, 8]
    assert isinstance(rows[1], BadRow)


@pytest.mark.parametrize("content", ["", "\n", "name,phone\nA,1\n", "\x00\x01"])
def test_a_file_without_a_column_email_is_refused(content: str) -> None:
    with pytest.raises(Refused, match="has no column email"):
        drafts(content)


def test_bad_rows_are_skipped_and_the_rest_imported(cli: CommandLine, tmp_path: Path) -> None:
    cli.ok(f"user add {JANE}")
    file = tmp_path / "people.csv"
    file.write_text(f"email,owner\na@x.example,{JANE}\nnonsense,\nb@x.example,nobody@acme.example\nc@x.example\n")
    ran = cli.ok(f"contact import {file}")
    assert ran.out.split() == ["imported", "2", "skipped", "2", "attached", "0"]
    assert [line.partition(":")[0] for line in ran.err.splitlines()] == ["line 3", "line 4"]
    rows = [(row["email"], row["owner"]) for row in cli.json("contact list")]
    assert rows == [("c@x.example", None), ("a@x.example", JANE)]
    again = cli.json(f"lead import {file}")
    assert (again["imported"], again["skipped"], [row["line"] for row in again["bad"]]) == (2, 2, [3, 4])


def test_an_import_without_one_good_row_has_failed(cli: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("email\nnonsense\n")
    assert cli.run(f"contact import {file}").code == 1


def test_a_file_that_is_not_there_is_named(cli: CommandLine) -> None:
    assert "/no/where.csv cannot be read" in cli.refused("contact import /no/where.csv")


def test_a_file_is_read_from_stdin_too(cli: CommandLine) -> None:
    ran = cli.run("contact import -", stdin=b"email\nnonsense\na@x.example\n")
    assert (ran.code, ran.out.split()[:2]) == (0, ["imported", "1"])
    assert ran.err.startswith("line 2: ")
    assert cli.run("contact import -", stdin=b"name\n").err.startswith("error: stdin has no column email")


@contextmanager
def by_another_user(file: Path) -> Iterator[None]:
    """As the installed command runs, also for root: by a user who does not reach what root's shell does."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    else:
        file.touch(mode=0o000)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def test_a_file_that_only_the_shell_reaches_is_told_with_what_to_do(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    file = tmp_path / "my people.csv"
    with by_another_user(file):
        with pytest.raises(Refused) as unread:
            read_file(file)
        with pytest.raises(Refused) as unwritten:
            write_result(b"", file)
    assert re.search(r"cannot be read by the user \w+: .* let your shell read it: … - < '/.*'$", str(unread.value))
    assert re.search(r"cannot be written by the user \w+: .* shell write it: … > '/.*'$", str(unwritten.value))
