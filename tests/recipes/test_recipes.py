"""Whatever a sender writes, each copy says whom our own server delivered it to, and nobody else."""

from smtplib import SMTPRecipientsRefused

import pytest

from tests.recipes.chain import Chain
from tests.recipes.letters import (
    ANNE,
    BERT,
    FORGED,
    OUR_ID,
    PLAIN,
    body_of,
    dropbox,
    naming,
    of_ten_megabytes,
    vouched_for,
    with_attached_mail,
)
from worker.domain.addresses import Address
from worker.domain.authentication import authenticate, stamps_of
from worker.domain.routing import route
from worker.domain.tokens import DropboxAddress
from worker.mime import read_head
from worker.mime.head import organisational_domain, read_results


def routed(chain: Chain, copies: list[bytes]) -> list[tuple[str, ...]]:
    """Route each copy with the settings that the recipe names, in the order of tokens."""
    settings = chain.recipe.settings()
    address = DropboxAddress(Address.parse(settings["address"]))
    headers = settings["token_headers"].split(",")
    own_host = settings["received_by"]
    return sorted(route(read_head(copy), address, headers, own_host).tokens for copy in copies)


def test_two_dropboxes_in_one_bcc_are_both_served(chain: Chain) -> None:
    chain.send([dropbox(ANNE), dropbox(BERT)], PLAIN)
    assert routed(chain, chain.take(2)) == [(ANNE,), (BERT,)]


def test_an_address_in_capitals_is_the_same_dropbox(chain: Chain) -> None:
    chain.send([dropbox(ANNE).upper()], PLAIN)
    assert routed(chain, chain.take(1)) == [(ANNE,)]


def test_forged_fields_do_not_win(chain: Chain) -> None:
    chain.send([dropbox(ANNE), dropbox(BERT)], naming(FORGED))
    assert routed(chain, chain.take(2)) == [(ANNE,), (BERT,)]


def test_forged_fields_make_no_owner_of_a_mail_without_a_token(chain: Chain) -> None:
    chain.send(["drop@drop.example.com"], naming(FORGED))
    assert routed(chain, chain.take(1)) == [()]


def test_a_mail_that_says_it_was_delivered_here_already_is_not_returned_as_looping(chain: Chain) -> None:
    chain.send([dropbox(ANNE), dropbox(BERT)], naming(ANNE))
    assert routed(chain, chain.take(2)) == [(ANNE,), (BERT,)]


def test_nobody_but_our_own_server_vouches_for_a_sender(chain: Chain) -> None:
    chain.send([dropbox(ANNE), dropbox(BERT)], vouched_for())
    for copy in chain.take(2):
        head = read_head(copy)
        stamps = stamps_of(head, OUR_ID)
        assert not authenticate(stamps, read_results, OUR_ID, "example.com", organisational_domain).passed
        assert not [value for value in head.all("authentication-results") if "pass" in value]


def test_an_attached_mail_is_left_as_it_was(chain: Chain) -> None:
    mail = with_attached_mail()
    chain.send([dropbox(ANNE)], mail)
    (copy,) = chain.take(1)
    assert body_of(copy) == body_of(mail)


def test_as_much_as_may_be_attached_gets_through(chain: Chain) -> None:
    mail = of_ten_megabytes()
    chain.send([dropbox(ANNE)], mail)
    (copy,) = chain.take(1)
    assert body_of(copy) == body_of(mail)


@pytest.mark.parametrize("address", ["somebody@drop.example.com", "kim@client.example"])
def test_every_other_address_is_refused_at_once(chain: Chain, address: str) -> None:
    with pytest.raises(SMTPRecipientsRefused):
        chain.send([address], PLAIN)
