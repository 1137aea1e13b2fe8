"""Files of records as spreadsheets and programs write them."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import JANE, CommandLine
from worker.cli.output import opened, write_result
from worker.cli.record_files import open_records
from worker.crm.record_import import BadRow, Key
from worker.domain.addresses import Address
from worker.domain.errors import Refused
from worker.domain.records import UNSET, RecordChange

TEXT = "Notes,E-Mail,Last Name,first_name,Secondary-Email,Owner\n,a@x.example,Übel,Änn,b@x.example,jane@acme.example\n"


@pytest.fixture
def people(tmp_path: Path) -> Path:
    return tmp_path / "people.csv"


def read(file: Path, content: bytes | str, key: Key | None = None) -> list[RecordChange | BadRow]:
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with open_records(file) as records:
        return list(records.rows(key))


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        TEXT.encode("utf-16-be").join([b"\xfe\xff", b""]),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        TEXT.encode("cp1252"),
        TEXT.replace(",", ";").encode(),
        TEXT.replace(",", "\t").encode(),
        TEXT.replace(",", "|").encode(),
        TEXT.replace("\n", "\r").encode(),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.rstrip("\n").encode(),
    ],
    ids=[
        "utf-8",
        "utf-8-sig",
        "utf-16",
        "utf-16-be",
        "utf-16-le without its mark",
        "utf-16-be without its mark",
        "cp1252",
        "semicolon",
        "tab",
        "bar",
        "cr",
        "crlf",
        "no last line end",
    ],
)
def test_encodings_separators_and_headings_are_tolerated(people: Path, content: bytes) -> None:
    [row] = read(people, content)
    assert isinstance(row, RecordChange)
    assert (row.email, row.secondary_email) == (Address.parse("a@x.example"), Address.parse("b@x.example"))
    assert (row.last_name, row.first_name, row.owner) == ("Übel", "Änn", JANE)
    assert (row.external_id, row.source, row.line) == (UNSET, UNSET, 2)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("nonsense,A", "not an e-mail address"),
        (",A", "no email"),
        ("a@x.example,A,nonsense", "not an e-mail address"),
        ('a@x.example,A,b@x.example,"open', "quotation mark is left open"),
        (f'a@x.example,"{"x" * 200_000}', "field larger"),
        ('"a@x.example, b@x.example",B', "not an e-mail address"),
        ("a@x.example\x00,A", "not a domain"),
        ("email,last_name,secondary_email", "the names of the columns once more"),
        ("a@x.example," + "x" * 1_100_000, "the line is longer than"),
    ],
)
def test_a_bad_row_is_named_by_its_line_and_costs_no_other(people: Path, row: str, why: str) -> None:
    bad, good = read(people, f"email,last_name,secondary_email\n{row}\nb@x.example,B,\n")
    assert isinstance(bad, BadRow)
    assert (bad.line, why in bad.why) == (2, True)
    assert isinstance(good, RecordChange)
    assert good.line == 3


@pytest.mark.parametrize(
    "heading",
    [
        "Email,Secondary Email,Last Name,First Name",  # Zoho, HubSpot
        "EMAIL,SECONDARY_EMAIL,LASTNAME,FIRSTNAME",
        "Email,SecondaryEmail,LastName,FirstName",  # Salesforce
        "\u00a0E-Mail Address ,secondary  e-mail,Last\u00a0Name,First-Name",
        "E-mail 1 - Value,E-mail 2 - Value,Last Name,First Name",  # Google
        "E-mail Address,E-mail 2 Address,Last Name,First Name",  # Outlook
        "E-Mail-Adresse,E-Mail 2: Adresse,Nachname,Vorname",
        "Adresse e-mail,E-mail 2 - Value,Nom,Pre\u0301nom",
        "Courriel,secondary_email,Nom de famille,Prénom",
        "email,secondary_email,last_name,first_name,Nachname,Vorname,Courriel",
        "\n;;\nemail,secondary_email,last_name,first_name",
    ],
)
def test_a_column_is_known_by_the_headings_that_programs_write(people: Path, heading: str) -> None:
    [row] = read(people, f"{heading}\na@x.example,b@x.example,Doe,Jane\n")
    assert isinstance(row, RecordChange)
    assert (row.email, row.secondary_email) == (Address.parse("a@x.example"), Address.parse("b@x.example"))
    assert (row.last_name, row.first_name, row.line) == ("Doe", "Jane", heading.count("\n") + 2)


def test_a_separator_that_excel_names_above_the_columns_is_used(people: Path) -> None:
    [row] = read(people, "sep=|\r\nemail|last_name\r\na@x.example|A, B; C\r\n")
    assert isinstance(row, RecordChange)
    assert (row.last_name, row.line) == ("A, B; C", 3)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["without a mark", "with a mark"])
def test_a_bad_byte_costs_its_own_row_and_leaves_the_letters_of_the_others(people: Path, mark: bytes) -> None:
    rows = "email,last_name\na@x.example,Müller\nb@x.example,?\nc@x.example,Šťastná\n".encode()
    first, bad, last = read(people, mark + rows.replace(b"?", b"\xff"))
    assert bad == BadRow(3, "last_name holds bytes that cannot be decoded")
    assert [row.last_name for row in (first, last) if isinstance(row, RecordChange)] == ["Müller", "Šťastná"]


def test_a_row_with_more_cells_than_columns_is_refused(people: Path) -> None:
    [longer, padded] = read(people, b"email,last_name\na@x.example,Doe, Jane\nb@x.example,Roe,,\n")
    assert longer == BadRow(2, "3 cells, but line 1 names 2 columns")
    assert isinstance(padded, RecordChange)


def test_a_row_that_is_too_short_leaves_what_it_lacks_alone(people: Path) -> None:
    [row] = read(people, "email,last_name,owner\na@x.example,A\n")
    assert isinstance(row, RecordChange)
    assert (row.last_name, row.owner) == ("A", UNSET)


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
def test_a_quotation_mark_left_open_costs_its_own_row_alone(people: Path, rows: str, why: str) -> None:
    bad, *rest = read(people, f"email,last_name,notes\n{rows}")
    assert bad == BadRow(2, why)
    assert [(row.email, row.line) for row in rest if isinstance(row, RecordChange)] == [
        (Address.parse("b@x.example"), 3),
        (Address.parse("c@x.example"), 4),
        (Address.parse("d@x.example"), 5),
    ]


def test_a_quotation_mark_left_open_in_a_long_file_is_told_without_reading_all_of_it(people: Path) -> None:
    rows = "".join(f"p{number}@x.example,P\n" for number in range(5000))
    bad, *rest = read(people, f'email,last_name\na@x.example,"A\n{rows}')
    assert bad == BadRow(2, "a quotation mark is left open")
    assert len(rest) == 5000


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ('email,"notes\na@x.example,A\n', "line 1 of .*people.csv cannot be read: a quotation mark is left open"),
        ("", "people.csv is empty: line 1 must name the columns"),
        ("\ufeff\n ; ;\n", "people.csv is empty: line 1 must name the columns"),
        ("name,phone\nA,1\n", "has no column .* begins with 'name,phone'"),
        ("a@x.example,A\n", "has no column .* begins with 'a@x.example,A'"),
        ("\x00\x01", "has no column"),
        ("email,last_name,E-Mail\na@x.example,A,b@x.example\n", "line 1 of .* names the column email twice"),
        (",".join(map(str, range(5000))), "names 5000 columns: at most 1000 can be read"),
        ("email" + "," * 1_000_000, "columns: at most 1000 can be read"),
        (",".join(f"column {number}" for number in range(1_000_000)), "the line is longer than 1048576 characters"),
    ],
    ids=[
        *("an open mark", "nothing", "an empty line", "no email", "no heading", "no text", "a name twice"),
        *("5000 columns", "a million columns", "a million long columns"),
    ],
)
def test_a_file_whose_first_line_names_no_columns_is_refused_in_one_line(people: Path, content: str, why: str) -> None:
    with pytest.raises(Refused, match=why) as refused:
        read(people, content)
    assert "\n" not in str(refused.value)


def test_the_key_has_to_be_a_column(people: Path) -> None:
    with pytest.raises(Refused, match="has no column external_id"):
        read(people, "email\na@x.example\n", Key.EXTERNAL_ID)
    assert len(read(people, "external_id\nK1\n")) == 1


def test_a_line_break_at_the_end_of_a_name_is_none_within_it(people: Path) -> None:
    [row] = read(people, 'email,last_name\na@x.example,"A\n"\n')
    assert isinstance(row, RecordChange)
    assert row.last_name == "A"


def test_lines_are_counted_as_an_editor_counts_them(people: Path) -> None:
    rows = read(people, 'email,notes\na@x.example,"one\ntwo\nthree"\n\n \nnonsense,\nb@x.example\n')
    assert [row.line for row in rows] == [2, 7, 8]
    assert isinstance(rows[1], BadRow)


def test_json_lines_are_read_each_with_its_own_columns(people: Path) -> None:
    first, second, *bad = read(
        people,
        '{"external_id": 7, "email": "a@x.example", "phone": "1", "last_name": null}\n\n'
        '{"E-Mail": "b@x.example"}\n{"email": true}\n[1]\n{nonsense\n{"last_name": "A"}\n' + "[" * 100_000,
    )
    assert isinstance(first, RecordChange)
    assert (first.external_id, first.last_name, first.first_name) == ("7", "", UNSET)
    assert isinstance(second, RecordChange)
    assert (second.external_id, second.line) == (UNSET, 3)
    assert bad == [
        BadRow(4, "email must be text"),
        BadRow(5, "this is no JSON object"),
        BadRow(6, "this is no JSON"),
        BadRow(7, "no email"),
        BadRow(8, "this is no JSON"),
    ]


@pytest.mark.parametrize("key", ["x" * 256, "a\u202eb", "a\tb"])
def test_an_external_id_is_short_and_can_be_shown(people: Path, key: str) -> None:
    [bad] = read(people, f"external_id;email\n{key};a@x.example\n")
    assert bad == BadRow(2, "an external ID has at most 255 characters, all of which can be shown")


def test_bad_rows_are_skipped_and_the_rest_imported(cli: CommandLine, people: Path) -> None:
    cli.ok(f"user add {JANE}")
    people.write_text(f"email,owner\na@x.example,{JANE}\nnonsense,\nb@x.example,nobody@acme.example\nc@x.example\n")
    ran = cli.ok(f"contact import {people}")
    assert ran.out.split() == ["created", "2", "updated", "0", "unchanged", "0", "skipped", "2", "attached", "0"]
    assert [line.partition(":")[0] for line in ran.err.splitlines()] == ["line 3", "line 4"]
    rows = [(row["email"], row["owner"]) for row in cli.json("contact list")]
    assert rows == [("c@x.example", None), ("a@x.example", JANE)]
    again = cli.json(f"lead import {people}")
    assert (again["created"], again["skipped"], [row["line"] for row in again["bad"]]) == (2, 2, [3, 4])


def test_an_import_without_one_good_row_has_failed(cli: CommandLine, people: Path) -> None:
    people.write_text("email\nnonsense\n")
    assert cli.run(f"contact import {people}").code == 1


def test_a_file_without_rows_imports_nothing(cli: CommandLine, people: Path) -> None:
    people.write_text("email\n")
    counts = cli.json(f"contact import {people}")
    assert counts == {"created": 0, "updated": 0, "unchanged": 0, "skipped": 0, "attached": 0, "bad": []}


def test_a_file_that_is_not_there_is_named(cli: CommandLine, tmp_path: Path) -> None:
    assert "/no/where.csv cannot be read" in cli.refused("contact import /no/where.csv")
    assert "cannot be read" in cli.refused(f"contact import {tmp_path}")


def test_a_file_is_read_from_stdin_too(cli: CommandLine) -> None:
    ran = cli.run("contact import -", stdin=b"email\nnonsense\na@x.example\n")
    assert (ran.code, ran.out.split()[:2]) == (0, ["created", "1"])
    assert ran.err.startswith("line 2: ")
    assert cli.run("contact import -", stdin=b"name\n").err.startswith("error: stdin has no column email")


def test_a_key_that_is_none_is_wrong_usage(cli: CommandLine) -> None:
    assert "--key must be external_id or email" in cli.misused("contact import - --key name")


@contextmanager
def by_another_user(file: Path) -> Iterator[None]:
    """Act as the user of the installed command, who cannot reach all files that root's shell can."""
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
            opened(file).__enter__()
        with pytest.raises(Refused) as unwritten:
            write_result(b"", file)
    assert re.search(r"cannot be read by the user \w+: .* let your shell read it: … - < '/.*'$", str(unread.value))
    assert re.search(r"cannot be written by the user \w+: .* shell write it: … > '/.*'$", str(unwritten.value))
