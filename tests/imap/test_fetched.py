"""FETCH answers in the usual form are read as imapclient reads them, and so is whatever stands among them."""

from itertools import permutations

import pytest
from imapclient.exceptions import ProtocolError
from imapclient.response_parser import parse_fetch_response

from worker.imap.answers import Line, read_answers

HEAD = b"BODY[HEADER.FIELDS (DELIVERED-TO TO X-DROP-RCPT)]<0>"
USUAL: list[list[Line]] = [
    [(b'1 (UID 5 INTERNALDATE "23-Nov-2026 14:00:00 +0200" RFC822.SIZE 99 ' + HEAD + b" {8}", b"To: x\r\n\r"), b")"],
    [(b'2 (UID 6 INTERNALDATE " 1-Jan-1999 00:00:59 -0930" RFC822.SIZE 0 ' + HEAD + b" {0}", b""), b")"],
    [(b"3 (UID 4294967295 BODY[] {6}", b"To: x\n"), b")"],
    [(b"4 (UID 8 BODY[HEADER.FIELDS (TO)] {3}", b"x)\n"), b")"],
]
ODD: list[list[Line]] = [
    [b"1 (FLAGS (\\Seen) UID 5)"],
    [b"9 (FLAGS (\\Seen))"],
    [(b"3 (UID 7 BODY[] {3}", b"abc"), (b" BODY[TEXT] {1}", b"x"), b")"],
    [(b"3 (UID 7 BODY[] {3}", b"abc"), b" FLAGS (\\Recent))"],
    [(b"3 (BODY[] {3}", b"abc"), b" UID 7)"],
    [(b'3 (UID 7 INTERNALDATE "31-Feb-2026 00:00:00 +0000" RFC822.SIZE 1 ' + HEAD + b" {1}", b"x"), b")"],
    [(b'3 (UID 7 INTERNALDATE "01-Foo-2026 00:00:00 +0000" RFC822.SIZE 1 ' + HEAD + b" {1}", b"x"), b")"],
    [b'3 (UID 7 INTERNALDATE "01-Jan-2026 00:00:00 +0000" RFC822.SIZE 1 BODY[] "quoted")'],
    [b"3 (UID 7 BODY[] NIL)"],
]


def read_by_imapclient(lines: list[Line]) -> dict[int, dict[bytes, object]]:
    answers = parse_fetch_response(lines, normalise_times=False)
    return {uid: {name: value for name, value in told.items() if name != b"SEQ"} for uid, told in answers.items()}


def without_sequence_numbers(answers: dict[int, dict[bytes, object]]) -> dict[int, dict[bytes, object]]:
    return {uid: {name: value for name, value in told.items() if name != b"SEQ"} for uid, told in answers.items()}


@pytest.mark.parametrize("answer", USUAL + ODD, ids=str)
def test_one_answer_is_read_as_imapclient_reads_it(answer: list[Line]) -> None:
    assert without_sequence_numbers(read_answers(answer)) == read_by_imapclient(answer)


@pytest.mark.parametrize(("first", "second"), list(permutations(USUAL + ODD, 2)), ids=str)
def test_two_answers_are_read_as_imapclient_reads_them(first: list[Line], second: list[Line]) -> None:
    assert without_sequence_numbers(read_answers(first + second)) == read_by_imapclient(first + second)


def test_no_answer_is_no_message() -> None:
    assert read_answers([None]) == {}


@pytest.mark.parametrize("answer", [[(b"1 (UID 5 BODY[] {3}", b"abc")], [b"1 (UID 5"], [b"x (UID 5)"]], ids=str)
def test_what_imapclient_cannot_read_is_an_error(answer: list[Line]) -> None:
    with pytest.raises((ProtocolError, ValueError)):
        read_answers(answer)
