# ruff: noqa: E501 - a case is a line
"""Text that a stranger makes a server write (R13). Each class has an honest mail beside it, which passes."""

import pytest

from tests.filing.made import AUTHENTICATED, World, raw_mail
from worker.domain.outcomes import Code, Outcome, Reason

WORLD = World(rules=AUTHENTICATED)
STAMP = "Authentication-Results: mx.drop.example; dkim=pass header.d=sales.example\n"
TAGS = "v=1; a=rsa-sha256; c=relaxed/simple; d=sales.example; s=2026; h=from:to; bh=A/+=; b=AA=="

HONEST_SIGNATURES = {
    "plain": TAGS,
    "folded": TAGS.replace("; ", ";\n\t").replace("from:to", "from:\n\t to").replace("AA==", "A\n A=="),
    "white space around names and values": TAGS.replace("=1;", " = 1 ;").replace("; d=", " ; d\t=\t"),
    "a semicolon at the end": TAGS + ";",
    "each tag of RFC 6376": TAGS + "; i=jane@eu.sales.example; l=12; q=dns/txt; t=1795000000; x=1795600000; z=From:=20jane@sales.example|To:=20bob",
    "an identity without a local part": TAGS + "; i=@sales.example",
    "marks in a local part": TAGS + "; i=o'hara+x_y-z@sales.example",
    "another alphabet's domain": TAGS.replace("sales.example", "xn--mnchen-3ya.example"),
    "Google": TAGS + "; t=1795000000; x=1795600000; darn=client.example; dara=google.com",
    "reports and third parties": TAGS + "; r=y; atps=list.example; atpsh=sha256",
    "Ed25519": TAGS.replace("rsa-sha256", "ed25519-sha256"),
}  # fmt: skip
HONEST_STAMPS = {
    "DKIM": "dkim=pass header.d=sales.example",
    "SPF": "spf=pass smtp.mailfrom=jane@sales.example",
    "DMARC by DKIM": "dmarc=pass (p=NONE) header.from=sales.example; dkim=pass header.d=sales.example header.i=@sales.example",
    "DMARC by SPF": "dmarc=pass header.from=sales.example; spf=pass smtp.mailfrom=sales.example smtp.helo=mail.sales.example",
    "a local part with marks": "spf=pass smtp.mailfrom=bounces+bob=client.example@sales.example",
    "quotes of the server's own": 'dkim=pass reason="good; (2048 bits)" header.d=sales.example header.b="Ab/+="',
    "Exim and IPv6": "iprev=pass (mail.sales.example) smtp.remote-ip=2001:db8::25; dkim=pass header.d=sales.example header.s=k1 header.a=rsa-sha256",
}  # fmt: skip

