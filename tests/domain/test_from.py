"""R12: who the sender is, read one way only. Each case says what it must give and why."""

import pytest

from worker.domain.address_lists import Syntax
from worker.domain.outcomes import Code, Reason, detail
from worker.domain.senders import sender_of
from worker.mime import read_head

JANE = "jane@sales.example"
EVIL = "evil@evil.example"
MISSING = Reason.SENDER_MISSING
AMBIGUOUS = Reason.SENDER_AMBIGUOUS

CASES: list[tuple[str, str | bytes, str | Reason]] = [
    # What people's programs write
    ("bare address", "From: jane@sales.example", JANE),
    ("name and address", "From: Jane Doe <jane@sales.example>", JANE),
    ("quoted name", 'From: "Doe, Jane" <jane@sales.example>', JANE),
    ("quoted name with escapes", r'From: "Jane \"JD\" Doe" <jane@sales.example>', JANE),
    ("name with a dot (obsolete, common)", "From: Jane Q. Doe <jane@sales.example>", JANE),
    ("8-bit name (RFC 6532)", "From: Jané Döe <jane@sales.example>", JANE),
    ("encoded name", "From: =?utf-8?q?Jan=C3=A9?= <jane@sales.example>", JANE),
    ("encoded name, glued to the bracket", "From: =?utf-8?q?Jan=C3=A9?=<jane@sales.example>", JANE),
    ("empty name", 'From: "" <jane@sales.example>', JANE),
    ("angle brackets only", "From: <jane@sales.example>", JANE),
    ("no space before the bracket", "From: Jane<jane@sales.example>", JANE),
    ("name in a comment behind (RFC 822)", "From: jane@sales.example (Jane Doe)", JANE),
    ("comment in front", "From: (Jane) jane@sales.example", JANE),
    ("nested comments", "From: jane@sales.example (a (b (c)) d)", JANE),
    ("folded", "From: Jane Doe\r\n\t<jane@sales.example>", JANE),
    ("octets of no charset in the name: no delimiter", b"From: Jan\xe9 <jane@sales.example>", JANE),
    ("and in a quoted name", b'From: "D\xf6, Jan\xe9" <jane@sales.example>', JANE),
    ("and in a comment", b"From: jane@sales.example (Jan\xe9)", JANE),
    ("upper case", "From: JANE@SALES.EXAMPLE", JANE),
    ("field name in capitals", "FROM: jane@sales.example", JANE),
    ("no space behind the colon", "From:jane@sales.example", JANE),
    ("trailing comma: an empty entry (RFC 5322 obs-mbox-list)", "From: jane@sales.example,", JANE),
    ("surrounding white space", "From: \t jane@sales.example \t ", JANE),
    ("plus tag is an address of its own", "From: jane+x@sales.example", "jane+x@sales.example"),
    ("apostrophe in the local part", "From: o'hara@sales.example", "o'hara@sales.example"),
    # Obsolete spellings with one meaning
    ("From : is From: (RFC 5322 §4.5.1)", "From : jane@sales.example", JANE),
    ("From with a tab before the colon", "From\t: jane@sales.example", JANE),
    ("quotes that need not be (RFC 5321 §4.1.2)", 'From: "jane"@sales.example', JANE),
    ("quoted pairs that need not be", r'From: "j\ane"@sales.example', JANE),
    ("a quoted local part that needs its quotes", 'From: "jane doe"@sales.example', '"jane doe"@sales.example'),
    (
        "an at sign in a quoted local part",
        'From: "jane@sales.example"@evil.example',
        '"jane@sales.example"@evil.example',
    ),
    # A display name that is the very address
    ("the address as its own name", "From: jane@sales.example <jane@sales.example>", JANE),
    ("and in another case", "From: Jane@SALES.example  <jane@sales.example>", JANE),
    ("and within quotes", 'From: "jane@sales.example" <jane@sales.example>', JANE),
    ("and with a comment", "From: jane@sales.example (Jane) <jane@sales.example>", JANE),
    ("and with more words", "From: Jane jane@sales.example <jane@sales.example>", AMBIGUOUS),
    ("and another one", "From: jane@sales.example evil@evil.example <jane@sales.example>", AMBIGUOUS),
    # Quotes that are escaped without any, names without quotes
    ("escaped quotes", r"From: \"Jane\" <jane@sales.example>", AMBIGUOUS),
    ("escaped quotes around two words", r"From: \"Jane Doe\" <jane@sales.example>", AMBIGUOUS),
    ("one escaped quote", r"From: Jane\" <jane@sales.example>", AMBIGUOUS),
    ("an escaped letter in the name", r"From: J\ane <jane@sales.example>", AMBIGUOUS),
    ("comma in a name without quotes", "From: Doe, Jane <jane@sales.example>", AMBIGUOUS),
    ("and a suffix", "From: Jane Doe, PhD <jane@sales.example>", AMBIGUOUS),
    # No sender
    ("no From at all", "To: bob@client.example", MISSING),
    ("empty", "From:", MISSING),
    ("white space only", "From:   ", MISSING),
    ("a name alone", "From: Jane Doe", MISSING),
    ("empty brackets", "From: Jane <>", MISSING),
    ("two at signs", "From: jane@evil.example@sales.example", MISSING),
    ("no domain", "From: jane@", MISSING),
    ("no local part", "From: @sales.example", MISSING),
    ("space around the at sign: programs differ", "From: jane @ sales.example", MISSING),
    ("two words with addresses", "From: jane@sales.example evil@evil.example", MISSING),
    ("domain literal: no registered domain", "From: jane@[192.0.2.1]", MISSING),
    ("leading dot", "From: .jane@sales.example", MISSING),
    ("two dots", "From: jane..doe@sales.example", MISSING),
    ("dot before the at sign", "From: jane.@sales.example", MISSING),
    ("and in brackets", "From: Jane <jane.@sales.example>", MISSING),
    ("dot at the end of the domain", "From: jane@sales.example.", MISSING),
    ("empty label", "From: jane@sales..example", MISSING),
    ("empty group", "From: Undisclosed: ;", MISSING),
    ("an address in an encoded word is a name", "From: =?utf-8?q?jane=40sales=2Eexample?=", MISSING),
    ("unclosed quote swallows the address", 'From: "Jane <jane@sales.example>', MISSING),
    ("unclosed comment swallows the address", "From: (Jane <jane@sales.example>", MISSING),
    ("local part of 65 octets", f"From: {'j' * 65}@sales.example", MISSING),
    ("a name's CR is no line end: this is the Subject", b"Subject: x\rFrom: jane@sales.example", MISSING),
    ("NUL in the field's name", b"Fr\0om: jane@sales.example", MISSING),
    # More than one reading
    ("two From fields", "From: jane@sales.example\r\nFrom: evil@evil.example", AMBIGUOUS),
    ("two From fields, one spelt From :", "From: jane@sales.example\r\nFrom : evil@evil.example", AMBIGUOUS),
    ("the same address in two fields", "From: jane@sales.example\r\nFrom: jane@sales.example", AMBIGUOUS),
    ("two mailboxes", "From: jane@sales.example, evil@evil.example", AMBIGUOUS),
    ("the same mailbox twice", "From: jane@sales.example, jane@sales.example", AMBIGUOUS),
    ("two angle addresses", "From: <jane@sales.example> <evil@evil.example>", AMBIGUOUS),
    ("an address before the brackets", "From: jane@sales.example <evil@evil.example>", AMBIGUOUS),
    ("an address behind the brackets", "From: <jane@sales.example> evil@evil.example", AMBIGUOUS),
    ("brackets within brackets", "From: <<jane@sales.example>>", AMBIGUOUS),
    ("bracket left open", "From: Jane <jane@sales.example", AMBIGUOUS),
    ("stray bracket", "From: jane@sales.example>", AMBIGUOUS),
    ("source route", "From: <@evil.example:jane@sales.example>", AMBIGUOUS),
    ("a long source route", "From: <@evil.example,@worse.example:jane@sales.example>", AMBIGUOUS),
    ("group of one (RFC 6854): read by few", "From: Team: jane@sales.example;", AMBIGUOUS),
    ("group of two", "From: Team: jane@sales.example, evil@evil.example;", AMBIGUOUS),
    ("group left open", "From: Team: jane@sales.example", AMBIGUOUS),
    ("an address as a group's name", "From: evil@evil.example: jane@sales.example;", AMBIGUOUS),
    ("comment within the address", "From: jane@(evil.example)sales.example", AMBIGUOUS),
    ("comment before the at sign", "From: jane(x)@sales.example", AMBIGUOUS),
    ("NUL in the name", b"From: Jane\0 <jane@sales.example>", AMBIGUOUS),
    ("escape sequence in the name", b"From: \x1b[31mJane <jane@sales.example>", AMBIGUOUS),
    ("bare CR in the value", b"From: <jane@sales.example>\r,<evil@evil.example>", AMBIGUOUS),
    ("C1 control in the name", "From: Jane\x85 <jane@sales.example>", AMBIGUOUS),
    ("C1 control in a quoted name", 'From: "Jane\x85" <jane@sales.example>', AMBIGUOUS),
    ("bare CR in a quoted name", b'From: "Jane\rFrom: evil@evil.example" <jane@sales.example>', AMBIGUOUS),
    ("octet of no charset before an at sign", b"From: x\x83@evil.example <jane@sales.example>", AMBIGUOUS),
    ("more than can be read", f"From: <jane@sales.example>{' ' * 300_000},<evil@evil.example>", AMBIGUOUS),
    # Another address where only some programs look
    ("another in a comment behind", "From: evil@evil.example (jane@sales.example)", AMBIGUOUS),
    ("another in a comment in front", "From: (evil@evil.example) jane@sales.example", AMBIGUOUS),
    ("in brackets in a comment", "From: (<evil@evil.example>) jane@sales.example", AMBIGUOUS),
    ("in a comment within a comment", "From: (a (<evil@evil.example>)) jane@sales.example", AMBIGUOUS),
    ("in a comment behind the brackets", "From: Jane <jane@sales.example> (<evil@evil.example>)", AMBIGUOUS),
    ("in square brackets", "From: [evil@evil.example] <jane@sales.example>", AMBIGUOUS),
    ("in square brackets within a name", "From: Jane [evil@evil.example] Doe <jane@sales.example>", AMBIGUOUS),
    ("one that ends as ours does", "From: (xjane@sales.example) jane@sales.example", AMBIGUOUS),
    ("one that begins as ours does", "From: (jane@sales.example.evil.example) jane@sales.example", AMBIGUOUS),
    ("with quotes in the comment", 'From: (<evil@evil.example> "@") jane@sales.example', AMBIGUOUS),
    # Somebody else's address, dressed up
    ("ours as a quoted name", 'From: "jane@sales.example" <evil@evil.example>', EVIL),
    ("ours with brackets as a quoted name", 'From: "Jane <jane@sales.example>" <evil@evil.example>', EVIL),
    ("ours as an encoded name", "From: =?utf-8?q?jane=40sales=2Eexample?= <evil@evil.example>", EVIL),
    ("brackets in an encoded name", "From: =?utf-8?q?=3Cjane=40sales=2Eexample=3E?= <evil@evil.example>", EVIL),
    ("the same address as a quoted name", 'From: "jane@sales.example" <jane@sales.example>', JANE),
    ("the same address in a comment", "From: jane@sales.example (JANE@sales.example)", JANE),
    ("ours as an encoded local part", "From: =?utf-8?q?jane?=@sales.example", "=?utf-8?q?jane?=@sales.example"),
    ("subdomain of ours", "From: jane@sales.example.evil.example", "jane@sales.example.evil.example"),
    # International addresses
    ("an international domain is its A-label", "From: jane@münchen.example", "jane@xn--mnchen-3ya.example"),
    ("and in capitals", "From: jane@MÜNCHEN.example", "jane@xn--mnchen-3ya.example"),
    ("and decomposed (NFD)", "From: jane@mu\u0308nchen.example", "jane@xn--mnchen-3ya.example"),
    ("and as punycode", "From: jane@XN--mnchen-3ya.example", "jane@xn--mnchen-3ya.example"),
    ("sharp s is a letter of its own (RFC 5891)", "From: jane@straße.example", "jane@xn--strae-oqa.example"),
    ("Cyrillic a in the domain is another domain", "From: jane@s\u0430les.example", "jane@xn--sles-53d.example"),
    ("Cyrillic a in the local part is another one", "From: j\u0430ne@sales.example", "j\u0430ne@sales.example"),
    ("a middle dot between two l (RFC 5892)", "From: jane@paral·lel.example", "jane@xn--parallel-koa.example"),
    ("a katakana middle dot", "From: jane@カ・カ.example", "jane@xn--lcka3v.example"),
    ("a joiner that Persian needs", "From: jane@نامه\u200c\u0627ی.example", "jane@xn--mgba3gch31f060k.example"),
    ("an underscore beside other letters", "From: jane@crm_1.münchen.example", "jane@crm_1.xn--mnchen-3ya.example"),
    ("an emoji's A-label, older than IDNA 2008", "From: jane@xn--i-7iq.example", "jane@xn--i-7iq.example"),
    ("hyphens that only an A-label has", "From: jane@ab--ü.example", MISSING),
    ("a mark that nothing carries", "From: jane@\u0301ab.example", MISSING),
    ("a label of Arabic that begins with a digit", "From: jane@1\u0627.example", MISSING),
    ("an Arabic letter that only lengthens", "From: jane@\u0628\u0640\u0628.example", MISSING),
    ("a joiner between Latin letters", "From: jane@sa\u200cles.example", MISSING),
    ("a middle dot elsewhere", "From: jane@a·b.example", MISSING),
    ("a Runic number", "From: jane@\u16ee.example", MISSING),
    ("full-width letter in the domain", "From: jane@s\uff41les.example", MISSING),
    ("full-width letter in the local part", "From: j\uff41ne@sales.example", MISSING),
    ("Kelvin sign for k", "From: jac\u212a@sales.example", MISSING),
    ("Kelvin sign in the domain", "From: jane@\u212aales.example", MISSING),
    ("full-width dot", "From: jane@sales\uff0eexample", MISSING),
    ("ideographic dot", "From: jane@sales\u3002example", MISSING),
    ("half-width ideographic dot", "From: jane@sales\uff61example", MISSING),
    ("full-width at sign", "From: jane\uff20sales.example", MISSING),
    ("zero-width space in the local part", "From: ja\u200bne@sales.example", MISSING),
    ("right-to-left override in the local part", "From: \u202ejane@sales.example", MISSING),
    ("soft hyphen in the domain", "From: jane@sa\u00adles.example", MISSING),
    ("octets of no charset in the local part", b"From: <jan\xe9@sales.example>", MISSING),
    # Other fields never speak
    ("Reply-To", "From: evil@evil.example\r\nReply-To: jane@sales.example", EVIL),
    ("Sender", "From: evil@evil.example\r\nSender: jane@sales.example", EVIL),
    ("Resent-From", "From: evil@evil.example\r\nResent-From: jane@sales.example", EVIL),
    ("only Sender", "Sender: jane@sales.example", MISSING),
    ("only X-From", "X-From: jane@sales.example", MISSING),
    ("a From in the body", "Subject: x\r\n\r\nFrom: jane@sales.example", MISSING),
]


