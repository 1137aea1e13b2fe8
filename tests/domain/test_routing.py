"""R4 to R6, over the header blocks of real delivery chains."""

import pytest

from tests.domain.chains import CHAINS, FORGED, FORGERIES, SENDERS_OWN, Chain
from tests.domain.made import DROPBOX, JANES_TOKEN, JOHNS_TOKEN, head
from worker.domain.messages import Head
from worker.domain.routing import DEFAULT_TOKEN_HEADERS, MOST_TOKENS, Route, carries_trusted_field, route

SERVER = "mx.drop.example"
JANE = f"drop+{JANES_TOKEN}@drop.example"
JOHN = f"drop+{JOHNS_TOKEN}@drop.example"

every_chain = pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS.keys())
every_forgery = pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())


def routed(head: Head, received_by: str | None = SERVER, headers: tuple[str, ...] = DEFAULT_TOKEN_HEADERS) -> Route:
    return route(head, DROPBOX, headers, received_by)


@every_chain
def test_every_chain_that_keeps_the_token_is_read(chain: Chain) -> None:
    # R4, R5
    assert routed(head(chain.fields + SENDERS_OWN)) == Route(chain.header, chain.tokens)


@every_forgery
@every_chain
def test_no_forgery_below_the_servers_own_fields_wins_in_any_chain(chain: Chain, forgery: str) -> None:
    """This holds even if the chain lost the token and only the forged field is left (R5)."""
    assert routed(head(chain.fields + forgery + SENDERS_OWN)) == Route(chain.header, chain.tokens)


@every_forgery
def test_without_received_by_a_forgery_never_beats_the_same_field_of_the_server(forgery: str) -> None:
    """Take the topmost instance of each (R5)."""
    arrived = head(CHAINS["postfix virtual"].fields + forgery + SENDERS_OWN)
    assert routed(arrived, received_by=None) == Route("Delivered-To", (JANES_TOKEN,))


def test_a_restricted_list_of_headers_is_all_that_is_looked_at() -> None:
    # R4
    forged = head(f"X-Drop-Rcpt: {JANE}\n" + FORGERIES["all of them"] + f"To: {FORGED}\n")
    assert routed(forged, None, ("X-Drop-Rcpt",)) == Route("X-Drop-Rcpt", (JANES_TOKEN,))
    assert routed(head(FORGERIES["all of them"] + f"To: {FORGED}\n"), None, ("X-Drop-Rcpt",)) == Route(None, ())


def test_the_first_header_in_the_order_that_names_a_token_decides() -> None:
    # R4
    both = head(f"Delivered-To: {JANE}\nX-Original-To: {JOHN}\n")
    assert routed(both, None).tokens == (JANES_TOKEN,)
    assert routed(both, None, ("X-Original-To", "Delivered-To")).tokens == (JOHNS_TOKEN,)


@pytest.mark.parametrize("header", DEFAULT_TOKEN_HEADERS[:6])
def test_each_field_of_the_default_list_can_name_the_token(header: str) -> None:
    # R4
    assert routed(head(f"{header}: <{JANE}>\n"), None) == Route(header, (JANES_TOKEN,))


def test_a_plus_tag_that_can_be_no_token_of_ours_hides_none() -> None:
    """A mail server's own `drop+inbox` counts as unknown if no token follows (R4)."""
    stamped = "Delivered-To: drop+inbox@drop.example\n"
    assert routed(head(f"{stamped}X-Original-To: {JANE}\n"), None) == Route("X-Original-To", (JANES_TOKEN,))
    assert routed(head(f"Envelope-To: drop+inbox@drop.example, {JANE}\n"), None).tokens == (JANES_TOKEN,)
    assert routed(head(f"{stamped}Cc: drop+other@drop.example\n"), None) == Route("Delivered-To", ("inbox",))


