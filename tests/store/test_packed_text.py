"""Texts that are stored compressed: what one release writes, every later one reads."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.dialects import sqlite

from worker.store.packed_text import PackedEvent, PackedText, PackedTrace

DIALECT = sqlite.dialect()
EVENT = (
    '{"account":"Acme","record_id":17,"module":"contact","external_id":null,"email":"ann@client.example",'
    '"owner":"joe@acme.example","source":"BCC Dropbox"}'
)
TRACE = (
    '{"route":{"header":"Delivered-To","token":"k7m2…"},"sender":{"address":"joe@acme.example","check":{"code":'
    '"registered"}},"recipients":[{"address":"ann@client.example","result":"created","why":{"code":"new_record",'
    '"searched":["contact","lead"],"module":"contact"},"module":"contact","record":17}]}'
)
STORED_EVENT = (
    "2096b50100040241636d6537616e6e40636c69656e742e6578616d706c65226a6f654061636d6506008184023e8607fd16f2"
    "dc48746e47ebdc0202"
)
STORED_TRACE = (
    "602a00cd010024026b376d326a6f654061636d652e6578616d706c65616e6e40636c69656e74377d5d7d0600f9812400458c"
    "c07f49aba984b4be6a504a0b20"
)


@pytest.mark.parametrize(
    ("type_", "stored", "text"),
    [(PackedEvent(), STORED_EVENT, EVENT), (PackedTrace(), STORED_TRACE, TRACE)],
    ids=["event", "trace"],
)
def test_what_this_release_compressed_can_be_read_for_ever(type_: PackedText, stored: str, text: str) -> None:
    """The dictionary is part of the format."""
    assert type_.process_result_value(bytes.fromhex(stored), DIALECT) == text


@pytest.mark.parametrize("type_", [PackedEvent(), PackedTrace()], ids=["event", "trace"])
@pytest.mark.parametrize("text", [None, "", "{}", "ä…\U0001f600" * 9, EVENT, TRACE * 99])
def test_a_text_comes_back_as_it_was(type_: PackedText, text: str | None) -> None:
    assert type_.process_result_value(type_.bind_processor(DIALECT)(text), DIALECT) == text


def test_what_no_database_takes_is_left_out() -> None:
    type_ = PackedTrace()
    assert type_.process_result_value(type_.bind_processor(DIALECT)("a\0b\ud800c"), DIALECT) == "abc"


def test_threads_do_not_disturb_each_other() -> None:
    type_ = PackedTrace()
    pack = type_.bind_processor(DIALECT)
    texts = [TRACE.replace("17", str(number)) * (number % 20 + 1) for number in range(400)]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda text: type_.process_result_value(pack(text), DIALECT), texts)) == texts