FORGED = "x=3B=20dmarc=3Dpass=20header.from=3Dsales.example=20header.z=3D@evil.example"
NAMES = [
    *("1i", "Ii", ".i", "_i", "i1", "i.", "-i", "i-", "Zi", "iZ", "(i", "i(", '"i', 'i"', "<i", "i>", "[i", "i]"),
    *("I", "i i", "i\x00", "\x1ai", "=i", "i\\", "\xefi", "ii", "ix", "D", "S", "xd", "header.d", ""),
]
HOSTILE_SIGNATURES = {
    **{f"a tag named {name!r}": f"{TAGS}; {name}={FORGED}" for name in NAMES},
    **{f"a tag named {name!r} with a plain value": f"{TAGS}; {name}=x@evil.example" for name in ("1i", "Ii", "I", "i-")},
    "an encoded i=": f"{TAGS}; i={FORGED}",
    "an encoded i=, folded": f"{TAGS}; i=x=3\n B=20dmarc=3Dpass@evil.example",
    "an encoded line end": f"{TAGS}; i=x=0AAuthentication-Results:=20mx.drop.example=3B=20dkim=3Dpass@evil.example",
    "i= twice": f"{TAGS}; i=@sales.example; i=x=3B@evil.example",
    "d= twice": f"{TAGS}; d=evil.example",
    "a quote in d=": TAGS.replace("d=sales", 'd="sales'),
    "a bracket in d=": TAGS.replace("d=sales.example", "d=evil.example(sales.example"),
    "a result in d=": TAGS.replace("d=sales.example", "d=evil.example header.d=sales.example").replace(" header", "=header"),
    "a colon in s=": TAGS.replace("s=2026", "s=a:b"),
    "an encoded s=": TAGS.replace("s=2026", "s=a=3B"),
    "a result in a=": TAGS.replace("rsa-sha256", "rsa-sha256(dkim=pass"),
    "a result in h=": TAGS.replace("from:to", "from:to=3B=20dkim=3Dpass"),
    "a bracket in i=": f"{TAGS}; i=x(@evil.example",
    "a quote in i=": f'{TAGS}; i="x y"@evil.example',
    "two at signs in i=": f"{TAGS}; i=x@sales.example@evil.example",
    "a backslash in i=": f"{TAGS}; i=x\\@evil.example",
    "no tag at all": "dmarc=pass",
    "an empty tag": TAGS.replace("; d=", ";; d="),
    "a tag without a value mark": f"{TAGS}; dmarc",
    "empty": "",
    "too long to be read": f"{TAGS}; z={'x' * 20_000}",
    "far too long": f"{TAGS}; z={'x' * 300_000}",
    "a lone CR": TAGS.replace("; d=", ";\r d="),
    "another alphabet": f"{TAGS}; i=j\xfcrg@evil.example",
}  # fmt: skip

