"""Short JSON texts that are stored compressed: the data of events, and the traces of verdicts (R26, R30)."""

import threading
from collections.abc import Callable
from typing import ClassVar

from sqlalchemy import Dialect, LargeBinary, TypeDecorator

from worker.store.columns import storable

_LEVEL = 3
"""Zstandard's default level. Level 9 makes these texts 1 to 10 % smaller and takes twice the time."""


class PackedText(TypeDecorator[str]):
    """A text compressed with a dictionary, which is an example of such texts.

    Never change the example, or what is stored cannot be read. It is written by hand: a dictionary that was trained on
    stored texts would hold what people wrote, and nothing could erase it.
    """

    impl = LargeBinary
    cache_ok = True
    example: ClassVar[str]

    def bind_processor(self, dialect: Dialect) -> Callable[[str | None], bytes | None]:  # noqa: ARG002 - SQLAlchemy's
        """Compress the text. Bound directly for speed."""
        return self._packed

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Decompress the text."""
        return None if value is None else _codec(self.example).decompress(bytes(value)).decode()

    def _packed(self, text: str | None) -> bytes | None:
        return None if text is None else _codec(self.example).compress(storable(text).encode())


class PackedEvent(PackedText):
    """The data of an event."""

    cache_ok = True
    example = (
        '"reason":"attachments_too_large","uid":1,"message_id":"<","subject":"Re: ","sender":"@","recipients":["@"],'
        '"arrived_at":"2026-01-01T00:00:00Z"},"owner":"@","source":"BCC Dropbox"}'
        '{"account":"Default","address":"@","record_id":1,"module":"lead","external_id":null,"email":"@",'
        '"record_id":1,"module":"contact","external_id":null,"email":"@","email_id":1,"message_id":"<",'
        '"subject":"Re: ","sender":"@","recipients":["@","@"],"sent_at":"2026-01-01T00:00:00Z",'
        '"arrived_at":"2026-01-01T00:00:00Z","list":"Received Emails","claimed":true,"verified":true,'
        '"list":"Sent Emails from CRM","claimed":false,"verified":false,"owner":"@","created":true}'
        '","created":false}{"account":"'
    )


class PackedTrace(PackedText):
    """The trace of a verdict on a filed message."""

    cache_ok = True
    example = (
        '"forward":{"code":"forwarded_mail","sender":"@","number":1,"count":1}"note":{"code":"'
        '{"address":"@","result":"skipped","why":{"code":"own_address"}},"why":{"code":"dropbox_address"}},'
        '"why":{"code":"colleague"}},"why":{"code":"never_log_domain","domain":"'
        '{"address":"@","result":"unmatched","why":{"code":"nobody_found","searched":["contact","lead"]}}]}'
        '{"route":{"header":"X-Original-To","token":"…"},"sender":{"address":"@","check":{"code":"unproven"},'
        '"authentication":{"code":"passes","method":"DKIM","domain":"'
        '"authentication":{"code":"passes","method":"DMARC","domain":".com"}},"recipients":[{"address":"@",'
        '"result":"matched","why":{"code":"just_made","module":"lead"},"module":"lead","record":1}]}'
        '{"route":{"header":"Delivered-To","token":"…"},"sender":{"address":"@","check":{"code":"registered"}},'
        '"recipients":[{"address":"@","result":"created","why":{"code":"new_record","searched":["contact","lead"],'
        '"module":"contact"},"module":"contact","record":1},{"address":"@","result":"matched","why":{"code":'
        '"own_record","module":"contact"},"module":"contact","record":1},{"address":"@","result":"matched",'
        '"why":{"code":"oldest_record","module":"contact"},"module":"contact","record":1}]}'
    )


class _Codec:
    """The compressor and the decompressor of one dictionary. Only one thread may use them."""

    def __init__(self, example: str) -> None:
        import zstandard  # noqa: PLC0415 - most commands read no such text

        dictionary = zstandard.ZstdCompressionDict(example.encode(), dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        form = zstandard.ZstdCompressionParameters.from_level(
            _LEVEL, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_dict_id=False, write_checksum=False
        )
        dictionary.precompute_compress(compression_params=form)
        self.compress = zstandard.ZstdCompressor(dict_data=dictionary, compression_params=form).compress
        self.decompress = zstandard.ZstdDecompressor(dict_data=dictionary, format=form.format).decompress


class _CodecsOfThread(threading.local):
    def __init__(self) -> None:
        self.made: dict[str, _Codec] = {}


_CODECS = _CodecsOfThread()


def _codec(example: str) -> _Codec:
    """Return this thread's codec: to make one takes four times as long as to use it."""
    codec = _CODECS.made.get(example)
    if codec is None:
        codec = _CODECS.made[example] = _Codec(example)
    return codec