@pytest.mark.parametrize(("raw", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_from_is_read_one_way(raw: str | bytes, expected: str | Reason) -> None:
    octets = raw.encode() if isinstance(raw, str) else raw
    sender = sender_of(read_head(octets + b"\r\n\r\n"))
    assert (sender.reason or (sender.address and sender.address.key)) == expected
    assert bool(sender.why) is (sender.address is None)


@pytest.mark.parametrize("name", ["Doe, Jane", "Doe , Jane", "Doe, Jane, PhD", "Doe, =?utf-8?q?Jane?="])
def test_the_trace_says_that_a_name_with_a_comma_needs_quotes(name: str) -> None:
    found = sender_of(read_head(f"From: {name} <jane@sales.example>\r\n\r\n".encode()))
    assert found.why == detail(Code.FROM_NOT_PLAIN, faults=(Syntax.NAME_ALONE,))


def test_the_table_is_long_enough() -> None:
    assert len(CASES) >= 60
    assert len({name for name, _, _ in CASES}) == len(CASES)


def test_a_head_too_long_to_be_read_whole_proves_no_sender() -> None:
    """Another From may follow after the cut."""
    head = read_head(b"From: jane@sales.example\r\n" + b"X: y\r\n" * 3000 + b"From: evil@evil.example\r\n\r\n")
    assert sender_of(head).reason is AMBIGUOUS
