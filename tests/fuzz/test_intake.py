"""Generated mail ends with a decision, whatever it is: heads, rules, bodies, recipients, both databases, moves.

`make test` tries the same few messages each time; `make fuzz` tries a hundred thousand new ones.
"""

import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.intake import Ended, Intake, fill
from tests.fuzz.mails import MAILS, SENDERS, TOKENS
from tests.harness.databases import KINDS, Databases
from tests.raw import RAW
from worker.domain.addresses import Address
from worker.domain.outcomes import Outcome
from worker.domain.verdicts import Verdict
from worker.store.database import Database

BATCH = 10
FEW, MANY = 300, 100_000
batches = st.lists(MAILS, min_size=BATCH, max_size=BATCH)
generating = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.reuse, Phase.generate, Phase.shrink],  # explaining takes longer than all else
)


@pytest.fixture(scope="module", params=KINDS)
def intake(request: pytest.FixtureRequest, databases: Databases) -> Iterator[Intake]:
    """Use one database for all examples."""
    url = databases.copy(request.param, fill=fill)
    database = Database.open(url)
    yield Intake(database)
    database.close()
    databases.drop(url)


@settings(generating, max_examples=FEW // BATCH // 2, derandomize=True, database=None)
@given(messages=batches, authenticated=st.booleans())
def test_whatever_arrives_ends_with_a_decision(intake: Intake, messages: list[bytes], authenticated: bool) -> None:
    for ended in intake.poll(messages, authenticated=authenticated):
        is_fit(ended)


@pytest.mark.fuzz
@settings(generating, max_examples=MANY // BATCH // 2)
@given(messages=batches, authenticated=st.booleans())
def test_a_hundred_thousand_end_with_a_decision(intake: Intake, messages: list[bytes], authenticated: bool) -> None:
    for ended in intake.poll(messages, authenticated=authenticated):
        is_fit(ended)


def is_fit(ended: Ended) -> None:
    """One end with its reason or owner; what is stored of it can be shown, and shows nobody's token.

    Nothing is filed that does not name its owner's own address and token.
    """
    verdict = ended.filing.deciding
    assert verdict.reason if verdict.outcome is Outcome.REJECTED else verdict.owner
    stored = [ended.decision[name] for name in ("subject", "message_id", "sender")] + ended.decision["recipients"]
    traces = list(_texts(ended.traces))
    if ended.email:
        traces += _texts([ended.email[name] for name in ("subject", "message_id", "thread_id", "sender", "snippet")])
        traces += _texts([ended.email["recipients"], ended.email["attachments"]])
    for verdict in ended.filing.verdicts:
        if verdict.outcome.is_filed:
            assert is_of_its_owner(ended.raw.lower(), verdict)
    for text in stored + traces:
        assert "\n" not in text
        assert RAW.search(text) is None
    written = json.dumps([stored, traces], ensure_ascii=False).lower()
    assert not [token for token in TOKENS.values() if token in written]


def is_of_its_owner(octets: bytes, verdict: Verdict) -> bool:
    """Return True if the bytes of the message name this owner."""
    name = next(
        name for name, sender in SENDERS.items() if verdict.owner and Address.parse(sender).key in verdict.owner.senders
    )
    spellings = [SENDERS[name], Address.parse(SENDERS[name]).key]
    names_owner = any(f"@{text.partition('@')[2]}".encode() in octets for text in spellings) and name.encode() in octets
    return names_owner and TOKENS[name].encode() in octets


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts(list(value.values()))
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
