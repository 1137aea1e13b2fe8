"""R14: To and Cc as people's programs write them. Each case says who counts and why."""

import pytest

from worker.domain.addresses import Address
from worker.mime import read_head

BOB, CAROL, DAVE = "bob@x.example", "carol@y.example", "dave@z.example"

CASES: list[tuple[str, str, list[str]]] = [
    # Specials that do not belong there
    ("a scheme in front", f"SMTP:{BOB}, smtp:{CAROL}", [BOB, CAROL]),
    ("a scheme in front, with a space", f"SMTP: {BOB}; SMTP: {CAROL}", [BOB, CAROL]),
    ("mailto in brackets", f"Bob <mailto:{BOB}>, <MAILTO:{CAROL}>", [BOB, CAROL]),
    ("a scheme, bare", f"mailto:{BOB}, {CAROL}", [BOB, CAROL]),
    ("two schemes", f"EX:SMTP:{BOB}, {CAROL}", [BOB, CAROL]),
    ("text glued by a semicolon", f"{BOB};dave, {CAROL}", [BOB, CAROL]),
    ("text glued in front by a semicolon", f"dave;{BOB}, {CAROL}", [BOB, CAROL]),
    ("text glued by >", f"bob>{CAROL}, {DAVE}", [DAVE]),
    ("text glued behind by >", f"{BOB}>dave, {CAROL}", [CAROL]),
    ("text glued by )", f"bob){CAROL}, {DAVE}", [DAVE]),
    ("text glued by ]", f"bob]{CAROL}, {DAVE}", [DAVE]),
    ("text glued by [", f"bob[{CAROL}, {DAVE}", [DAVE]),
    ("text glued by a quote", f'bob"{CAROL}, {DAVE}', [DAVE]),
    ("text glued by a quoted string", f'bob"x"{CAROL}, {DAVE}', [DAVE]),
    ("text glued by a backslash", f"bob\\{CAROL}, {DAVE}", [DAVE]),
    ("text glued by a comment", f"bob(at work){CAROL}, {DAVE}", [DAVE]),
    ("text glued behind by a comment", f"{BOB}(at work)carol, {DAVE}", [DAVE]),
    ("text glued by a comment in brackets", f"<bob(x){CAROL}>, {DAVE}", [DAVE]),
    ("text glued by a comment in the domain", "bob@x(y)z.example, dave@z.example", [DAVE]),
    ("text glued by a colon in the domain", f"bob@x:y.example, {DAVE}", [DAVE]),
    ("text glued by white space", f"bob {CAROL}, {DAVE}", [DAVE]),
    ("text glued by white space in brackets", f"<bob {CAROL}>, {DAVE}", [DAVE]),
    ("two at signs", f"bob@{CAROL}, {DAVE}", [DAVE]),
    ("a stray bracket behind", f"{BOB}>, {CAROL}", [BOB, CAROL]),
    ("a stray bracket in front", f">{BOB}, {CAROL}", [BOB, CAROL]),
    ("a stray parenthesis behind", f"{BOB}), {CAROL}", [BOB, CAROL]),
    ("stray commas and semicolons", f",;, {BOB},,;; {CAROL};", [BOB, CAROL]),
    # Lists
    ("semicolons", f"{BOB};{CAROL}; {DAVE}", [BOB, CAROL, DAVE]),
    ("semicolons with names", f"Bob <{BOB}>; Carol <{CAROL}>", [BOB, CAROL]),
    ("semicolons with quoted names", f'"Doe; Bob" <{BOB}>; "Carol, C" <{CAROL}>;', [BOB, CAROL]),
    ("both separators", f"Bob <{BOB}>; {CAROL}, {DAVE}", [BOB, CAROL, DAVE]),
    ("groups", f"Team: {BOB}, Carol <{CAROL}>; {DAVE}", [BOB, CAROL, DAVE]),
    ("a group that is never closed", f"Team: {BOB}, {CAROL}", [BOB, CAROL]),
    ("a group's name is no recipient", f"{DAVE}: {BOB};", [BOB]),
    ("groups within groups", f"A: B: {BOB};, {CAROL};", [BOB, CAROL]),
    ("an empty group between", f"{BOB}, undisclosed-recipients:;, {CAROL}", [BOB, CAROL]),
    ("no separator but brackets", f"Bob <{BOB}> Carol <{CAROL}>", [BOB, CAROL]),
    ("no separator but white space", f"{BOB} {CAROL}\t{DAVE}", [BOB, CAROL, DAVE]),
    ("unquoted commas in names", f"Doe, Bob <{BOB}>, Roe, Carol <{CAROL}>", [BOB, CAROL]),
    ("text behind the address", f"Bob <{BOB}> (home) Smith, {CAROL}", [BOB, CAROL]),
    ("each once, whatever its case", f"{BOB}, {BOB.upper()}, Bob <{BOB}>", [BOB]),
    ("a name that is the address", f"{BOB} <{BOB}>, {CAROL}", [BOB, CAROL]),
    ("a name that is another address", f"{DAVE} <{BOB}>", [BOB]),
    ("another address within quotes", f'"{DAVE}" <{BOB}>', [BOB]),
    ("another address in a comment", f"{BOB} ({DAVE})", [BOB]),
    # What is never closed
    ("a parenthesis", f"Bob (Acme\uff09 <{BOB}>, {CAROL}", [BOB, CAROL]),
    ("a parenthesis, then comments", f"Bob (Acme <{BOB}>, Carol (Beta) <{CAROL}>, {DAVE} (Dave)", [BOB, CAROL, DAVE]),
    ("a quote", f'"Bob <{BOB}>, {CAROL}', [BOB, CAROL]),
    ("a quote, then quoted names", f'"Bob <{BOB}>, {CAROL}, "Dave" <{DAVE}>', [BOB, CAROL, DAVE]),
    ("a quote within a name", f'Bob 6" Smith <{BOB}>, "Roe, Carol" <{CAROL}>', [BOB, CAROL]),
    ("a quote in front of an address", f'"{BOB}, {CAROL}', [BOB, CAROL]),
    ("a square bracket", f"Bob [Acme <{BOB}>, {CAROL}", [BOB, CAROL]),
    ("an angle bracket", f"Bob <{BOB}, {CAROL}", [BOB, CAROL]),
    ("an angle bracket, then names", f"Bob <{BOB}, Carol <{CAROL}>; Dave <{DAVE}", [BOB, CAROL, DAVE]),
    ("an angle bracket without an address", f"Bob <, {CAROL}", [CAROL]),
    ("angle brackets within angle brackets", f"Bob <<{BOB}>>, {CAROL}", [BOB, CAROL]),
    ("a backslash at the end", f"{BOB}, {CAROL}\\", [BOB, CAROL]),
    # Quoted pairs without quotes
    ("escaped quotes", rf"\"Bob\" <{BOB}>, {CAROL}", [BOB, CAROL]),
    ("escaped quotes around two words", rf"\"Bob Doe\" <{BOB}>; \"Carol\" <{CAROL}>", [BOB, CAROL]),
    ("escaped quotes around a comma", rf"\"Doe, Bob\" <{BOB}>, {CAROL}", [BOB, CAROL]),
    ("an escaped bracket", rf"Bob \<{BOB}>, {CAROL}", [CAROL]),
    ("an escaped comma", rf"{BOB}\, {CAROL}", [BOB, CAROL]),
    # Obsolete white space (RFC 5322 §4.4)
    ("folded behind the at sign", f"Bob <bob@\r\n x.example>, {CAROL}", [BOB, CAROL]),
    ("folded in front of the at sign", f"Bob <bob\r\n @x.example>, {CAROL}", [BOB, CAROL]),
    ("folded at a dot", f"<bob@x.\r\n\texample>, {CAROL}", [BOB, CAROL]),
    ("white space around everything", f" bob . doe @ x . example , {CAROL}", ["bob.doe@x.example", CAROL]),
    ("white space within the brackets", f"Bob < {BOB} >, <\t{CAROL}>", [BOB, CAROL]),
    ("a comment around the at sign", f"bob(x)@(y)x.example, {CAROL}", [BOB, CAROL]),
    ("comments in front and behind", f"(a) {BOB} (b), Carol (c) <{CAROL}> (d)", [BOB, CAROL]),
    ("a source route", f"<@relay.example,@mx.example:{BOB}>, {CAROL}", [BOB, CAROL]),
    ("a list item's number", f"1. {BOB}, Dr. {CAROL}, {DAVE}", [DAVE]),
    ("a sentence behind", f"{BOB}. Regards, {CAROL}", [CAROL]),
    ("white space in front of the first dot of a domain", f"bob@x  . example, {CAROL}", [BOB, CAROL]),
    # Encoded words
    ("glued to an address", f"=?utf-8?q?Bob?={BOB}, {CAROL}", [CAROL]),
    ("glued behind a local part", f"bob=?utf-8?q?by?=@x.example, {CAROL}", [CAROL]),
    ("glued to a domain", f"bob@x=?utf-8?q?y?=.example, {CAROL}", [CAROL]),
    (
        "as a label of the domain",
        f"bob@=?utf-8?b?bcO8bmNoZW4=?=.example, {CAROL}",
        ["bob@xn--mnchen-3ya.example", CAROL],
    ),
    ("split within the address", f"=?utf-8?q?Bob_=3Cbob=40x?= =?utf-8?q?=2Eexample=3E?=, {CAROL}", [BOB, CAROL]),
    ("as the local part", f"=?utf-8?q?j=C3=B6rg?=@x.example, {CAROL}", ["jörg@x.example", CAROL]),
    ("as a local part in ASCII", f"=?utf-8?b?Ym9i?=@x.example, {CAROL}", [BOB, CAROL]),
    ("as the local part in brackets", f"J <=?iso-8859-1?q?j=F6rg?=@x.example>, {CAROL}", ["jörg@x.example", CAROL]),
    ("as a local part with a space", f"=?utf-8?q?b_c?=@x.example, {CAROL}", [CAROL]),
    ("as a local part with an address", f"=?utf-8?q?evil=40x.example?=@y.example, {CAROL}", [CAROL]),
    ("of a whole address", f"=?utf-8?q?bob=40x=2Eexample?=, {CAROL}", [BOB, CAROL]),
    ("of a whole entry", f"=?utf-8?q?Bob_=3Cbob=40x=2Eexample=3E?=, {CAROL}", [BOB, CAROL]),
    ("of a name only", f"=?utf-8?q?Bob?=, {CAROL}", [CAROL]),
    ("as the domain", f"bob@=?utf-8?q?x=2Eexample?=, {CAROL}", [BOB, CAROL]),
    ("that is broken", f"=?utf-8?q?bob@x.example, {CAROL}", [CAROL]),
    # Quotes around the whole address
    ("double quotes", f'"{BOB}", {CAROL}', [BOB, CAROL]),
    ("single quotes", f"'{BOB}', '{CAROL}'", [BOB, CAROL]),
    ("single quotes in brackets", f"<'{BOB}'>, \"'{CAROL}'\" <{CAROL}>", [BOB, CAROL]),
    ("typographic quotes", f"\u201c{BOB}\u201d, «{CAROL}», Dave <\u2018{DAVE}\u2019>", [BOB, CAROL, DAVE]),
    ("a whole mailbox within quotes", f"\"Bob <{BOB}>\", 'Carol <{CAROL}>'", [BOB, CAROL]),
    ("square brackets, as Outlook shows it", f"Bob [mailto:{BOB}], [SMTP:{CAROL}]; [{DAVE}]", [BOB, CAROL, DAVE]),
    ("square brackets beside angle brackets", f"Bob [{DAVE}] <{BOB}>, {CAROL}", [BOB, CAROL]),
    ("two in square brackets", f"[{BOB}] [{CAROL}], {DAVE}", [DAVE]),
    ("a quote that is not closed", f"'{BOB}, {CAROL}', `{DAVE}'", [BOB, CAROL, DAVE]),
    ("an apostrophe within", f"o'hara@x.example, {CAROL}", ["o'hara@x.example", CAROL]),
    # What people paste
    ("signs glued to an address", f"\u201cBob\u201d{BOB}, \u2022{CAROL}, \u2713{CAROL}, {DAVE}", [DAVE]),
    (
        "invisible characters around",
        f"\ufeff{BOB}\u200b, <\u202a{CAROL}\u202c>, \u00a0{DAVE}\u00a0",
        [BOB, CAROL, DAVE],
    ),
    ("invisible characters within", f"bo\u200bb@x.example, bob@x\u00ad.example, {CAROL}", [CAROL]),
    ("wide separators", f"{BOB}\uff0c{CAROL}\uff1b {DAVE}", [BOB, CAROL, DAVE]),
    ("wide separators behind brackets", f"Bob <{BOB}>\u3001Carol <{CAROL}>", [BOB, CAROL]),
    ("bullets and other signs", f"- {BOB}, • {CAROL} & {DAVE}", [BOB, CAROL, DAVE]),
    ("a sign of quotation", f"> {BOB}, {CAROL}", [BOB, CAROL]),
    ("a word between", f"{BOB} and {CAROL}, {DAVE}", [DAVE]),
    # Dots
    ("two dots", f"bob..b@x.example, Carol <{CAROL}>", ["bob..b@x.example", CAROL]),
    ("a dot before the at sign", "bob.@x.example, Bob <bob.c.@x.example>", ["bob.@x.example", "bob.c.@x.example"]),
    ("a dot in front", ".bob@x.example, ...@x.example", [".bob@x.example"]),
    ("dots in the domain", f"bob@x..example, bob@.example, bob@x.example., {CAROL}", [CAROL]),
    # Nothing to be read
    ("a name", f"Bob Doe, {CAROL}", [CAROL]),
    ("no local part", f"@x.example, {CAROL}", [CAROL]),
    ("no domain", f"bob@, {CAROL}", [CAROL]),
    ("an empty local part within quotes", f'""@x.example, {CAROL}', [CAROL]),
    ("a domain literal", f"bob@[192.0.2.1], {CAROL}", [CAROL]),
    ("a question", f"mailto:{BOB}?cc={DAVE}, {CAROL}", [CAROL]),
    ("NUL in an address", f"bo\0b@x.example, {CAROL}", [CAROL]),
    ("NUL in a name", f"Bo\0b <{BOB}>, {CAROL}", [BOB, CAROL]),
    ("a local part of 65 octets", f"{'b' * 65}@x.example, {CAROL}", [CAROL]),
]


