"""Charset labels mean what the WHATWG table says. The fast parser has that table, too: it is the oracle here."""

import pytest
from fast_mail_parser import parse_email

from worker.domain.decoding import decode

SINGLE_BYTE = """
866 cp866 csibm866 ibm866 csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2
csisolatin3 iso-8859-3 iso88593 l3 csisolatin4 iso-8859-4 iso88594 l4 csisolatincyrillic cyrillic iso-8859-5 iso88595
arabic asmo-708 csiso88596e csiso88596i ecma-114 iso-8859-6 iso-8859-6-e iso-8859-6-i iso88596 csisolatingreek greek
ecma-118 elot_928 greek8 iso-8859-7 iso88597 sun_eu_greek csiso88598e hebrew iso-8859-8 iso-8859-8-e iso88598 visual
csiso88598i iso-8859-8-i logical csisolatin6 iso-8859-10 iso885910 latin6 iso-8859-13 iso885913 iso-8859-14 iso885914
csisolatin9 iso-8859-15 iso885915 l9 cskoi8r koi koi8 koi8-r koi8_r csmacintosh mac macintosh x-mac-roman dos-874
iso-8859-11 iso8859-11 tis-620 windows-874 cp1250 windows-1250 x-cp1250 cp1251 windows-1251 x-cp1251 ansi_x3.4-1968
ascii cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii
windows-1252 x-cp1252 cp1253 windows-1253 x-cp1253 cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso88599 l5 latin5
windows-1254 x-cp1254 windows-1255 x-cp1255 windows-1256 x-cp1256 windows-1257 x-cp1257 windows-1258 x-cp1258
x-mac-cyrillic x-mac-ukrainian
"""
MULTI_BYTE = {
    "gb18030": "朱镕基的报价".encode("gb18030"),
    **dict.fromkeys(
        ["chinese", "csgb2312", "csiso58gb231280", "gb2312", "gb_2312", "gb_2312-80", "gbk", "iso-ir-58", "x-gbk"],
        "朱镕基的报价 €".encode("gb18030"),
    ),
    **dict.fromkeys(["big5", "big5-hkscs", "cn-big5", "csbig5", "x-x-big5"], "報價單".encode("big5")),
    **dict.fromkeys(["cseucpkdfmtjapanese", "euc-jp", "x-euc-jp"], "見積書".encode("euc_jp")),
    **dict.fromkeys(["csiso2022jp", "iso-2022-jp"], b"\x1b$B8+@Q=q!A0!\x1b$@-!-j\x1b(B Re: \x1b(IC=D\x1b(B\n"),
    **dict.fromkeys(
        ["csshiftjis", "ms932", "ms_kanji", "shift-jis", "shift_jis", "sjis", "windows-31j", "x-sjis"],
        "見積書①㈱".encode("cp932"),
    ),
    **dict.fromkeys(
        ["cseuckr", "csksc56011987", "euc-kr", "iso-ir-149", "korean", "ks_c_5601-1987", "ks_c_5601-1989"],
        "견적서 똠".encode("cp949"),
    ),
    **dict.fromkeys(["ksc5601", "ksc_5601", "windows-949"], "견적서 똠".encode("cp949")),
    **dict.fromkeys(["unicode-1-1-utf-8", "unicode11utf8", "utf-8", "utf8", "x-unicode20utf8"], "Köln €".encode()),
    **dict.fromkeys(["csunicode", "ucs-2", "unicode", "unicodefeff", "utf-16", "utf-16le"], "Köln".encode("utf-16-le")),
    **dict.fromkeys(["unicodefffe", "utf-16be"], "Köln".encode("utf-16-be")),
    "utf-7": b"K+APY-ln",
}


def by_the_fast_parser(octets: bytes, label: str) -> str:
    (text,) = parse_email(b"Content-Type: text/plain; charset=" + label.encode() + b"\r\n\r\n" + octets).text_plain
    return text


@pytest.mark.parametrize("label", SINGLE_BYTE.split())
def test_a_label_of_one_byte_a_character_means_what_browsers_take_it_for(label: str) -> None:
    octets = bytes(range(0xA0, 0x100)) + b"\x80\x91\x92\x93\x94\x85"
    expected = by_the_fast_parser(octets, label)
    differing = [
        (mine, other)
        for mine, other in zip(decode(octets, label), expected, strict=True)
        if mine != other and not "\x80" <= other <= "\x9f" and "\ufffd" not in mine + other
    ]
    assert differing == []
    assert decode(octets, label.upper()) == decode(octets, f' "{label}" ')


@pytest.mark.parametrize("label", MULTI_BYTE)
def test_a_label_of_several_bytes_a_character_means_what_browsers_take_it_for(label: str) -> None:
    octets = MULTI_BYTE[label]
    assert decode(octets, label) == by_the_fast_parser(octets, label)
    assert "\ufffd" not in decode(octets, label)