OK = "dkim=pass header.d=sales.example"
HOSTILE_STAMPS = {
    "MAIL FROM in quotes": 'spf=pass smtp.mailfrom="jane@sales.example"@evil.example',
    "MAIL FROM in quotes, DMARC fooled": 'dmarc=pass header.from=sales.example; spf=pass smtp.mailfrom="jane@sales.example"@evil.example',
    "MAIL FROM with a bracket": "spf=pass smtp.mailfrom=jane@sales.example(@evil.example",
    "MAIL FROM with two brackets": "spf=pass smtp.mailfrom=jane@sales.example(@evil.example)",
    "MAIL FROM with two at signs": "spf=pass smtp.mailfrom=jane@sales.example@evil.example",
    "MAIL FROM with two at signs, DMARC fooled": "dmarc=pass header.from=sales.example; spf=pass smtp.mailfrom=jane@sales.example@evil.example",
    "MAIL FROM that ends its comment": 'spf=pass (domain of "x) smtp.mailfrom=jane@sales.example (y"@evil.example)',
    "MAIL FROM that ends its comment without quotes": "spf=none (domain of x)smtp.mailfrom=jane@sales.example; spf=pass smtp.mailfrom=sales.example (@evil.example)",
    "MAIL FROM with a backslash": r"spf=pass smtp.mailfrom=jane@sales.example\@evil.example",
    "MAIL FROM of another, DMARC fooled": "dmarc=pass header.from=sales.example; spf=pass smtp.mailfrom=x@evil.example",
    "HELO with a bracket": "spf=pass smtp.helo=sales.example(.evil.example",
    "HELO with a bracket, DMARC fooled": "dmarc=pass header.from=sales.example; spf=pass smtp.helo=sales.example(.evil.example",
    "HELO alone": "spf=pass smtp.helo=sales.example",
    "HELO alone, DMARC fooled": "dmarc=pass header.from=sales.example; spf=pass smtp.helo=sales.example",
    "an encoded i= that fails, DMARC written": "dkim=neutral header.i=x; dmarc=pass header.from=sales.example header.z=@evil.example header.d=evil.example",
    "an encoded i= that fails, DMARC written, unsigned": "dkim=none; dmarc=pass header.from=sales.example",
    "a signature of another, DMARC written": "dkim=pass header.d=evil.example header.i=x; dmarc=pass header.from=sales.example",
    "d= twice": "dkim=pass header.d=sales.example header.d=evil.example",
    "d= in quotes, i= of ours": 'dkim=pass header.d="evil.example" header.i=@sales.example',
    "d= with a bracket": "dkim=pass header.d=sales.example(.evil.example",
    "d= with a bracket that ends": "dkim=pass header.d=sales.example(.evil.example)",
    "d= of another, ours in i=": "dkim=pass header.d=evil.example header.i=jane@sales.example",
    "d= in a comment": "dkim=pass (header.d=sales.example) header.d=evil.example",
    "d= in a reason": 'dkim=pass reason="header.d=sales.example" header.d=evil.example',
    "d= with an at sign": "dkim=pass header.d=x@y@sales.example",
    "d= with a blank behind": "dkim=pass header.d=sales.example .evil.example",
    "DMARC twice": "dmarc=fail header.from=sales.example; dmarc=pass header.from=sales.example; " + OK,
    "DMARC twice, the pass first": "dmarc=pass header.from=sales.example; dmarc=none; " + OK,
    "DMARC that fails": "dmarc=fail header.from=sales.example; " + OK,
    "DMARC that is quarantined": "dmarc=quarantine header.from=sales.example; " + OK,
    "DMARC for another": "dmarc=pass header.from=evil.example; dkim=pass header.d=evil.example",
    "header.from in quotes": 'dmarc=pass header.from="sales.example"@evil.example; dkim=pass header.d=evil.example',
    "header.from twice": "dmarc=pass header.from=sales.example header.from=evil.example; dkim=pass header.d=evil.example",
    "a control character": "dkim=pass header.d=sales.example\x01; x=none",
    "a lone CR": "dkim=fail header.d=evil.example\rAuthentication-Results: mx.drop.example; " + OK,
    "an open comment": "dkim=pass (header.d=sales.example",
    "an open quote": 'dkim=pass reason="header.d=sales.example',
    "a comment that closes nothing": "dkim=pass ) header.d=sales.example",
    "a quote in a comment": 'dkim=pass ("x") header.d=sales.example',
    "a quote behind a word": 'dkim=pass header.d=sales.example"x"',
    "a quote that goes on": 'dkim=pass header.d="sales.example"x',
    "a comment in a name": "dkim=pass header.(x)d=sales.example",
    "another ARC": "arc=pass header.d=sales.example; spf=fail smtp.mailfrom=evil.example",
    "a method that proves nothing": "bimi=pass header.d=sales.example; iprev=pass; auth=pass smtp.auth=jane@sales.example",
    "a public suffix": "dkim=pass header.d=example",
    "far too long": OK + "; x-note=none policy.text=" + "x" * 17_000,
}  # fmt: skip


def signed(tags: str, stamp: str = STAMP) -> bytes:
    return raw_mail(top=stamp, extra=f"DKIM-Signature: {tags}\n")


@pytest.mark.parametrize("name", ["DKIM-Signature", "ARC-Message-Signature", "ARC-Seal"])
@pytest.mark.parametrize("tags", HONEST_SIGNATURES.values(), ids=HONEST_SIGNATURES)
def test_an_honest_signature_is_no_hindrance(tags: str, name: str) -> None:
    verdict = WORLD.verdict(raw_mail(top=STAMP, extra=f"{name}: {tags}\n"))
    assert verdict.outcome is Outcome.ASSOCIATED


@pytest.mark.parametrize("name", ["DKIM-Signature", "ARC-Message-Signature", "ARC-Seal"])
@pytest.mark.parametrize("tags", HOSTILE_SIGNATURES.values(), ids=HOSTILE_SIGNATURES)
def test_a_signature_that_is_not_plain_vouches_for_nothing(tags: str, name: str) -> None:
    """Whatever the server made of it: real ones write `i=` decoded, and leave out what they do not expect."""
    verdict = WORLD.verdict(raw_mail(top=STAMP, extra=f"{name}: {tags}\n"))
    assert verdict.reason is Reason.SENDER_UNAUTHENTICATED
    assert verdict.trace.authentication
    assert verdict.trace.authentication.code is Code.SIGNATURE_NOT_PLAIN


