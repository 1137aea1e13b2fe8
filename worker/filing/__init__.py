"""What becomes of a message: the rules of the design in the order in which they apply. Pure: no I/O, no clock.

The head alone can only reject a message (so that nobody's body is fetched for nothing); only the whole message, read
from its own octets, is ever accepted: judged anew, unless each field that decides is the one that the head had.
"""

from worker.filing.filings import message_id_of, quarantined, rejected_by_head
from worker.filing.judging import (
    Candidate,
    Claim,
    Issued,
    Judgement,
    Rules,
    holds_for,
    judge_content,
    judge_head,
    judge_size,
    judged_before,
    routed,
)
from worker.filing.matching import Views, file_batch, wanted

__all__ = [
    "Candidate",
    "Claim",
    "Issued",
    "Judgement",
    "Rules",
    "Views",
    "file_batch",
    "holds_for",
    "judge_content",
    "judge_head",
    "judge_size",
    "judged_before",
    "message_id_of",
    "quarantined",
    "rejected_by_head",
    "routed",
    "wanted",
]