@pytest.mark.parametrize(("to", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
@pytest.mark.parametrize("name", ["To", "Cc"])
def test_each_address_that_is_whole_by_itself_counts(name: str, to: str, expected: list[str]) -> None:
    found = read_head(f"{name}: {to}\r\n\r\n".encode()).addressees
    assert [address.key for address in found.addresses] == expected


NAMES: list[tuple[str, str]] = [
    (f"Bob Doe <{BOB}>", "Bob Doe"),
    (f'"Doe, Bob" <{BOB}>', "Doe, Bob"),
    (f'"Doe, \\"B\\" Bob" <{BOB}>', 'Doe, "B" Bob'),
    (f'  "Bob"   Doe   <{BOB}>', "Bob Doe"),
    (f"=?utf-8?q?J=C3=B6rg?= Doe <{BOB}>", "Jörg Doe"),
    (f'"=?utf-8?b?SsO2cmc=?=" <{BOB}>', "Jörg"),
    (f"=?iso-8859-1?q?J=F6rg?= =?iso-8859-1?q?_D=F6?= <{BOB}>", "Jörg Dö"),
    (f"=?utf-8?q?Doe=2C_Bob?= <{BOB}>", "Doe, Bob"),
    (f"{BOB} (Bob Doe)", "Bob Doe"),
    (f"Bob (Sales) <{BOB}>", "Bob"),
    (f"Bob [mailto:{BOB}]", "Bob"),
    (f"Doe\uff0cBob <{BOB}>", "Doe\uff0cBob"),
    (f"Team: Bob <{BOB}>;", "Bob"),
    (f"O'Hara <{BOB}>", "O'Hara"),
    (f"<{BOB}>, Bob <{BOB}>", "Bob"),
    (f"{BOB}", ""),
    (f"<{BOB}>", ""),
    (f'"" <{BOB}>', ""),
    (f"{BOB} <{BOB}>", BOB),
    (f"Bob (Acme\uff09 <{BOB}>", "Bob (Acme\uff09"),
]


@pytest.mark.parametrize(("to", "expected"), NAMES)
def test_the_display_name_of_a_recipient_is_decoded(to: str, expected: str) -> None:
    found = read_head(f"To: {CAROL}\r\nCc: {to}\r\n\r\n".encode()).addressees
    assert " ".join(found.decoded_name(Address.parse(BOB)).split()) == expected
    assert not found.decoded_name(Address.parse(CAROL))
    assert not found.decoded_name(Address.parse(DAVE))


def test_a_name_of_no_charset_is_read_as_windows_1252_and_an_address_never_is() -> None:
    raw = f"To: J\xf6rg <{BOB}>, j\xf6rg@x.example, {CAROL}\r\n\r\n".encode("latin-1")
    found = read_head(raw).addressees
    assert [address.key for address in found.addresses] == [BOB, CAROL]
    assert found.decoded_name(Address.parse(BOB)).strip() == "Jörg"
