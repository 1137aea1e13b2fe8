import math
from datetime import timedelta

import pytest

from tests.domain.made import DROPBOX, JANES_TOKEN, NOW, owner
from worker.domain.addresses import Address
from worker.domain.text import ALPHABET, LENGTH, masked, without_tokens
from worker.domain.tokens import DropboxAddress, IssuedToken, new_token


def test_a_token_has_at_least_a_hundred_bits() -> None:
    # R1
    assert LENGTH * math.log2(len(ALPHABET)) >= 100
    assert len(new_token()) == LENGTH


def test_a_token_is_lower_case_crockford_base32_without_look_alikes() -> None:
    # R1
    assert ALPHABET.lower() == ALPHABET
    assert not set("ilou") & set(ALPHABET)
    assert {char for _ in range(200) for char in new_token()} == set(ALPHABET)


def test_no_two_tokens_are_alike() -> None:
    # R1
    assert len({new_token() for _ in range(1000)}) == 1000


def test_a_dropbox_address_fits_the_64_octets_of_a_local_part() -> None:
    # R1
    longest = DropboxAddress(Address.parse("d" * 37 + "@drop.example"))
    assert len(longest.with_token(new_token()).partition("@")[0]) == 64
    assert longest.token_in(Address.parse(longest.with_token(JANES_TOKEN))) == JANES_TOKEN


@pytest.mark.parametrize(
    "address",
    [
        f"drop+{JANES_TOKEN}@drop.example",
        f"DROP+{JANES_TOKEN.upper()}@Drop.Example",
        f"Drop+{JANES_TOKEN.title()}@DROP.EXAMPLE",
        f'"drop+{JANES_TOKEN}"@drop.example',
    ],
    ids=["as issued", "upper case", "mixed case", "quoted"],
)
def test_a_token_is_found_whatever_its_case(address: str) -> None:
    """Servers and clients change the case (R1)."""
    assert DROPBOX.token_in(Address.parse(address)) == JANES_TOKEN


@pytest.mark.parametrize(
    "address",
    [
        "drop@drop.example",
        "drop+@drop.example",
        f"drop+{JANES_TOKEN}@other.example",
        f"other+{JANES_TOKEN}@drop.example",
        f"drop+{JANES_TOKEN}@sub.drop.example",
    ],
)
def test_another_address_carries_no_token(address: str) -> None:
    assert DROPBOX.token_in(Address.parse(address)) is None


def test_couriers_spelling_of_a_delivery_address_carries_its_token() -> None:
    """Courier puts the mailbox's name in front and its host at the end (R4)."""
    assert DROPBOX.token_in_delivery_field(f"drop-drop+{JANES_TOKEN}@mx.drop.example") == JANES_TOKEN
    assert DROPBOX.token_in_delivery_field(f"drop-drop+{JANES_TOKEN}@mx.evil.example") is None
    assert DROPBOX.token_in_delivery_field("not an address") is None


def test_a_replaced_token_lives_until_its_grace_period_ends() -> None:
    # R2
    until = NOW + timedelta(days=7)
    replaced = IssuedToken(JANES_TOKEN, owner(), until)
    assert not replaced.is_revoked(NOW)
    assert not replaced.is_revoked(until - timedelta(seconds=1))
    assert replaced.is_revoked(until)
    assert not IssuedToken(JANES_TOKEN, owner()).is_revoked(NOW + timedelta(days=9999))


def test_a_log_shows_four_characters_of_a_token() -> None:
    assert masked(JANES_TOKEN) == "k7m2…"
    text = f"to drop+{JANES_TOKEN.upper()}@drop.example, jane+newsletter@sales.example"
    assert without_tokens(text) == "to drop+K7M2…@drop.example, jane+newsletter@sales.example"
