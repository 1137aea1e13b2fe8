"""R1: no trace, decision or `repr` holds a whole token, wherever in a mail it was written."""

import json

import pytest

from tests.domain.made import JANES_TOKEN, issued, owner
from tests.filing.made import World, raw_mail
from worker.domain.addresses import Address
from worker.domain.messages import Arrival
from worker.domain.records import NewRecord
from worker.domain.tokens import IssuedToken
from worker.domain.verdicts import Verdict
from worker.mime import read_content, read_head
from worker.store.traces import stored_trace

ADDRESS = f"drop+{JANES_TOKEN}@drop.example"
WRITTEN = {
    "From": {"sender": ADDRESS},
    "From with a fault": {"sender": f"x@{ADDRESS}"},
    "From without a domain": {"sender": f"drop+{JANES_TOKEN}"},
    "To": {"to": f"bob@client.example, {ADDRESS}, x@{ADDRESS}"},
    "To with a fault": {"to": f"bob@client.example, x y {ADDRESS}, {ADDRESS} x, drop + {JANES_TOKEN}@x.example"},
    "To with a fault, encoded": {"to": f"bob@client.example, =?utf-8?q?drop=2B{JANES_TOKEN}?= x@y z"},
    "To with a fault, beyond what is shown": {"to": f"bob@client.example, {'x' * 78} drop+{JANES_TOKEN}@x.example"},
    "Subject": {"subject": f"Fwd: {ADDRESS}"},
    "Subject, encoded": {"subject": f"=?utf-8?q?drop=2B{JANES_TOKEN}=40drop.example?="},
    "Message-ID": {"message_id": f"<{ADDRESS}>"},
    "References": {"extra": f"References: <{ADDRESS}>\n"},
    "Auto-Submitted": {"extra": f"Auto-Submitted: drop+{JANES_TOKEN}\n"},
    "name of an attachment": {
        "extra": f'Content-Type: application/pdf; name="{ADDRESS}.pdf"\nContent-Disposition: attachment\n'
    },
    "media type of an attachment": {"extra": f"Content-Type: application/{ADDRESS.partition('@')[0]}\n"},
    "Subject, cut": {"subject": "x" * (998 - 30) + f" {ADDRESS}"},
    "Subject, cut within the token": {"subject": "x" * (998 - 31) + f" {ADDRESS}"},
    "body": {"body": f"I write to {ADDRESS}, you too?\n"},
}


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN.keys())
def test_a_token_written_into_a_mail_is_kept_in_the_original_only(written: dict[str, str]) -> None:
    raw = raw_mail(**written)
    (filing,) = World().file(raw)
    content = read_content(raw)
    kept = [
        *(stored_trace(verdict.trace, _numbers(verdict)) for verdict in filing.verdicts),
        [filing.subject, filing.message_id, filing.sender, *filing.recipients],
        [content.subject, content.message_id, content.thread_id, content.snippet],
        [text for attachment in content.attachments for text in (attachment.name, attachment.media_type)],
    ]
    assert JANES_TOKEN[:20] not in json.dumps(kept)
    assert JANES_TOKEN.encode() in content.raw


def _numbers(verdict: Verdict) -> dict[NewRecord, int]:
    return {new.record: 1 for new in verdict.associations if isinstance(new.record, NewRecord)}


def test_no_repr_shows_a_token_or_a_body() -> None:
    raw = raw_mail(to=f"bob@client.example, {ADDRESS}", body="in confidence\n")
    candidate = World().candidate(raw)
    shown = [
        repr(each)
        for each in (
            candidate,
            Arrival(1, candidate.arrival.arrived_at, len(raw), raw),
            read_head(raw),
            Address.parse(ADDRESS),
            IssuedToken(JANES_TOKEN, owner()),
            issued((JANES_TOKEN, owner())).values(),
            World().file(raw),
        )
    ]
    assert not [text for text in shown if JANES_TOKEN in text or "in confidence" in text]