def test_one_odd_signature_among_honest_ones_is_enough() -> None:
    honest = f"DKIM-Signature: {TAGS}\n"
    hostile = f"DKIM-Signature: {HOSTILE_SIGNATURES['an encoded i=']}\n"
    assert WORLD.verdict(raw_mail(top=STAMP, extra=honest * 3)).outcome is Outcome.ASSOCIATED
    assert WORLD.verdict(raw_mail(top=STAMP, extra=honest + hostile)).reason is Reason.SENDER_UNAUTHENTICATED


@pytest.mark.parametrize("results", HONEST_STAMPS.values(), ids=HONEST_STAMPS)
def test_an_honest_stamp_vouches(results: str) -> None:
    verdict = WORLD.verdict(raw_mail(top=f"Authentication-Results: mx.drop.example;\n\t{results}\n"))
    assert verdict.outcome is Outcome.ASSOCIATED
    assert verdict.is_certain


@pytest.mark.parametrize("results", HOSTILE_STAMPS.values(), ids=HOSTILE_STAMPS)
def test_a_hostile_stamp_vouches_for_nobody(results: str) -> None:
    """Our own server wrote it, and wrote a stranger's words into it."""
    verdict = WORLD.verdict(raw_mail(top=f"Authentication-Results: mx.drop.example; {results}\n"))
    assert verdict.reason is Reason.SENDER_UNAUTHENTICATED
    assert not verdict.is_certain


@pytest.mark.parametrize("results", HOSTILE_STAMPS.values(), ids=HOSTILE_STAMPS)
def test_a_hostile_stamp_beside_an_honest_one_vouches_for_nobody_else(results: str) -> None:
    """A result of our server about another signer must not count for the domain in From."""
    honest = "Authentication-Results: mx.drop.example; dkim=pass header.d=evil.example\n"
    verdict = WORLD.verdict(raw_mail(top=honest + f"Authentication-Results: mx.drop.example; {results}\n"))
    assert verdict.reason is Reason.SENDER_UNAUTHENTICATED


@pytest.mark.parametrize(
    "name",
    [
        *("Sender", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID"),
        *("Content-Type", "Content-Transfer-Encoding", "MIME-Version"),
    ],
)
def test_a_field_on_top_of_a_signed_mail_proves_nobody(name: str) -> None:
    """The signature is right still, and people are shown the upper one."""
    field = f"{name}: x@client.example\n"
    below = field if f"\n{name}:" not in raw_mail().decode() else ""
    once, twice = raw_mail(top=STAMP, extra=below), raw_mail(top=field + STAMP, extra=below)
    assert WORLD.verdict(once).outcome is Outcome.ASSOCIATED
    verdict = WORLD.verdict(twice)
    assert verdict.reason is Reason.FIELDS_REPEATED
    assert verdict.trace.authentication
    assert verdict.trace.authentication.values == {"fields": (name.lower(),)}


def test_where_nobody_is_vouched_for_a_repeated_field_is_no_reason_to_refuse() -> None:
    """SENDER_AUTH=off: From is believed as it stands, and so is the rest."""
    assert World().verdict(raw_mail(top="Subject: another\nTo: carl@client.example\n")).outcome is Outcome.ASSOCIATED


def test_other_fields_may_stand_as_often_as_they_like() -> None:
    raw = raw_mail(top=STAMP, extra="X-Mailer: a\nX-Mailer: b\nComments: c\nComments: d\nReceived: x\n")
    assert WORLD.verdict(raw).outcome is Outcome.ASSOCIATED
