# ruff: noqa: E501 - a case is a line
"""R13: whether the receiving server vouches for the From domain; fields read by authres, alignment by the PSL."""

import pytest

from tests.domain.chains import CHAINS, SENDERS_OWN, Chain
from tests.domain.made import head
from worker.domain.authentication import Authentication, AuthenticationResults, authenticate, stamps_of
from worker.domain.outcomes import Code, detail
from worker.mime.head import organisational_domain, read_results

OURS = "mx.drop.example"
CASES: list[tuple[str, str, str, bool]] = [
    ("DMARC alone: by what it passes is not said", "mx.drop.example; dmarc=pass header.from=sales.example", "sales.example", False),
    ("DMARC beside an SPF pass for somebody else", "mx.drop.example; dmarc=pass header.from=sales.example; spf=pass smtp.mailfrom=x@evil.example", "sales.example", False),
    ("DMARC beside a signature that fails", "mx.drop.example; dmarc=pass header.from=sales.example; dkim=fail header.d=sales.example", "sales.example", False),
    ("IPv6 without quotes, as Exim writes it", "mx.drop.example; iprev=pass (mail.sales.example) smtp.remote-ip=2001:db8::25; dkim=pass header.d=sales.example", "sales.example", True),
    ("IPv6 of the form that holds IPv4", "mx.drop.example; iprev=fail policy.iprev=::ffff:192.0.2.1; dkim=pass header.d=sales.example", "sales.example", True),
    ("IPv6 at the end", "mx.drop.example; dkim=pass header.d=sales.example; iprev=pass smtp.remote-ip=::1", "sales.example", True),
    ("a name that is an address in brackets", "mx.drop.example; spf=none smtp.helo=[IPv6:2001:db8::25]; dkim=pass header.d=sales.example", "sales.example", True),
    ("a comment right behind the result, as Yahoo writes it", "mx.drop.example; dmarc=pass(p=REJECT) header.from=sales.example; dkim=pass header.d=sales.example", "sales.example", True),
    ("Google", 'mx.drop.example; dkim=pass header.i=@sales.example header.s=g header.b="Ab+/c=="; spf=pass (google.com: domain of jane@sales.example designates 2001:db8::1 as permitted sender) smtp.mailfrom=jane@sales.example; dmarc=pass (p=NONE sp=NONE dis=NONE) header.from=sales.example', "sales.example", True),
    ("Microsoft", "mx.drop.example; spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=sales.example; dkim=pass (signature was verified) header.d=sales.example;dmarc=pass action=none header.from=sales.example;compauth=pass reason=100", "sales.example", True),
    ("DMARC passes for the From domain", "mx.drop.example; dmarc=pass header.from=sales.example; dkim=pass header.d=sales.example", "sales.example", True),
    ("in capitals", "MX.Drop.Example; DMARC=Pass header.From=SALES.example; DKIM=Pass header.d=Sales.example", "sales.example", True),
    ("folded, with comments", "mx.drop.example 1;\n\tdmarc=pass (p=NONE dis=NONE)\n\theader.from=sales.example;\n\tspf=pass smtp.mailfrom=jane@sales.example", "sales.example", True),
    ("DMARC for another domain", "mx.drop.example; dmarc=pass header.from=evil.example", "sales.example", False),
    ("DMARC for the parent: it is about From alone", "mx.drop.example; dmarc=pass header.from=example.com", "sales.example.com", False),
    ("DMARC that names no domain", "mx.drop.example; dmarc=pass", "sales.example", False),
    ("DMARC fail is final", "mx.drop.example; dmarc=fail header.from=sales.example; dkim=pass header.d=sales.example", "sales.example", False),
    ("DMARC fail is final wherever it stands", "mx.drop.example; spf=pass smtp.mailfrom=sales.example; dmarc=fail", "sales.example", False),
    ("DMARC fail beside a DMARC pass", "mx.drop.example; dmarc=pass header.from=sales.example; dmarc=fail header.from=sales.example", "sales.example", False),
    ("DMARC none leaves it to DKIM", "mx.drop.example; dmarc=none; dkim=pass header.d=sales.example", "sales.example", True),
    ("DMARC temperror leaves it to DKIM", "mx.drop.example; dmarc=temperror; dkim=pass header.d=sales.example", "sales.example", True),
    ("DKIM passes, header.d", "mx.drop.example; dkim=pass header.d=sales.example", "sales.example", True),
    ("DKIM passes, header.i alone", "mx.drop.example; dkim=pass header.i=@sales.example", "sales.example", True),
    ("header.i with a local part", "mx.drop.example; dkim=pass header.i=jane@mail.sales.example", "sales.example", True),
    ("header.d speaks before header.i", "mx.drop.example; dkim=pass header.d=evil.example header.i=@sales.example", "sales.example", False),
    ("DKIM of a subdomain: relaxed", "mx.drop.example; dkim=pass header.d=mail.sales.example", "sales.example", True),
    ("DKIM of the organisation for a subdomain", "mx.drop.example; dkim=pass header.d=example.com", "eu.sales.example.com", True),
    ("DKIM of a sister domain", "mx.drop.example; dkim=pass header.d=a.example.co.uk", "b.example.co.uk", True),
    ("a public suffix is no organisation", "mx.drop.example; dkim=pass header.d=evil.co.uk", "sales.co.uk", False),
    ("not the suffix itself", "mx.drop.example; dkim=pass header.d=co.uk", "sales.co.uk", False),
    ("nor one of the private list", "mx.drop.example; dkim=pass header.d=evil.github.io", "sales.github.io", False),
    ("the same letters at the end", "mx.drop.example; dkim=pass header.d=evilsales.example", "sales.example", False),
    ("ours as a subdomain of theirs", "mx.drop.example; dkim=pass header.d=sales.example.evil.example", "sales.example", False),
    ("DKIM fails", "mx.drop.example; dkim=fail header.d=sales.example", "sales.example", False),
    ("DKIM neutral", "mx.drop.example; dkim=neutral header.d=sales.example", "sales.example", False),
    ("DKIM policy", "mx.drop.example; dkim=policy header.d=sales.example", "sales.example", False),
    ("a pass that names no domain", "mx.drop.example; dkim=pass", "sales.example", False),
    ("several signatures, the second is theirs", "mx.drop.example; dkim=pass header.d=relay.example; dkim=pass header.d=sales.example", "sales.example", True),
    ("several signatures, theirs fails", "mx.drop.example; dkim=pass header.d=relay.example; dkim=fail header.d=sales.example", "sales.example", False),
    ("SPF passes, an address", "mx.drop.example; spf=pass smtp.mailfrom=jane@sales.example", "sales.example", True),
    ("SPF passes, a domain", "mx.drop.example; spf=pass smtp.mailfrom=bounces.sales.example", "sales.example", True),
    ("SPF passes for a relay", "mx.drop.example; spf=pass smtp.mailfrom=jane@relay.example", "sales.example", False),
    ("SPF by HELO only", "mx.drop.example; spf=pass smtp.helo=sales.example", "sales.example", False),
    ("SPF softfail", "mx.drop.example; spf=softfail smtp.mailfrom=jane@sales.example", "sales.example", False),
    ("ours in the local part", "mx.drop.example; spf=pass smtp.mailfrom=sales.example@evil.example", "sales.example", False),
    ("ours in a comment", "mx.drop.example; spf=pass (sales.example) smtp.mailfrom=evil.example", "sales.example", False),
    ("ours in a reason", 'mx.drop.example; dkim=pass reason="header.d=sales.example" header.d=evil.example', "sales.example", False),
    ("a method that proves nothing", "mx.drop.example; iprev=pass header.d=sales.example; auth=pass smtp.auth=jane@sales.example", "sales.example", False),
    ("ARC proves nothing", "mx.drop.example; arc=pass header.d=sales.example", "sales.example", False),
    ("none", "mx.drop.example; none", "sales.example", False),
    ("the bare name of a server that checked nothing", "mx.drop.example", "sales.example", False),
    ("the bare name, with the mark behind it", "mx.drop.example;", "sales.example", False),
    ("a bare verdict", "dmarc=pass", "sales.example", False),
    ("an international domain", "mx.drop.example; dmarc=pass header.from=xn--mnchen-3ya.example; dkim=pass header.d=xn--mnchen-3ya.example", "xn--mnchen-3ya.example", True),
    ("another server", "mx.evil.example; dmarc=pass header.from=sales.example", "sales.example", False),
    ("a server whose name begins with ours", "mx.drop.example.evil.example; dmarc=pass header.from=sales.example", "sales.example", False),
    ("a server whose name ends with ours", "evil.mx.drop.example; dmarc=pass header.from=sales.example", "sales.example", False),
    ("our name in a comment", "(mx.drop.example) evil.example; dmarc=pass header.from=sales.example", "sales.example", False),
    ("no authserv-id", "dmarc=pass header.from=sales.example", "sales.example", False),
    ("a version from the future", "mx.drop.example 2; dmarc=pass header.from=sales.example", "sales.example", False),
    ("an unclosed comment", "mx.drop.example; dmarc=pass (header.from=sales.example", "sales.example", False),
    ("garbage", "mx.drop.example; ;;= dmarc", "sales.example", False),
    ("empty", "", "sales.example", False),
    ("DMARC reject is no pass of anything else", "mx.drop.example; dmarc=reject; dkim=pass header.d=sales.example", "sales.example", False),
    ("DMARC twice, once by somebody else", "mx.drop.example; dmarc=pass header.from=sales.example; dmarc=none", "sales.example", False),
    ("header.i beside its header.d", "mx.drop.example; dkim=pass header.d=sales.example header.i=jane@eu.sales.example", "sales.example", True),
    ("header.i outside of its header.d", "mx.drop.example; dkim=pass header.d=sales.example header.i=@evil.example", "sales.example", False),
    ("header.d twice, ours first", "mx.drop.example; dkim=pass header.d=sales.example header.d=evil.example", "sales.example", False),
    ("header.d twice, ours last", "mx.drop.example; dkim=pass header.d=evil.example header.d=sales.example", "sales.example", False),
    ("a quoted header.d, which authres passes over", 'mx.drop.example; dkim=pass header.d="evil.example" header.i=@sales.example', "sales.example", False),
    ("smtp.mailfrom twice, ours first", "mx.drop.example; spf=pass smtp.mailfrom=jane@sales.example smtp.mailfrom=x@evil.example", "sales.example", False),
    ("smtp.mailfrom twice, ours last", "mx.drop.example; spf=pass smtp.mailfrom=x@evil.example smtp.mailfrom=jane@sales.example", "sales.example", False),
    ("a local part that ends the comment it is told in", 'mx.drop.example; spf=pass (domain of "x) smtp.mailfrom=jane@sales.example (y"@evil.example)', "sales.example", False),
    ("a quoted reason that holds a bracket", 'mx.drop.example; dkim=pass reason="as (far" header.d=sales.example', "sales.example", True),
    ("a local part with a space, without its quotes", "mx.drop.example; spf=pass smtp.mailfrom=jane@sales.example x@evil.example", "sales.example", False),
    ("the same with an equals sign", "mx.drop.example; spf=pass smtp.mailfrom=jane@sales.example x=y@evil.example", "sales.example", False),
    ("a local part that ends the comment, without its quotes", "mx.drop.example; spf=fail (domain of a); dkim=pass header.d=sales.example (@evil.example) smtp.mailfrom=x@evil.example", "sales.example", False),
    ("Microsoft's words without a dot", "mx.drop.example; spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=sales.example; dkim=pass (signature was verified) header.d=sales.example;dmarc=pass action=none header.from=sales.example;compauth=pass reason=100", "sales.example", True),
    ("versions of the field and of a method", "mx.drop.example 1; dkim/1=pass header.d=sales.example", "sales.example", True),
    ("comments everywhere", "(c) mx.drop.example (c) ; (c) dkim (c) = (c) pass (c) header.d (c) = (c) sales.example (c)", "sales.example", True),
    ("a quoted reason that holds a semicolon", 'mx.drop.example; dkim=pass reason="a; b" header.d=sales.example', "sales.example", True),
    ("far too long", "mx.drop.example; dmarc=pass header.from=sales.example policy.note=" + "x" * 16_384, "sales.example", False),
    ("comments without end", "mx.drop.example; dmarc=pass " + "(" * 9000, "sales.example", False),
]  # fmt: skip


