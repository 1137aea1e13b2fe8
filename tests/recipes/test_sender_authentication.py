"""Postfix with opendkim and opendmarc as config/sender-authentication says, and Exim: whom they vouch for."""

import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.harness.installation import Dropbox, Installation
from tests.recipes.builds import exim4_lmtp, postfix_dovecot_lmtp, postfix_dovecot_sieve, postfix_virtual
from tests.recipes.chain import Chain, running
from tests.recipes.forgeries import EVIL, JO_ABROAD, SIBLING, VICTIMS, Mail, forgeries, honest, records
from tests.recipes.letters import ANNE, JO, OUR_ID, dated, dropbox, vouched_for
from tests.recipes.recipe import Recipe
from tests.recipes.signature import Signer
from tests.recipes.test_probe import REQUIRED, SENDERS, STAMP, as_recommended, probed, results
from tests.recipes.test_probe import worker as worker_of
from tests.servers.milters import Milter
from tests.servers.names import Names
from tests.servers.process import free_port
from tests.servers.submission import is_taken
from worker.mime import read_head

STAMPS = Recipe("sender-authentication")
ELSEWHERE = "bounces@elsewhere.example"  # no alignment by SPF, so that the signature decides
VOUCHING = re.compile(
    r"=\s*pass\b[^;]*\b(?:header\.(?:d|i|from)|smtp\.(?:mailfrom|helo))\s*=\s*\"?(?:[^\s;]*@)?(?:[\w.-]+\.)?"
    rf"(?:{'|'.join(map(re.escape, VICTIMS))})(?![\w.-])",
    re.IGNORECASE,
)
ONCE = (
    *("from", "sender", "reply-to", "to", "cc", "subject", "date", "message-id"),
    *("content-type", "content-transfer-encoding", "mime-version"),
)
AT_ONCE = 16  # connections
MOST_ARE_TAKEN = 300  # forgeries: the server refuses a few at once
EVIL_SIGNER, SIBLING_SIGNER = Signer.make(EVIL), Signer.make(SIBLING)
SWITCHED_ON = {"#smtpd_milters": "smtpd_milters", "#milter_default_action": "milter_default_action"}
MILTERS = {"opendkim": 8891, "opendmarc": 8893}


def vouches(copy: bytes) -> bool:
    """Tell whether any result in a copy names a victim's domain, however it is quoted.

    With repeated fields the server may be right to vouch for the mail that Jo signed: then the worker refuses.
    """
    head = read_head(copy)
    if any(len(head.all(name)) > 1 for name in ONCE):
        return False
    return any(VOUCHING.search(value) for value in head.all("authentication-results"))


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer.make()


@contextmanager
def milters(names: Names, changed: Mapping[str, str] | None = None) -> Iterator[dict[str, str]]:
    """Run both; gives where each listens, by where its configuration says that it does."""
    ports = {program: free_port() for program in MILTERS}
    with ExitStack() as leave:
        for program, port in MILTERS.items():
            places = {f"inet:{port}@127.0.0.1": f"inet:{ports[program]}@127.0.0.1"}
            if program == "opendmarc":
                places |= changed or {}
            configuration = STAMPS.file(f"{program}.conf", places)
            if program == "opendkim":
                configuration += f"Nameservers {names.address}\n"  # its resolver reads no resolv.conf
            milter = Milter(program, configuration, ports[program], names)
            leave.callback(milter.remove)
            milter.start()
        yield {f"inet:127.0.0.1:{port}": f"inet:127.0.0.1:{ports[program]}" for program, port in MILTERS.items()}


@contextmanager
def lmtp_with_milters(names: Names, changed: Mapping[str, str] | None = None) -> Iterator[Chain]:
    """Run the recipe with its two milter lines switched on, and opendmarc.conf perhaps changed."""
    with milters(names, changed) as places:
        build = partial(postfix_dovecot_lmtp, switched_on=SWITCHED_ON | places)
        with running(Recipe("postfix-dovecot-lmtp"), build) as chain:
            yield chain


@contextmanager
def virtual_with_milters(names: Names) -> Iterator[Chain]:
    with milters(names) as places:
        build = partial(postfix_virtual, switched_on=SWITCHED_ON | places)
        with running(Recipe("postfix-virtual"), build) as chain:
            yield chain


@contextmanager
def sieve_with_milters(names: Names) -> Iterator[Chain]:
    """Run the recipe with what the README of sender-authentication says for it."""
    with milters(names) as places:
        section = STAMPS.file("README.md", places).partition("## The sieve recipe")[2].partition("##")[0]
        lines = [line.strip() for line in section.splitlines() if line.startswith("    ")]
        build = partial(postfix_dovecot_sieve, stamping="\n".join(["", *lines, ""]))
        with running(Recipe("postfix-dovecot-sieve"), build) as chain:
            yield chain


@contextmanager
def exim(names: Names, changed: Mapping[str, str] | None = None) -> Iterator[Chain]:
    """Run the recipe, which checks by itself."""
    with running(Recipe("exim4-lmtp"), partial(exim4_lmtp, names=names, changed=changed)) as chain:
        yield chain


