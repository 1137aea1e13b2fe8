"""The names of records that mail makes, out of what the mail calls the recipient (R17)."""

import pytest

from worker.domain.address_lists import read_recipients
from worker.domain.addresses import Address
from worker.domain.records import PersonName, person_name

ADDRESS = "jane@client.example"


def named(written: str) -> PersonName | None:
    """Read the name that a To field with this display name gives the address."""
    return person_name(read_recipients(f"{written} <{ADDRESS}>").decoded_name(Address.parse(ADDRESS)))


@pytest.mark.parametrize(
    ("written", "first", "last"),
    [
        ("Jane Doe", "Jane", "Doe"),
        ('"Doe, Jane"', "Jane", "Doe"),
        ('"Doe,Jane"', "Jane", "Doe"),
        ("'Jane Doe'", "Jane", "Doe"),
        ("Jane", "", "Jane"),
        ("Jane Mary Doe", "Jane Mary", "Doe"),
        ("Ludwig van der Rohe", "Ludwig", "van der Rohe"),
        ('"van der Rohe, Ludwig"', "Ludwig", "van der Rohe"),
        ('"Jane Doe, PhD"', "Jane", "Doe, PhD"),
        ('"Acme, Inc."', "", "Acme, Inc."),
        ("=?utf-8?q?M=C3=BCller=2C_J=C3=B6rg?=", "Jörg", "Müller"),
        ("=?utf-8?b?5bGx55Sw5aSq6YOO?=", "", "山田太郎"),
        ("=?iso-8859-1?q?J=F6rg_M=FCller?=", "Jörg", "Müller"),
        ('"O\'Brien, Pat"', "Pat", "O'Brien"),
        ("J. R. Hartley", "J. R.", "Hartley"),
    ],
)
def test_a_display_name_is_put_in_order(written: str, first: str, last: str) -> None:
    assert named(written) == PersonName(last, first)


@pytest.mark.parametrize(
    "written",
    [
        "",
        '""',
        '","',
        '"jane@client.example"',
        "'jane@client.example'",
        '"Jane Doe jane@home.example"',
        '"See https://evil.example/x"',
        '"www.evil.example"',
        '"Jane evil.example/offer"',
        '"Win at evil.com"',
        "=?utf-8?q?Jane=00Doe?=",
        "=?utf-8?q?Jane=0D=0ABcc=3A_x?=",
        "=?utf-8?b?SmFuZeKArkRvZQ==?=",
        "=?utf-8?q?Jane=1B[31m?=",
        '"12345"',
        '"' + "x" * 200 + '"',
        "drop+k7m2k7m2k7m2k7m2k7m2k7m2k7",
    ],
    ids=[
        *("nothing", "empty", "a comma", "its address", "its address in quotes", "another address", "a URL", "a host"),
        *(
            "a path",
            "a domain",
            "NUL",
            "a line break",
            "a bidi override",
            "an escape",
            "a number",
            "too long",
            "a token",
        ),
    ],
)
def test_what_is_no_name_or_misleads_is_not_used(written: str) -> None:
    assert named(written) is None