def said(text: str, from_domain: str = "sales.example", received_by: str | None = None) -> Authentication:
    stamps = stamps_of(head(text), received_by)
    return authenticate(stamps, read_results, OURS, from_domain, organisational_domain)


def stamp(results: str, server: str = OURS) -> str:
    return f"Authentication-Results: {server}; {results}\n"


@pytest.mark.parametrize(
    ("field", "from_domain", "passes"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_the_servers_word_is_read_and_aligned(field: str, from_domain: str, passes: bool) -> None:
    assert said(f"Authentication-Results: {field}\n", from_domain).passed is passes


DMARC = stamp("dmarc=pass header.from=sales.example")
DKIM = stamp("dkim=pass header.d=sales.example")
FAILS = stamp("dkim=none")
RECEIVED = "Received: from mail.sales.example by mx.drop.example with ESMTPS id 1; Mon, 23 Nov 2026\n"
HANDED_OVER = "Received: from mx.drop.example by mx.drop.example with LMTP id 2; Mon, 23 Nov 2026\n"


def test_only_the_topmost_field_counts_where_our_servers_name_is_not_known() -> None:
    assert said(DKIM + FAILS).passed
    assert not said(FAILS + DKIM).passed
    assert not said(stamp("none", "mx.evil.example") + DKIM).passed
    assert not said(DMARC + DKIM).passed


FIELDS = [
    ("one says DKIM, another DMARC", DMARC + DKIM + RECEIVED, True),
    ("in the other order", DKIM + DMARC + RECEIVED, True),
    ("the topmost says nothing of it", stamp("x-csa=none; x-ptr=pass smtp.helo=mail.sales.example") + DKIM + RECEIVED, True),
    ("what else the server checks, and DMARC alone", stamp("x-csa=none; x-me-sender=none") + DMARC + RECEIVED, True),
    ("another server's between them", DMARC + stamp("dkim=fail", "filter.example") + DKIM + RECEIVED, True),
    ("two that agree", DKIM + DKIM + RECEIVED, True),
    ("around the hand-over to the mailbox store", DMARC + HANDED_OVER + DKIM + RECEIVED, True),
    ("what milters write stands below", RECEIVED + DMARC + DKIM, True),
    ("milters name themselves between", RECEIVED + DMARC + "DKIM-Filter: OpenDKIM\n" + DKIM, True),
    ("DKIM alone, of a milter", RECEIVED + DKIM, True),
    ("one says no", stamp("dkim=fail header.d=sales.example") + DKIM + RECEIVED, False),
    ("one says no, below", DKIM + stamp("dkim=fail header.d=sales.example") + RECEIVED, False),
    ("one knows of no signature", FAILS + DKIM + RECEIVED, False),
    ("one has another signature", stamp("dkim=pass header.d=evil.example") + DKIM + RECEIVED, False),
    ("another MAIL FROM", stamp("spf=pass smtp.mailfrom=evil.example") + stamp("spf=pass smtp.mailfrom=sales.example") + RECEIVED, False),
    ("DMARC fails in one", stamp("dmarc=fail header.from=sales.example") + DMARC + DKIM + RECEIVED, False),
    ("DMARC for two domains", stamp("dmarc=pass header.from=evil.example") + DMARC + DKIM + RECEIVED, False),
    ("one cannot be read", stamp("dkim=pass header.d=(") + DKIM + RECEIVED, False),
    ("DMARC alone beside an SPF for another", DMARC + stamp("spf=pass smtp.mailfrom=x@evil.example") + RECEIVED, False),
    ("DMARC alone beside no signature", DMARC + FAILS + RECEIVED, False),
    ("below our server's own", FAILS + RECEIVED + DKIM, False),
    ("below our server's own, DMARC confirmed by a stranger", DMARC + FAILS + RECEIVED + DKIM, False),
    ("below another field of the stranger's", RECEIVED + DMARC + "From: jane@sales.example\n" + DKIM, False),
    ("below a milter's own", RECEIVED + FAILS + DKIM, False),
    ("below two milters' own", RECEIVED + DMARC + FAILS + DKIM, False),
    ("DMARC alone of a milter", RECEIVED + DMARC, False),
    ("a stranger's below a milter's DMARC none", RECEIVED + stamp("dmarc=none") + DKIM, False),
    ("no Received of our server", DMARC + DKIM, False),
    ("none of ours above, a stranger's below", stamp("dkim=fail", "filter.example") + RECEIVED + DKIM, False),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "passes"), [case[1:] for case in FIELDS], ids=[case[0] for case in FIELDS])
def test_each_field_above_our_servers_received_counts(fields: str, passes: bool) -> None:
    """Count the server's own fields and those of its milters, which are right below it (R13)."""
    assert said(fields, received_by=OURS).passed is passes


@pytest.mark.parametrize("received_by", [None, OURS], ids=["server unknown", "server known"])
@pytest.mark.parametrize("place", ["above its Received", "below its Received"])
@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS.keys())
def test_a_forged_field_below_the_servers_own_proves_nothing_in_any_chain(
    chain: Chain, place: str, received_by: str | None
) -> None:
    """A milter's field stands below the Received of its own server (OpenDKIM, OpenDMARC), other servers' above."""
    real = stamp("dmarc=none header.from=sales.example")
    forged = stamp("dmarc=pass header.from=sales.example; dkim=pass header.d=sales.example")
    servers_own = real + chain.fields if place == "above its Received" else chain.fields + real
    assert not said(servers_own + forged + SENDERS_OWN, received_by=received_by).passed


