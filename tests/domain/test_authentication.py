# ruff: noqa: E501 - a case is a line
"""R13: whether the receiving server vouches for the From domain; fields read by authres, alignment by the PSL."""

import pytest

from tests.domain.chains import CHAINS, SENDERS_OWN, Chain
from tests.domain.made import head
from worker.domain.authentication import AuthenticationResults, authenticate, could_forge_results
from worker.mime.authentication import organisational_domain, read_authentication

OURS = "mx.drop.example"
CASES: list[tuple[str, str, str, bool]] = [
    ("DMARC passes for the From domain", "mx.drop.example; dmarc=pass header.from=sales.example", "sales.example", True),
    ("in capitals", "MX.Drop.Example; DMARC=Pass header.From=SALES.example", "sales.example", True),
    ("folded, with comments", "mx.drop.example 1;\n\tdmarc=pass (p=NONE dis=NONE)\n\theader.from=sales.example", "sales.example", True),
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
    ("an international domain", "mx.drop.example; dmarc=pass header.from=xn--mnchen-3ya.example", "xn--mnchen-3ya.example", True),
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
    ("far too long", "mx.drop.example; dmarc=pass header.from=sales.example policy.note=" + "x" * 16_384, "sales.example", False),
    ("comments without end", "mx.drop.example; dmarc=pass " + "(" * 9000, "sales.example", False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("field", "from_domain", "passes"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_the_servers_word_is_read_and_aligned(field: str, from_domain: str, passes: bool) -> None:
    arrived = head(f"Authentication-Results: {field}\n")
    said = authenticate(read_authentication(arrived), OURS, from_domain, organisational_domain)
    assert said.passed is passes
    assert said.why


def test_only_the_topmost_field_counts() -> None:
    ours = "Authentication-Results: mx.drop.example; dmarc=pass header.from=sales.example\n"
    fails = "Authentication-Results: mx.drop.example; dkim=none\n"
    theirs = "Authentication-Results: mx.evil.example; none\n"

    def passes(text: str) -> bool:
        return authenticate(read_authentication(head(text)), OURS, "sales.example", organisational_domain).passed

    assert passes(ours + fails + theirs)
    assert not passes(fails + ours)
    assert not passes(theirs + ours)


@pytest.mark.parametrize("place", ["above its Received", "below its Received"])
@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS.keys())
def test_a_forged_field_below_the_servers_own_proves_nothing_in_any_chain(chain: Chain, place: str) -> None:
    """A milter's field stands below the Received of its own server (OpenDKIM, OpenDMARC), other servers' above."""
    real = "Authentication-Results: mx.drop.example; dmarc=none header.from=sales.example\n"
    forged = "Authentication-Results: mx.drop.example; dmarc=pass header.from=sales.example\n"
    servers_own = real + chain.fields if place == "above its Received" else chain.fields + real
    arrived = head(servers_own + forged + SENDERS_OWN)
    assert not authenticate(read_authentication(arrived), OURS, "sales.example", organisational_domain).passed


def test_a_message_without_the_field_is_not_authenticated() -> None:
    said = authenticate(read_authentication(head("From: jane@sales.example\n")), OURS, "x.example", str)
    assert not said.passed


@pytest.mark.parametrize(
    "field", ["mx.drop.example", "mx.drop.example;", "mx.drop.example 1 (as is)", "mx.drop.example; none"]
)
def test_a_server_that_checked_nothing_is_told_from_one_that_wrote_nothing(field: str) -> None:
    """Exim leaves the "none" out."""
    found = read_authentication(head(f"Authentication-Results: {field}\n"))
    assert found == AuthenticationResults(authserv_id=OURS, results=())


@pytest.mark.parametrize("field", [";", "; ;", "two words", "mx.drop.example; dmarc=pass;"])
def test_what_is_no_bare_name_is_not_read_as_one(field: str) -> None:
    assert read_authentication(head(f"Authentication-Results: {field}\n")) is None


@pytest.mark.parametrize(
    "tags",
    [
        "d=evil.example; i=x=3B=20dkim=3Dpass=20header.d=3Dsales.example@evil.example",
        "d=evil.example; I = x=3B@evil.example",
        "d=evil.example; i=x=3\n B@evil.example",
        'd=evil.example; i="x y"@evil.example',
        "d=evil.example; i=x(@evil.example",
        "d=evil.example header.d=sales.example; i=@evil.example",
        "d=evil.example; s=a=3B; i=@evil.example",
    ],
)
def test_a_signature_that_could_write_results_proves_nothing_whatever_the_server_made_of_it(tags: str) -> None:
    """Real servers decode `i=` and write it without quotes; the signature need not be right."""
    written = head(f"DKIM-Signature: v=1; a=rsa-sha256; {tags}; b=AA==\n")
    assert could_forge_results(written.all("dkim-signature"))


@pytest.mark.parametrize(
    "tags",
    ["d=sales.example; s=2026.a-b", "d=sales.example; i=o'hara+x@eu.sales.example", "d=xn--mnchen-3ya.example; i=@x"],
)
def test_an_honest_signature_is_no_forgery(tags: str) -> None:
    written = head(f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; {tags};\n\th=from:to; bh=A/+=; b=A\n A+=\n")
    assert not could_forge_results(written.all("dkim-signature"))


def test_the_authserv_id_is_compared_whole_and_without_regard_to_case() -> None:
    found = read_authentication(head("Authentication-Results: mx.drop.example; dmarc=pass header.from=a.example\n"))
    assert authenticate(found, "MX.Drop.example", "a.example", str).passed
    assert not authenticate(found, "drop.example", "a.example", str).passed