def test_to_and_cc_count_last_and_wherever_they_stand() -> None:
    """People also write the address there openly (R4, R5)."""
    assert routed(head(f"{CHAINS['postfix and cyrus lmtp'].fields}To: bob@client.example, Drop <{JANE}>\n")) == Route(
        "To", (JANES_TOKEN,)
    )
    assert routed(head(f"Cc: {JOHN}\n"), None) == Route("Cc", (JOHNS_TOKEN,))
    assert routed(head(f"Delivered-To: {JANE}\nTo: {JOHN}\n"), None).tokens == (JANES_TOKEN,)


def test_a_token_in_a_display_name_or_comment_is_none() -> None:
    assert routed(head(f'To: "{JANE}" <bob@client.example>, carol@client.example ({JOHN})\n'), None) == Route(None, ())


def test_a_message_that_names_no_token_has_no_route() -> None:
    assert routed(head("Delivered-To: drop@drop.example\nTo: bob@client.example\n"), None) == Route(None, ())


def test_every_token_of_one_level_counts_once() -> None:
    # R6
    listed = head(f"Envelope-To: {JANE}, {JOHN},\n\t{JANE.upper()}\n")
    assert routed(listed, None).tokens == (JANES_TOKEN, JOHNS_TOKEN)


def test_without_our_servers_received_nothing_is_trusted() -> None:
    # R5
    assert routed(head(f"Delivered-To: {JANE}\nReceived: by other.example with ESMTP; x\n")) == Route(None, ())


@pytest.mark.parametrize(
    "claimed",
    [
        "by mx.drop.example",
        f"x for <{FORGED}>",
        f"x by mx.drop.example for <{FORGED}>",
        "x with LMTP",
        f"x with LMTP id 1 for <{FORGED}>",
        "x with LMTP (",
        f"x with LMTP id 1 for <{FORGED}> ((",
        "x with LMTP ) (",
        "x with LMTP (\\",
        "x (",
        "x )",
        "x ; y",
        'x "',
    ],
)
def test_a_clients_own_name_steers_nothing(claimed: str) -> None:
    """The HELO name in the server's own field neither hides that field nor counts as its name (R5)."""
    fields = (
        f"Received: from {claimed} (unknown [192.0.2.66])\n\tby mx.drop.example with ESMTP id 1; Mon, 23 Nov 2026\n"
    )
    assert routed(head(fields + FORGERIES["all of them"] + SENDERS_OWN)) == Route(None, ())


@pytest.mark.parametrize(
    "host", ["mx.drop.example.evil.example", "evil.mx.drop.example", "xmx.drop.example", "mx.drop"]
)
def test_a_host_whose_name_only_holds_ours_is_not_ours(host: str) -> None:
    # R5
    assert routed(head(f"Delivered-To: {JANE}\nReceived: from x by {host} with ESMTP; Mon\n")) == Route(None, ())


def test_a_hop_that_is_for_two_people_is_for_nobody() -> None:
    """A server writes one clause; somebody who writes into its field adds the other (R5)."""
    hop = f"Received: from x by mx.drop.example with ESMTP id 1 for <{FORGED}>; x for <{JANE}>; Mon\n"
    assert routed(head(hop)) == Route(None, ())


def test_the_server_is_recognised_whatever_the_case_of_its_name() -> None:
    fields = f"Delivered-To: {JANE}\nReceived: from x BY MX.Drop.Example. WITH ESMTP; Mon\n"
    assert routed(head(fields), "MX.DROP.EXAMPLE.").tokens == (JANES_TOKEN,)


def test_a_thousand_guesses_in_to_cost_a_hundred() -> None:
    guesses = ", ".join(f"drop+{number:026}@drop.example" for number in range(1000))
    assert len(routed(head(f"To: {guesses}\n"), None).tokens) == MOST_TOKENS


@every_chain
def test_it_is_told_whether_a_trusted_field_of_the_envelope_is_there(chain: Chain) -> None:
    """`check` warns if there is no such field."""
    found = carries_trusted_field(
        head(chain.fields + FORGERIES["all of them"] + SENDERS_OWN), DEFAULT_TOKEN_HEADERS, SERVER
    )
    assert found is (chain.header is not None)