def test_a_message_without_the_field_is_not_authenticated() -> None:
    assert said("From: jane@sales.example\n").why == detail(Code.NO_RESULTS)
    assert said(RECEIVED + "From: jane@sales.example\n", received_by=OURS).why == detail(Code.NO_RESULTS)


@pytest.mark.parametrize(
    "field", ["mx.drop.example", "mx.drop.example;", "mx.drop.example 1 (as is)", "mx.drop.example; none"]
)
def test_a_server_that_checked_nothing_is_told_from_one_that_wrote_nothing(field: str) -> None:
    """Exim leaves the "none" out."""
    assert read_results(field) == AuthenticationResults(authserv_id=OURS, results=())
    assert said(f"Authentication-Results: {field}\n").why == detail(Code.NOT_ALIGNED)


@pytest.mark.parametrize("field", [";", "; ;", "two words", "mx.drop.example; dmarc=pass;"])
def test_what_is_no_bare_name_is_not_read_as_one(field: str) -> None:
    assert read_results(field) is None


def test_the_authserv_id_is_compared_whole_and_without_regard_to_case() -> None:
    stamps = stamps_of(head(DKIM), None)
    assert authenticate(stamps, read_results, "MX.Drop.example", "sales.example", str).passed
    assert not authenticate(stamps, read_results, "drop.example", "sales.example", str).passed