@pytest.fixture(scope="module", params=[virtual_with_milters, lmtp_with_milters, sieve_with_milters, exim])
def chain(request: pytest.FixtureRequest, signer: Signer) -> Iterator[Chain]:
    with Names(records(signer, EVIL_SIGNER, SIBLING_SIGNER)) as names, request.param(names) as chain:
        yield chain


def test_an_honest_identity_is_vouched_for(chain: Chain, signer: Signer) -> None:
    chain.empty()
    chain.send([dropbox(ANNE)], signer.sign(dated(), "i=jo@eu.example.com; "), "x@elsewhere.example")
    (copy,) = chain.take(1)
    assert vouches(copy)


def test_the_worker_believes_its_own_server_and_no_forged_verdict(
    chain: Chain, signer: Signer, worker: Installation
) -> None:
    chain.send([worker.address_of(JO)], signer.sign(dated()), ELSEWHERE)
    chain.send([worker.address_of(JO)], vouched_for(), ELSEWHERE)
    chain.arrived(2)

    polled = worker.ok("poll", "--json", **REQUIRED)

    outcomes = {event["event"]: event.get("reason") for event in polled.events if event["event"].startswith("message")}
    assert outcomes == {"message.associated": None, "message.rejected": "sender_unauthenticated"}
    checked = worker.ok("check", "--json", **REQUIRED).json
    [found] = [finding for finding in checked if finding["what"] == "sender authentication"]
    assert (found["result"], found["seen"]) == ("pass", f"2 of the last 2 messages were stamped by {OUR_ID}")


def test_no_forged_verdict_is_left_below_the_stamp(chain: Chain) -> None:
    """Nor one without a result of DKIM, which opendkim would let through."""
    chain.empty()
    verdict = f"Authentication-Results: {OUR_ID}; dmarc=pass header.from=example.com\r\n"
    chain.send([dropbox(ANNE)], verdict.encode() + vouched_for(), ELSEWHERE)
    (copy,) = chain.take(1)
    stamps = read_head(copy).all("authentication-results")
    assert stamps
    assert not [stamp for stamp in stamps if "dmarc=pass" in stamp]


def test_a_probe_shows_the_stamp_of_the_server(chain: Chain, tmp_path: Path) -> None:
    found = probed(probing(chain, tmp_path))
    assert set(results(found).values()) == {"pass"}
    assert found[STAMP]["seen"].startswith(f"stamped by {OUR_ID}, no forged one would be believed")
    assert found[SENDERS]["seen"].startswith("6 mails tried, none would win")


def probing(chain: Chain, folder: Path) -> Dropbox:
    return worker_of(chain, folder, **as_recommended(chain), **REQUIRED)


OLDER = {
    "SPF in opendmarc": (
        lmtp_with_milters,
        {"SelfValidate      false": "SelfValidate      true"},
        "MAIL FROM and HELO",
    ),
    "authresults in Exim": (
        exim,
        {
            "Authentication-Results: mx.drop.example.com${if def:acl_m_dkim {$acl_m_dkim}{; none}}": (
                "${authresults{mx.drop.example.com}}"
            )
        },
        "the name of a DKIM tag and the value of a DKIM tag",
    ),
}


@pytest.mark.parametrize(("run", "changed", "shapes"), OLDER.values(), ids=OLDER)
def test_an_older_recipe_is_found_out_by_a_probe(
    run: Callable[[Names, Mapping[str, str]], AbstractContextManager[Chain]],
    changed: Mapping[str, str],
    shapes: str,
    signer: Signer,
    tmp_path: Path,
) -> None:
    with Names(records(signer, EVIL_SIGNER, SIBLING_SIGNER)) as names, run(names, changed) as chain:
        found = probed(probing(chain, tmp_path), code=1)
    assert found[SENDERS]["result"] == "fail"
    assert found[SENDERS]["seen"].startswith("the mail server vouches for a sender forged by ")
    assert f"{shapes}: such mail would" in found[SENDERS]["seen"]
    assert "older recipe" in found[SENDERS]["mending"]
    assert found["probe: traces"]["result"] == "pass"


def test_no_forgery_is_vouched_for_or_filed_and_every_honest_mail_is(
    chain: Chain, signer: Signer, worker: Installation
) -> None:
    chain.empty()
    worker.admin("sender", "add", JO, JO_ABROAD)
    forged = forgeries(signer, EVIL_SIGNER, SIBLING_SIGNER)
    beside = [Mail("honest", mail.tried, raw) for mail, raw in zip(forged, honest(signer, len(forged)), strict=True)]
    sent = [mail for pair in zip(forged, beside, strict=True) for mail in pair]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        taken = list(pool.map(partial(is_taken, chain.server.port, worker.address_of(JO)), sent))
    assert all(taken[1::2])
    assert sum(taken[::2]) >= MOST_ARE_TAKEN
    chain.arrived(sum(taken))

    numbers = [re.search(rb"forged-(\d+)", copy) for copy in chain.copies() if vouches(copy)]
    won = [forged[int(number[1])] for number in numbers if number]
    assert not [f"{mail.kind}: {mail.tried}" for mail in won]

    polled = worker.ok("poll", "--json", **REQUIRED)
    filed = {event["message_id"] for event in polled.events if event["event"] == "message.associated"}
    assert filed == {f"<honest-{number}@example.com>" for number in range(len(forged))}
    assert polled.json["rejected"] == sum(taken[::2])
