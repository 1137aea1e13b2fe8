"""Messages, judged and filed as a poll does it, over what a store would have known."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tests.domain.made import DROPBOX, JANES_TOKEN, NOW, issued, owner
from worker.domain.messages import Arrival
from worker.domain.records import AccountView
from worker.domain.tokens import IssuedToken, Owner
from worker.domain.verdicts import Filing, Verdict
from worker.filing import Candidate, Rules, file_batch, judge_content, routed
from worker.mime import read_content
from worker.mime.content import read_carried
from worker.mime.head import organisational_domain, read_results

RULES = Rules(
    DROPBOX,
    received_by="mx.drop.example",
    read_carried=read_carried,
    read_results=read_results,
    organisational_domain=organisational_domain,
)
AUTHENTICATED = Rules(
    DROPBOX,
    received_by="mx.drop.example",
    authserv_id="mx.drop.example",
    read_carried=read_carried,
    read_results=read_results,
    organisational_domain=organisational_domain,
)


def raw_mail(
    *tokens: str,
    top: str = "",
    sender: str = "Jane <jane@sales.example>",
    to: str = "bob@client.example",
    message_id: str = "<1@sales.example>",
    subject: str = "Offer",
    extra: str = "",
    body: str = "Hello Bob\n",
) -> bytes:
    addresses = ", ".join(f"drop+{token}@drop.example" for token in tokens or (JANES_TOKEN,))
    return (
        f"Return-Path: <jane@sales.example>\nDelivered-To: {addresses}\n{top}"
        "Received: from mail.sales.example by mx.drop.example (Postfix) with ESMTPS id 1; Mon, 23 Nov 2026\n"
        f"From: {sender}\nTo: {to}\nSubject: {subject}\nMessage-ID: {message_id}\n"
        f"Date: Mon, 23 Nov 2026 09:00:00 +0000\n{extra}\n{body}"
    ).encode()


def arrival(raw: bytes, uid: int = 1) -> Arrival:
    return Arrival(uid=uid, arrived_at=NOW, size=len(raw), head=raw.partition(b"\n\n")[0])


@dataclass(frozen=True)
class World:
    """What the store would have said."""

    issued: Mapping[str, IssuedToken] = field(default_factory=lambda: issued((JANES_TOKEN, owner())))
    views: Mapping[int, AccountView] = field(default_factory=dict)
    rules: Rules = RULES
    now: datetime = NOW

    def candidate(self, raw: bytes, uid: int = 1) -> Candidate:
        content = read_content(raw)
        found = routed(content.head, self.rules)
        return judge_content(arrival(raw, uid), content, found, self.rules, self.issued, self.now)

    def file(self, *raws: bytes) -> list[Filing]:
        candidates = [self.candidate(raw, uid) for uid, raw in enumerate(raws, start=1)]
        return file_batch(candidates, self.rules, self.views)

    def verdict(self, raw: bytes) -> Verdict:
        (filing,) = self.file(raw)
        (verdict,) = filing.verdicts
        return verdict


def world_of(whose: Owner, view: AccountView | None = None, rules: Rules = RULES) -> World:
    return World(issued((JANES_TOKEN, whose)), {whose.account_id: view or AccountView()}, rules)
