"""R28: the forward block of a known client names one sender; everything else names nobody."""

import sys
from types import FrameType

import pytest

from tests.filing.clients import SENDER, Mail, forwards
from tests.filing.look_alikes import look_alikes
from worker.filing.forward_blocks import Doubt, Forward, read_texts
from worker.filing.forward_words import LANGUAGES, labels
from worker.mime.content import text_of_html

FORWARDS = list(forwards())
LOOK_ALIKES = list(look_alikes())


def read(mail: Mail) -> Forward | Doubt | None:
    text = text_of_html(mail.text, most_read=1_000_000, most_shown=100_000) if mail.is_html else mail.text
    return read_texts(mail.subject, [text])


@pytest.mark.parametrize("mail", FORWARDS, ids=[mail.name for mail in FORWARDS])
def test_a_forward_names_its_sender(mail: Mail) -> None:
    found = read(mail)
    assert isinstance(found, Forward), found
    assert found.sender.key == SENDER


@pytest.mark.parametrize("mail", LOOK_ALIKES, ids=[mail.name for mail in LOOK_ALIKES])
def test_what_only_looks_like_a_forward_names_nobody(mail: Mail) -> None:
    assert not isinstance(read(mail), Forward)


def test_the_table_has_many_clients_and_languages() -> None:
    assert len({mail.name for mail in FORWARDS}) == len(FORWARDS) >= 250
    assert len({mail.name for mail in LOOK_ALIKES}) == len(LOOK_ALIKES) >= 100


def test_each_word_names_one_field_only() -> None:
    assert [key for key, kinds in labels().items() if len(kinds) > 1] == []


def test_each_language_has_the_words_of_a_whole_block() -> None:
    assert [row.code for row in LANGUAGES if not all((row.sender, row.sent, row.subject, row.to, row.forwarded))] == []


def test_alternatives_have_to_agree() -> None:
    plain = f"---------- Forwarded message ---------\nFrom: Jane <{SENDER}>\nDate: today\n\nHi\n"
    other = plain.replace(SENDER, "eve@elsewhere.example")
    assert isinstance(read_texts("Fwd: Hi", [plain, plain]), Forward)
    assert isinstance(read_texts("Fwd: Hi", ["My mail program shows HTML only.", plain]), Forward)
    assert read_texts("Fwd: Hi", [plain, other]) is Doubt.TEXTS_DIFFER
    assert read_texts("Fwd: Hi", [plain, plain.replace("<", "").replace(f"{SENDER}>", "")]) is Doubt.SENDER_UNREADABLE


GMAIL = f"---------- Forwarded message ---------\nFrom: Jane <{SENDER}>\nDate: today\nSubject: Hi\n\n"
OUTLOOK = f"From: Jane <{SENDER}>\nSent: today\nSubject: Something\n\n"


@pytest.mark.parametrize(
    "text",
    [
        GMAIL,
        OUTLOOK,
        OUTLOOK.replace(f"<{SENDER}>", ""),
        "Subject: a\n\n",
        "From: a\nVon: b\nDe: c\n",
        "Dear all,\nOn 12:00 we\n wrote 12:00\n",
        "> " * 2000 + "\n",
        "- " * 500 + "--" * 500 + "\n",
        "a@" * 2000 + "\n",
        "[" * 2000 + "\n",
        "To: a@b.example, " * 100 + "\n",
        "<",
        ":",
        "\u200b",
    ],
    ids=lambda text: text[:12],
)
@pytest.mark.parametrize("subject", ["FW: Hi", "Re: Hi"])
def test_a_hostile_text_of_10_mb_costs_no_more_than_one_of_200_kb(text: str, subject: str) -> None:
    small, large = (_steps(subject, text * (size // len(text))) for size in (200_000, 10_000_000))
    assert large <= small * 1.2 + 1000
    assert small < 1_000_000


def _steps(subject: str, text: str) -> int:
    """The number of calls that the reading takes, of built-in functions too."""
    steps = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal steps
        steps += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        read_texts(subject, [text])
    finally:
        sys.setprofile(None)
    return steps
